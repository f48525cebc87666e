#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
/**
 * Asks Prometheus 3.16 and us the same random queries over the same blocks and lists every difference: results, errors,
 * warnings and infos. Exits 1 where there is one.
 *
 * Usage: node test/compat/differential/run.mjs [--queries=5000] [--seed=1] [--features=a,b] [--stats]
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { narthex } from '../../../bench/lib/load.mjs';
import { findProgram, versionOf } from '../../../bench/lib/peers.mjs';
import { answers, freePort, Program } from '../../../bench/lib/process.mjs';
import { differenceOf } from './compare.mjs';
import { INTERVAL_SECONDS, openMetrics, START_SECONDS, STEPS } from './data.mjs';
import { expression } from './expressions.mjs';
import { Random } from './random.mjs';

const SHOWN_DIFFERENCES = 40;

const options = Object.fromEntries(process.argv.slice(2).map((arg) => [...arg.replace(/^--/, '').split('='), '']));
const queries = Number(options.queries ?? 5000);
const seed = Number(options.seed ?? 1);
const features = options.features ? [`--enable-feature=${options.features}`] : [];

const [prometheus, promtool] = ['prometheus', 'promtool'].map(findProgram);
if (!prometheus || !promtool) {
  console.log('differential: no Prometheus to compare with: run `npm run bench:peers`');
  process.exit(1);
}
const scratch = mkdtempSync(join(tmpdir(), 'narthex-differential-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
process.exitCode = await main();
process.exit();

async function main() {
  console.log(`differential: ${queries} queries, seed ${seed}, against ${versionOf(prometheus)}`);
  writeFileSync(join(scratch, 'data.om'), openMetrics(seed));
  writeFileSync(join(scratch, 'prometheus.yml'), '');
  const blocks = join(scratch, 'theirs');
  mkdirSync(blocks);
  const made = spawnSync(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', join(scratch, 'data.om'), blocks]);
  if (made.status !== 0) throw new Error(`promtool: ${made.stderr}`);
  cpSync(blocks, join(scratch, 'ours'), { recursive: true });

  const [theirs, ours] = await Promise.all([
    start('prometheus', [prometheus], 'theirs'),
    start('narthex', [...narthex, 'server'], 'ours'),
  ]);
  try {
    return await compare(theirs, ours);
  } finally {
    await Promise.all([theirs.program.stop(), ours.program.stop()]);
  }
}

async function start(name, [path, ...first], dir) {
  const port = await freePort();
  const program = new Program(
    path,
    [
      ...first,
      `--config.file=${join(scratch, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(scratch, dir)}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
      ...features,
    ],
    { name },
  );
  const base = `http://127.0.0.1:${port}`;
  await program.until('answer', () => answers(`${base}/-/ready`));
  return { base, program };
}

async function compare(theirs, ours) {
  const random = new Random(seed);
  const counts = { same: 0, different: 0, errors: 0, empty: 0 };
  for (let i = 0; i < queries; i++) {
    const path = request(random);
    const [expected, found] = await Promise.all([ask(theirs.base, path), ask(ours.base, path)]);
    const difference = differenceOf(found, expected) ?? statsDifference(found, expected);
    counts[difference === undefined ? 'same' : 'different']++;
    if (expected.status === 'error') counts.errors++;
    else if (expected.data.result.length === 0) counts.empty++;
    if (difference !== undefined && counts.different <= SHOWN_DIFFERENCES) {
      console.log(`\n${decodeURIComponent(path.replaceAll('+', ' '))}\n  ${difference}`);
    }
    if ((i + 1) % 1000 === 0) console.log(`differential: ${i + 1} asked, ${counts.different} different`);
  }
  console.log(
    `differential: ${counts.same} the same, ${counts.different} different (${counts.errors} errors, ${counts.empty} empty results)`,
  );
  return counts.different === 0 ? 0 : 1;
}

function request(random) {
  const query = expression(random);
  const span = STEPS * INTERVAL_SECONDS;
  const start = START_SECONDS + Math.floor(random.next() * span * 1000) / 1000;
  if (random.chance(0.4)) return `/api/v1/query?${new URLSearchParams({ query, time: String(start) })}`;
  const step = random.pick([1, 15, 15, 37, 60, 61.5, 300]);
  const end = start + random.below(60) * step;
  return `/api/v1/query_range?${new URLSearchParams({ query, start: String(start), end: String(end), step: String(step) })}`;
}

/** What differs in the numbers of samples, where both answered. */
function statsDifference(found, expected) {
  const [ours, theirs] = [found, expected].map((answer) => JSON.stringify(answer.data?.stats?.samples, sorted));
  return ours === theirs ? undefined : `stats: found ${ours}, expected ${theirs}`;
}

function sorted(_, value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function ask(base, path) {
  const response = await fetch(base + path + (options.stats === undefined ? '' : '&stats=all'));
  return response.json();
}
