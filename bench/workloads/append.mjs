/**
 * Workload `append`: 20 M samples of 50,000 series appended in the process, log included: `promtool tsdb bench write`
 * against ours, which does the same. The figure is samples per CPU-second of the whole process.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildLoad } from '../lib/load.mjs';
import { findProgram, versionOf } from '../lib/peers.mjs';
import { Program } from '../lib/process.mjs';
import { record } from '../lib/storage.mjs';

const SERIES = 50_000;
const SCRAPES = 400;

export const title = `append: ${SERIES} series × ${SCRAPES} samples, in the process, log included`;
export const floor = { against: 'prometheus', ratio: 1.5 };
export const runs = 5;

/** Puts the medians, in samples per CPU-second, beside the other results of the storage. */
export function keep({ cells, ratio, reached, runs }) {
  record({
    figure: 'append with the log in the process, samples per CPU-second',
    cells,
    ratio: ratio.toFixed(2),
    floor: `${floor.ratio} ×`,
    reached,
    runs,
  });
}

export function contestants() {
  const load = buildLoad();
  const scratch = mkdtempSync(join(tmpdir(), 'narthex-bench-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const file = join(scratch, 'series.json');
  const series = spawnSync(load, ['series', String(SERIES)], { maxBuffer: 1 << 28 });
  writeFileSync(file, series.stdout);

  const list = [
    {
      name: 'narthex',
      version: 'this tree',
      run: () => measure(scratch, (dir) => [load, ['append', file, String(SERIES), String(SCRAPES), dir]]),
    },
  ];
  const promtool = findProgram('promtool');
  if (promtool) {
    list.push({
      name: 'prometheus',
      version: versionOf(promtool),
      run: () =>
        measure(scratch, (dir) => [
          promtool,
          ['tsdb', 'bench', 'write', `--out=${dir}`, `--metrics=${SERIES}`, `--scrapes=${SCRAPES}`, file],
        ]),
    });
  }
  return list;
}

async function measure(scratch, command) {
  const dir = mkdtempSync(join(scratch, 'data-'));
  const [path, args] = command(dir);
  const started = process.hrtime.bigint();
  const program = new Program(path, args);
  const code = await program.exited;
  const wallSeconds = Number(process.hrtime.bigint() - started) / 1e9;
  rmSync(dir, { recursive: true, force: true });
  if (code !== 0) throw new Error(`${path} ended with ${code}:\n${program.output}`);
  const samples = Number(/total samples: (\d+)/.exec(program.output)?.[1]);
  if (samples !== SERIES * SCRAPES) throw new Error(`${path} appended ${samples} samples:\n${program.output}`);
  return { samples, cpuSeconds: program.cpuSecondsEnd, wallSeconds, memoryBytes: program.memoryBytesMax };
}
