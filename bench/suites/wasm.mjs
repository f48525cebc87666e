/**
 * The engine in WASM beside the addon with one thread: the same samples in memory, the same queries, in turns. Answers are
 * compared before anything is timed. Writes bench/results/wasm.md, with the sizes of the modules.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { open as openNative } from 'narthex';
import { open as openWasm } from 'narthex/wasm';
import { median, printTable } from '../lib/table.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const T0_MS = 1_700_000_000_000;
const STEP_MS = 15_000;
const SERIES = 1000;
const SAMPLES = 960;
const ROUNDS = 15;
/** What is asked of WASM: at least so much of the addon's speed. */
const GOAL = 0.5;
const LIMITS = { syntax: 250_000, engine: 1_500_000 };

const QUERIES = [
  'm_total',
  'sum by (mode) (rate(m_total[5m]))',
  'rate(m_total[5m])',
  'max_over_time(m_total[1h])',
  'quantile by (mode) (0.9, m_total)',
  'topk(5, rate(m_total[5m]))',
  'm_total / on (cpu, mode) m_total',
  'sum by (mode) (sum_over_time(m_total[1h]))',
  'count({mode=~"[ui].*"})',
  'label_replace(m_total, "x", "$1", "cpu", "(.).*")',
];

export async function run() {
  const options = { retentionMs: 0, minBlockDurationMs: 365 * 24 * 3_600_000 };
  const engines = {
    native: await openNative({ dir: ':memory:', queryThreads: 1, ...options }),
    wasm: await openWasm(options),
  };
  const rows = [];
  const seconds = {};
  for (const [name, engine] of Object.entries(engines)) seconds[name] = await timed(() => fill(engine));
  rows.push(row('append 960,000 samples', seconds.native, seconds.wasm));
  const endMs = T0_MS + SAMPLES * STEP_MS;
  for (const query of QUERIES) {
    const ask = (name) => engines[name].queryRangeJson({ query, startMs: T0_MS + 3_600_000, endMs, stepMs: 60_000 });
    const [native, wasm] = [text(await ask('native')), text(await ask('wasm'))];
    if (native !== wasm) throw new Error(`${query}: the answers differ`);
    const times = { native: [], wasm: [] };
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of round % 2 === 0 ? ['native', 'wasm'] : ['wasm', 'native']) {
        times[name].push(await timed(() => ask(name).then((body) => body.free())));
      }
    }
    rows.push(row(`\`${query}\``, median(times.native), median(times.wasm)));
  }
  for (const engine of Object.values(engines)) await engine.close();
  const speeds = rows.slice(1).map((each) => each.speed);
  const mean = Math.exp(speeds.reduce((sum, speed) => sum + Math.log(speed), 0) / speeds.length);
  const table = rows.map(({ what, native, wasm, speed }) => [
    what,
    `${(native * 1e3).toFixed(1)} ms`,
    `${(wasm * 1e3).toFixed(1)} ms`,
    speed.toFixed(2),
  ]);
  printTable(['', 'native', 'WASM', 'speed'], table);
  const verdict = `geometric mean of the queries: ${mean.toFixed(2)} of the addon's speed with one thread (goal: ${GOAL})`;
  console.log(verdict);
  const sizes = Object.entries(LIMITS).map(([name, limit]) => {
    const bytes = readFileSync(join(root, 'dist', 'wasm', `${name}.wasm`));
    const kB = (n) => `${Math.round(n / 1000)} kB`;
    return [name, kB(bytes.length), kB(gzipSync(bytes, { level: 9 }).length), kB(limit)];
  });
  const lines = [
    '# The engine in WASM',
    '',
    'Written by `npm run bench -- suite wasm`. Both engines hold the same samples in memory, 1,000 series of 960, and give the',
    'same answers; medians of 15 interleaved rounds of range queries over 181 steps, to JSON. The addon uses one thread.',
    '',
    `Node ${process.version}, ${cpus()[0]?.model ?? 'unknown processor'}.`,
    '',
    ...markdown(['', 'native', 'WASM', 'speed of WASM, native = 1'], table),
    '',
    `${verdict[0].toUpperCase()}${verdict.slice(1)}.`,
    '',
    ...markdown(['module', 'size', 'gzipped', 'goal, gzipped'], sizes),
    '',
  ];
  writeFileSync(join(root, 'bench', 'results', 'wasm.md'), lines.join('\n'));
}

function row(what, native, wasm) {
  return { what, native, wasm, speed: native / wasm };
}

async function timed(call) {
  const started = process.hrtime.bigint();
  await call();
  return Number(process.hrtime.bigint() - started) / 1e9;
}

async function fill(engine) {
  const modes = ['user', 'system', 'idle', 'iowait'];
  const timestamps = Float64Array.from({ length: SAMPLES }, (_, i) => T0_MS + i * STEP_MS);
  // A generator of its own, so that every run asks about the same numbers.
  let state = 1;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const batch = Array.from({ length: SERIES }, (_, i) => {
    let value = i;
    return {
      labels: { __name__: 'm_total', cpu: String(i >> 2), mode: modes[i % 4], instance: 'a:1', job: 'bench' },
      timestamps,
      values: Float64Array.from({ length: SAMPLES }, () => {
        value += Math.floor(random() * 1500) / 100;
        return value;
      }),
    };
  });
  const { appended } = await engine.append(batch);
  if (appended !== SERIES * SAMPLES) throw new Error(`${appended} samples were taken in`);
}

function text(body) {
  const pieces = [];
  for (let piece = body.next(); piece !== null; piece = body.next()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

function markdown(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}
