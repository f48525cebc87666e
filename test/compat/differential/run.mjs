#!/usr/bin/env node
/**
 * Asks Prometheus 3.16 and us the same random queries over the same samples and lists every difference: results, errors,
 * warnings and infos. Exits 1 where there is one.
 *
 * Usage: node test/compat/differential/run.mjs [--queries=5000] [--seed=1] [--features=a,b|all] [--store=blocks|head] [--stats]
 *   [--from=N] [--query=EXPR [--start=T] [--end=T] [--step=S] | --time=T] [--whole=]]
 *
 * `--features=all` is every feature of the query language. `--store` says whether the samples lie in a block or in the
 * write-ahead log. `--from` leaves out the first queries of the seed. `--query` asks one expression and shows both answers.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

import { narthex, root } from '../../../bench/lib/load.mjs';
import { findProgram, versionOf } from '../../../bench/lib/peers.mjs';
import { answers, freePort, Program } from '../../../bench/lib/process.mjs';
import { differenceOf } from './compare.mjs';
import { eachStep, INTERVAL_SECONDS, START_SECONDS, STEPS } from './data.mjs';
import { Expressions } from './expressions.mjs';
import { Random } from './random.mjs';

const SHOWN_DIFFERENCES = 40;
const AT_ONCE = 4;
/** How often Prometheus is asked again before a difference counts. */
const AGAIN = 40;
const ALL = [
  'promql-experimental-functions',
  'promql-delayed-name-removal',
  'promql-binop-fill-modifiers',
  'promql-unquoted-utf8-names',
  'promql-duration-expr',
  'promql-extended-range-selectors',
  'type-and-unit-labels',
  'use-start-timestamps',
];

const options = Object.fromEntries(
  process.argv.slice(2).map((arg) => [arg.replace(/^--|=.*/gs, ''), arg.replace(/^[^=]*=/s, '')]),
);
const queries = Number(options.queries ?? 5000);
const seed = Number(options.seed ?? 1);
const from = Number(options.from ?? 0);
const names = options.features === 'all' ? ALL : (options.features ?? '').split(',').filter((name) => name !== '');
const features = names.length > 0 ? [`--enable-feature=${names}`] : [];

const prometheus = findProgram('prometheus');
if (!prometheus) {
  console.log('differential: no Prometheus to compare with: run `npm run bench:peers`');
  process.exit(1);
}
const scratch = mkdtempSync(join(tmpdir(), 'narthex-differential-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
process.exitCode = await main();
process.exit();

async function main() {
  const what = `${queries} queries, seed ${seed}, features ${names.join(' ') || 'none'}`;
  console.log(`differential: ${what}, against ${versionOf(prometheus)}`);
  writeFileSync(join(scratch, 'prometheus.yml'), '');
  await write();
  const [theirs, ours] = await Promise.all([
    start('prometheus', [prometheus], 'theirs', features),
    start('narthex', [...narthex, 'server'], 'ours', features),
  ]);
  try {
    return options.query === undefined ? await compare(theirs, ours) : await show(theirs, ours);
  } finally {
    await Promise.all([theirs.program.stop(), ours.program.stop()]);
  }
}

/** Has Prometheus store the data, and copies what it wrote. */
async function write() {
  const writer = await start('prometheus', [prometheus], 'written', [
    '--web.enable-remote-write-receiver',
    '--web.enable-admin-api',
    '--enable-feature=st-storage',
  ]);
  const sender = join(scratch, 'remote-write.mjs');
  const bundle = await rolldown({ input: join(root, 'test', 'support', 'remote-write.ts'), platform: 'node' });
  await bundle.write({ file: sender });
  const { remoteWrite } = await import(pathToFileURL(sender));
  await eachStep(seed, (series) => remoteWrite(writer.base, series));
  let written = join(scratch, 'written');
  if (options.store !== 'head') {
    const response = await fetch(`${writer.base}/api/v1/admin/tsdb/snapshot`, { method: 'POST' });
    const { data } = await response.json();
    written = join(written, 'snapshots', data.name);
  }
  await writer.program.stop();
  for (const side of ['theirs', 'ours']) cpSync(written, join(scratch, side), { recursive: true });
}

async function start(name, [path, ...first], dir, more) {
  const port = await freePort();
  const program = new Program(
    path,
    [
      ...first,
      `--config.file=${join(scratch, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(scratch, dir)}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
      ...more,
    ],
    { name },
  );
  const base = `http://127.0.0.1:${port}`;
  await program.until('answer', () => answers(`${base}/-/ready`), 60);
  return { base, program };
}

async function compare(theirs, ours) {
  const random = new Random(seed);
  const expressions = new Expressions(random, { experimental: names.includes('promql-experimental-functions') });
  const counts = { same: 0, different: 0, errors: 0, empty: 0, rounding: 0, again: 0, unsteady: 0 };
  const one = async (number, path, query) => {
    const [expected, found] = await Promise.all([ask(theirs.base, path), ask(ours.base, path)]);
    let apart = 0;
    const steps = path.startsWith('/api/v1/query_range') || /\[[^\]]*:/.test(query);
    const between = (a, b) =>
      differenceOf(query, a, b, (by) => (apart = Math.max(apart, by)), steps) ?? statsDifference(a, b);
    const shown = decodeURIComponent(path.replaceAll('+', ' '));
    let difference = between(found, expected);
    if (difference === undefined) {
      difference = await omittedDifference(theirs, path, found, expected);
    } else {
      const other = await askedAgain(theirs, path, found, expected, between);
      if (other !== undefined) {
        counts[other]++;
        console.log(`\n#${number} ${other}: ${shown}\n  ${difference}`);
        difference = undefined;
      }
    }
    counts[difference === undefined ? 'same' : 'different']++;
    if (expected.status === 'error') counts.errors++;
    else if (expected.data.result.length === 0) counts.empty++;
    if (difference !== undefined && counts.different <= SHOWN_DIFFERENCES) {
      console.log(`\n#${number} ${shown}\n  ${difference}`);
    } else if (difference === undefined && apart > 0 && ++counts.rounding <= SHOWN_DIFFERENCES) {
      console.log(`\n#${number} rounding, ${apart}: ${shown}`);
    }
  };
  for (let i = 0; i < queries; i += AT_ONCE) {
    const asked = Array.from({ length: Math.min(AT_ONCE, queries - i) }, (_, n) => [
      i + n,
      ...request(random, expressions),
    ]);
    await Promise.all(asked.filter(([number]) => number >= from).map((each) => one(...each)));
    if ((i + AT_ONCE) % 1000 === 0) console.log(`differential: ${i + AT_ONCE} asked, ${counts.different} different`);
  }
  console.log(
    `differential: ${counts.same} the same (${counts.rounding} but for rounding, ${counts.again} when asked again, ` +
      `${counts.unsteady} to which Prometheus answers this and that), ${counts.different} different ` +
      `(${counts.errors} errors, ${counts.empty} empty results)`,
  );
  return counts.different === 0 ? 0 : 1;
}

/**
 * What Prometheus' other answers to the same query say about a difference: `again` where one of them is ours, `unsteady` where
 * none is but they differ from each other, `undefined` where it answers the same each time. In a range it takes the series that
 * an operator yields in the order of a Go map, and in that order the next one adds them up, ranks equal ones, counts the first.
 */
async function askedAgain(theirs, path, found, expected, between) {
  let steady = true;
  for (let i = 0; i < AGAIN; i++) {
    const another = await ask(theirs.base, path);
    if (between(found, another) === undefined) return 'again';
    steady &&= between(another, expected) === undefined;
  }
  return steady ? undefined : 'unsteady';
}

/** Of more than ten remarks Prometheus shows some ten: asked often enough, the more the more there are, it shows each of ours. */
async function omittedDifference(theirs, path, found, expected) {
  for (const part of ['warnings', 'infos']) {
    if (!expected[part]?.at(-1).endsWith('annotations omitted')) continue;
    const texts = (answer) => answer[part].slice(0, -1).map((text) => text.replace(/over -?\d+ samples/g, ''));
    const seen = new Set(texts(expected));
    const often = AGAIN + 4 * Number.parseInt(expected[part].at(-1), 10);
    for (let i = 0; i < often && texts(found).some((text) => !seen.has(text)); i++) {
      for (const text of texts(await ask(theirs.base, path))) seen.add(text);
    }
    const missing = texts(found).find((text) => !seen.has(text));
    if (missing !== undefined) return `${part}: ${missing}\n  is none of ${[...seen].join('\n  ')}`;
  }
  return undefined;
}

/** Asks one query over all the data at each of some steps, or at one time. */
async function show(theirs, ours) {
  const { query } = options;
  const end = START_SECONDS + STEPS * INTERVAL_SECONDS;
  const asked = { start: String(START_SECONDS), end: String(end), step: '600', ...options };
  const path =
    options.time === undefined
      ? `/api/v1/query_range?${new URLSearchParams(asked)}`
      : `/api/v1/query?${new URLSearchParams({ query, time: options.time })}`;
  const [expected, found] = await Promise.all([ask(theirs.base, path), ask(ours.base, path)]);
  const difference = differenceOf(query, found, expected, () => {});
  const whole = options.whole === undefined ? 600 : undefined;
  console.log(`theirs: ${JSON.stringify(expected).slice(0, whole)}\nours:   ${JSON.stringify(found).slice(0, whole)}`);
  console.log(`difference: ${difference ?? 'none'}`);
  return difference === undefined ? 0 : 1;
}

/** A path and the query in it. */
function request(random, expressions) {
  const query = expressions.next();
  const span = STEPS * INTERVAL_SECONDS;
  const start = START_SECONDS + Math.floor(random.next() * span * 1000) / 1000;
  const more = random.chance(0.05) ? { lookback_delta: random.pick(['10s', '1h', '47']) } : {};
  if (random.chance(0.4)) {
    return [`/api/v1/query?${new URLSearchParams({ query, time: String(start), ...more })}`, query];
  }
  const step = random.pick([1, 15, 15, 37, 60, 61.5, 300]);
  const end = start + random.below(60) * step;
  const times = { start: String(start), end: String(end), step: String(step) };
  return [`/api/v1/query_range?${new URLSearchParams({ query, ...times, ...more })}`, query];
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
