/**
 * Workload `ingest-threads`: what a second thread brings. Requests of remote write 1.0, encoded before, go through the
 * engine in one process, its log included, by an ingest pool of one thread and of two in turns; a server could not be
 * measured so, for its HTTP needs a core too. `--runs=N`; `--samples=N` for less of each series, which is not recorded.
 */
import { spawn } from 'node:child_process';

import { recordIngest } from '../lib/ingest-results.mjs';
import { buildLoad } from '../lib/load.mjs';
import { planOf } from '../lib/replay.mjs';
import { scratchDir } from '../lib/storage.mjs';
import { median, short } from '../lib/table.mjs';

const SERIES = 50_000;
const SAMPLES = 240;
const INTERVAL_MS = 15_000;
const FLOOR = 1.6;

export const runs = 7;

export async function compare({ runs, flags }) {
  const scaled = flags.find((f) => f.startsWith('--samples='))?.slice('--samples='.length);
  const count = Number(scaled ?? SAMPLES);
  const startMs = Math.floor(Date.now() / 1000) * 1000 - count * INTERVAL_MS;
  const plan = { format: 'remote-write', series: SERIES, samples: count, startMs, intervalMs: INTERVAL_MS };
  const { samples, one, two } = await ingest(runs, plan);
  const rates = (list) => list.map((ns) => samples / (ns / 1e9));
  const [alone, both] = [median(rates(one)), median(rates(two))];
  const ratio = both / alone;
  console.log(
    `one thread: ${rates(one).map(short).join(', ')}; two: ${rates(two).map(short).join(', ')} samples a second`,
  );
  const figures = {
    figure: 'two ingest threads instead of one, in the process: samples a second',
    cells: { narthex: `${short(both)} instead of ${short(alone)}` },
    ratio: `${ratio.toFixed(2)} (to one thread)`,
    floor: `${FLOOR} ×`,
    reached: ratio >= FLOOR,
    runs,
  };
  if (scaled === undefined) recordIngest(figures);
  else console.log(`not recorded: ${figures.figure}: ${figures.cells.narthex}, ${figures.ratio}, floor ${FLOOR} ×`);
  return ratio >= FLOOR ? 0 : 1;
}

async function ingest(runs, plan) {
  const child = spawn(buildLoad(), ['ingest', scratchDir(), String(runs), ...planOf(plan)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  if (code !== 0) throw new Error(`load ingest: ${output}`);
  return JSON.parse(output);
}
