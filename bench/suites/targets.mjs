/**
 * Ten thousand targets in one process, each on an address of its own, every ten seconds with small bodies: memory and
 * CPU for each, sockets, how evenly the scrapes are spread, how many come late, how free the event loop stays. Prometheus
 * beside us where it is built. Linux only.
 *
 * NARTHEX_BENCH_PROF=DIR writes a CPU profile of ours there. NARTHEX_BENCH_TARGETS says how many targets.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { narthex } from '../lib/load.mjs';
import { findProgram } from '../lib/peers.mjs';
import { anonymousBytes, answers, cpuSeconds, freePort, Program, queryNumber, sleep } from '../lib/process.mjs';
import { printTable } from '../lib/table.mjs';

const TARGETS = Number(process.env.NARTHEX_BENCH_TARGETS ?? 10_000);
const INTERVAL_SECONDS = 10;
const MEASURED_SECONDS = 30;
const SERIES = 5;

const targetServer = new URL('../lib/target-server.mjs', import.meta.url).pathname;

export async function run() {
  const scratch = mkdtempSync(join(tmpdir(), 'narthex-bench-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const rows = [];
  const prometheus = findProgram('prometheus');
  const profile = process.env.NARTHEX_BENCH_PROF;
  const flags = profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [];
  rows.push(await measure(scratch, 'narthex', [narthex[0], ...flags, narthex[1], 'server']));
  if (prometheus && !profile) rows.push(await measure(scratch, 'prometheus', [prometheus]));
  printTable(
    [
      `${TARGETS} targets`,
      'KiB each',
      'CPU of one core',
      'µs a scrape',
      'sockets',
      'scrapes',
      'spread',
      'late',
      'not asked',
      'loop p99',
    ],
    rows,
  );
}

/** Addresses 127.1.0.0 and on. */
function address(i) {
  return `127.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
}

async function measure(scratch, name, [path, ...first]) {
  const server = new Program(process.execPath, [targetServer, String(SERIES)], { stdin: 'pipe', name: 'targets' });
  const said = createInterface({ input: server.child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await said.next()).value);
  const look = () => {
    server.child.stdin.write('\n');
    return next();
  };
  const { port } = await next();
  const file = join(scratch, `${name}.yml`);
  writeFileSync(file, configuration([]));
  const own = await freePort();
  const base = `http://127.0.0.1:${own}`;
  const common = [`--config.file=${file}`, `--storage.tsdb.path=${join(scratch, name)}`];
  const flags = [...common, `--web.listen-address=127.0.0.1:${own}`, '--web.enable-lifecycle'];
  const program = new Program(path, [...first, ...flags], { name });
  try {
    await program.until('answer', () => answers(`${base}/-/ready`));
    await sleep(2000);
    const emptyBytes = anonymousBytes(program.pid);
    writeFileSync(file, configuration(Array.from({ length: TARGETS }, (_, i) => `${address(i)}:${port}`)));
    await fetch(`${base}/-/reload`, { method: 'POST' });
    await program.until('scrapes', async () => (await queryNumber(base, 'sum(up)')) === TARGETS, 120);
    await sleep(2 * INTERVAL_SECONDS * 1000);
    await look();
    const cpuBefore = cpuSeconds(program.pid);
    const delays = await probe(base, MEASURED_SECONDS);
    const cpu = cpuSeconds(program.pid) - cpuBefore;
    const { asked } = await look();
    const bytes = anonymousBytes(program.pid) - emptyBytes;
    const scrapes = asked.reduce((sum, times) => sum + times.length, 0);
    return [
      name,
      (bytes / 1024 / TARGETS).toFixed(1),
      `${((100 * cpu) / MEASURED_SECONDS).toFixed(1)} %`,
      ((cpu * 1e6) / scrapes).toFixed(0),
      String(readdirSync(`/proc/${program.pid}/fd`).length),
      String(scrapes),
      `±${(100 * spread(asked)).toFixed(0)} %`,
      String(late(asked)),
      String(TARGETS - asked.length),
      `${quantile(delays, 0.99).toFixed(1)} ms`,
    ];
  } finally {
    await program.stop();
    await server.stop();
  }
}

function configuration(targets) {
  const jobs =
    targets.length === 0
      ? ''
      : `scrape_configs:\n  - job_name: many\n    static_configs: [{targets: ${JSON.stringify(targets)}}]\n`;
  return `global: {scrape_interval: ${INTERVAL_SECONDS}s, scrape_timeout: ${INTERVAL_SECONDS}s}\n${jobs}`;
}

/** How long the server takes to say that it is well, a hundred times a second. */
async function probe(base, seconds) {
  const delays = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const began = performance.now();
    await answers(`${base}/-/healthy`);
    delays.push(performance.now() - began);
    await sleep(10);
  }
  return delays;
}

/** By how much the scrapes of a tenth of a second differ from the mean: the standard deviation over it. */
function spread(asked) {
  const all = asked.flat();
  const first = Math.min(...asked.map((times) => times[0]));
  const buckets = new Array(MEASURED_SECONDS * 10 - 1).fill(0);
  for (const time of all) {
    const bucket = Math.floor((time - first) / 100);
    if (bucket < buckets.length) buckets[bucket]++;
  }
  const mean = buckets.reduce((sum, n) => sum + n, 0) / buckets.length;
  return Math.sqrt(buckets.reduce((sum, n) => sum + (n - mean) ** 2, 0) / buckets.length) / mean;
}

/** Scrapes that came more than a tenth of a second beside their turn. */
function late(asked) {
  let count = 0;
  for (const times of asked) {
    for (let i = 1; i < times.length; i++) {
      if (Math.abs(times[i] - times[i - 1] - INTERVAL_SECONDS * 1000) > 100) count++;
    }
  }
  return count;
}

function quantile(values, q) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? 0;
}
