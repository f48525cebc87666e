/**
 * The engine in WASM beside the addon, with one thread and with its usual ones: the same samples in memory, the same
 * queries, in turns. Answers are compared before anything is timed. Writes bench/results/wasm.md, with the sizes of the
 * modules.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { open as openNative, openSyntax } from 'narthex';
import { loadSyntax } from 'narthex/syntax';
import { open as openWasm } from 'narthex/wasm';
import { hashOfInputs, isBuilt, modules } from '../../scripts/lib/wasm-modules.mjs';
import { CONTENT_TYPE, encodeHistograms } from '../lib/remote-write.mjs';
import { median, printTable } from '../lib/table.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const T0_MS = 1_700_000_000_000;
const STEP_MS = 15_000;
const SERIES = 1000;
const SAMPLES = 960;
const END_MS = T0_MS + SAMPLES * STEP_MS;
const HISTOGRAMS = 50;
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
  'histogram_quantile(0.9, sum by (job) (rate(h_seconds[5m])))',
  'histogram_quantile(0.9, rate(h_seconds[5m]))',
];
/** What the syntax services read; each call reads all of them so many times. */
const TEXTS = [
  ...QUERIES,
  'sum by (job, instance) (rate(http_requests_total{code=~"5..", handler!="/metrics"}[5m] offset 1h)) / 2',
  'max_over_time((a + on (b) group_left (c) d{e="f"} > bool 0.5)[1h:1m] @ end()) or absent(g) unless k{h!~"i|j.*"}',
];
const TEXT_REPEATS = 20;

export async function run() {
  const stale = modules.filter((module) => !module.extra && !isBuilt(module, hashOfInputs())).map(({ name }) => name);
  if (stale.length > 0) throw new Error(`absent or stale: ${stale.join(', ')}; npm run build:wasm`);
  const folder = mkdtempSync(join(tmpdir(), 'narthex-bench-wasm-'));
  try {
    const rows = [...(await memory()), await blocks(folder), await texts()];
    report(rows);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const OPTIONS = { retentionMs: 0, minBlockDurationMs: 365 * 24 * 3_600_000 };

/** Samples in, queries out. */
async function memory() {
  const engines = {
    one: await openNative({ dir: ':memory:', queryThreads: 1, ...OPTIONS }),
    all: await openNative({ dir: ':memory:', ...OPTIONS }),
    wasm: await openWasm(OPTIONS),
  };
  const rows = [];
  const batch = floats();
  rows.push(
    await compare(
      'append 960,000 samples',
      engines,
      async (engine) => {
        const { appended } = await engine.append(batch);
        if (appended !== SERIES * SAMPLES) throw new Error(`${appended} samples were taken in`);
      },
      1,
    ),
  );
  const request = histograms();
  for (const engine of Object.values(engines)) await takeIn(engine, request);
  const targets = Object.fromEntries(Object.entries(engines).map(([name, engine]) => [name, scraper(engine)]));
  rows.push(await compare('scrape of 1,000 samples, text format', targets, (scrape) => scrape(), 4 * ROUNDS));
  for (const query of QUERIES) {
    const ask = (engine) => engine.queryRangeJson({ query, startMs: T0_MS + 3_600_000, endMs: END_MS, stepMs: 60_000 });
    const answers = [];
    for (const engine of Object.values(engines)) answers.push(text(await ask(engine)));
    if (answers.some((answer) => answer !== answers[0])) throw new Error(`${query}: the answers differ`);
    if (!answers[0].includes('"values"') && !answers[0].includes('"histograms"')) throw new Error(`${query}: nothing`);
    rows.push({
      ...(await compare(`\`${query}\``, engines, (engine) => ask(engine).then((b) => b.free()))),
      isQuery: true,
    });
  }
  for (const engine of Object.values(engines)) await engine.close();
  return rows;
}

/** Opening a block and asking one thing of it: the addon maps its files, WASM is given their bytes. */
async function blocks(folder) {
  const source = await openNative({ dir: join(folder, 'source'), ...OPTIONS });
  await source.append(floats());
  await source.snapshot('bench', true);
  await source.close();
  const from = join(folder, 'source', 'snapshots', 'bench');
  const names = readdirSync(from).filter((name) => /^[0-9A-Z]{26}$/.test(name));
  const files = names.map((name) => {
    const paths = [
      'meta.json',
      'index',
      'tombstones',
      ...readdirSync(join(from, name, 'chunks')).map((n) => `chunks/${n}`),
    ];
    return Object.fromEntries(paths.map((path) => [path, readFileSync(join(from, name, path))]));
  });
  const native = (options) => async () => {
    const dir = mkdtempSync(join(folder, 'blocks-'));
    for (const name of names) cpSync(join(from, name), join(dir, name), { recursive: true });
    return () => openNative({ dir, ...options, ...OPTIONS });
  };
  const openers = {
    one: native({ queryThreads: 1 }),
    all: native({}),
    wasm: async () => () => openWasm({ blocks: files, ...OPTIONS }),
  };
  const ask = async (opener, keep) => {
    const open = await opener();
    return timed(async () => {
      const engine = await open();
      const body = await engine.queryRangeJson({ query: QUERIES[1], startMs: T0_MS, endMs: END_MS, stepMs: 60_000 });
      keep?.(text(body));
      await engine.close();
    });
  };
  const answers = [];
  for (const opener of Object.values(openers)) await ask(opener, (answer) => answers.push(answer));
  if (answers.some((answer) => answer !== answers[0])) throw new Error('the answers over a block differ');
  return compare('open a block of 960,000 samples, one query, close', openers, ask, 7, (seconds) => seconds);
}

/** The syntax services, which need no engine. */
async function texts() {
  const services = { one: openSyntax(), all: openSyntax(), wasm: await loadSyntax() };
  const read = (syntax) => TEXTS.map((query) => syntax.formatQuery(query) + syntax.parseQueryJson(query)).join('\n');
  if (read(services.one) !== read(services.wasm)) throw new Error('the syntax services differ');
  for (let i = 0; i < 50; i++) read(services.wasm);
  const what = `format and parse ${TEXTS.length * TEXT_REPEATS} queries`;
  return compare(what, services, (syntax) => {
    for (let i = 0; i < TEXT_REPEATS; i++) read(syntax);
  });
}

/** Medians of interleaved rounds, seconds; `took` makes seconds of what a call returned, else the call is timed. */
async function compare(what, contestants, call, rounds = ROUNDS, took = undefined) {
  const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  const names = Object.keys(contestants);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length];
      const contestant = contestants[name];
      times[name].push(took ? took(await call(contestant)) : await timed(() => call(contestant)));
    }
  }
  const medians = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]));
  return { what, ...medians };
}

async function timed(call) {
  const started = process.hrtime.bigint();
  await call();
  return Number(process.hrtime.bigint() - started) / 1e9;
}

function floats() {
  const modes = ['user', 'system', 'idle', 'iowait'];
  const timestamps = Float64Array.from({ length: SAMPLES }, (_, i) => T0_MS + i * STEP_MS);
  const random = generator();
  return Array.from({ length: SERIES }, (_, i) => {
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
}

/** A generator of its own, so that every run asks about the same numbers. */
function generator() {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** 50 native histograms of 40 buckets each minute. */
function histograms() {
  const random = generator();
  const series = Array.from({ length: HISTOGRAMS }, (_, i) => {
    const buckets = Array.from({ length: 40 }, () => 1);
    const samples = Array.from({ length: SAMPLES / 4 }, (_, k) => {
      for (let j = 0; j < 60; j++) buckets[Math.floor(random() * 40)]++;
      return { t: T0_MS + k * 4 * STEP_MS, schema: 3, sum: 100 * (k + 1), buckets: [...buckets] };
    });
    return { labels: { __name__: 'h_seconds', instance: `b:${i}`, job: 'bench' }, histograms: samples };
  });
  return encodeHistograms(series);
}

async function takeIn(engine, request) {
  const report = await engine.ingestRemoteWrite({
    pieces: [request],
    contentType: CONTENT_TYPE,
    contentEncoding: 'snappy',
  });
  if (report.histograms !== (HISTOGRAMS * SAMPLES) / 4) throw new Error(`remote write: ${JSON.stringify(report)}`);
}

/** Each call is the next scrape of one target. */
function scraper(engine) {
  const target = engine.openTarget({
    labels: { job: 'bench', instance: 'c:1' },
    honorLabels: false,
    honorTimestamps: true,
    trackTimestampsStaleness: false,
    metricRelabelRules: [],
    validationScheme: 'utf8',
    fallbackContentType: '',
    bodySizeLimitBytes: 0,
    sampleLimit: 0,
    labelLimit: 0,
    labelNameLengthLimit: 0,
    labelValueLengthLimit: 0,
    extraScrapeMetrics: false,
    scrapeTimeoutMs: 10_000,
  });
  const bodies = [0, 1, 2, 3].map((step) => {
    const lines = Array.from(
      { length: SERIES },
      (_, i) => `s_total{cpu="${i >> 2}",mode="${i % 4}"} ${i * 100 + step * 7}`,
    );
    return Buffer.from(`# TYPE s_total counter\n${lines.join('\n')}\n`);
  });
  let scrapes = 0;
  return async () => {
    const { error, samplesScraped } = await target.ingest({
      pieces: [bodies[scrapes % bodies.length]],
      contentEncoding: '',
      contentType: 'text/plain; version=0.0.4',
      timestampMs: END_MS + ++scrapes * STEP_MS,
      elapsedSeconds: 0,
    });
    if (error !== undefined || samplesScraped !== SERIES) throw new Error(`a scrape failed: ${error}`);
  };
}

function text(body) {
  const pieces = [];
  for (let piece = body.next(); piece !== null; piece = body.next()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

function report(rows) {
  const ms = (seconds) => `${(seconds * 1e3).toPrecision(3)} ms`;
  const table = rows.map(({ what, one, all, wasm }) => [
    what,
    ms(one),
    ms(all),
    ms(wasm),
    (one / wasm).toFixed(2),
    (all / wasm).toFixed(2),
  ]);
  const heading = [
    '',
    'addon, one thread',
    'addon, its threads',
    'WASM',
    'speed, one thread = 1',
    'speed, its threads = 1',
  ];
  printTable(heading, table);
  const queries = rows.filter(({ isQuery }) => isQuery);
  const mean = (of) => Math.exp(queries.reduce((sum, row) => sum + Math.log(of(row)), 0) / queries.length).toFixed(2);
  const verdict =
    `geometric mean of the queries: ${mean(({ one, wasm }) => one / wasm)} of the addon's speed with one thread ` +
    `(goal: ${GOAL}), ${mean(({ all, wasm }) => all / wasm)} of that with its threads`;
  console.log(verdict);
  const sizes = Object.entries(LIMITS).map(([name, limit]) => {
    const bytes = readFileSync(join(root, 'dist', 'wasm', `${name}.wasm`));
    const kB = (n) => `${Math.round(n / 1000)} kB`;
    return [name, kB(bytes.length), kB(gzipSync(bytes, { level: 9 }).length), kB(limit)];
  });
  const processors = cpus();
  const lines = [
    '# The engine in WASM',
    '',
    'Written by `npm run bench -- suite wasm`. All engines hold the same samples in memory, 1,000 series of 960 and 50 native',
    'histograms of 240, and give the same answers. Medians of 15 interleaved rounds; queries over 181 steps, to JSON. The addon',
    'answers from its own threads through a promise, opens the block from files and logs what it takes in.',
    '',
    `Node ${process.version}, ${processors[0]?.model ?? 'unknown processor'}, ${processors.length} cores.`,
    '',
    ...markdown(heading, table),
    '',
    `${verdict[0].toUpperCase()}${verdict.slice(1)}.`,
    '',
    ...markdown(['module', 'size', 'gzipped', 'goal, gzipped'], sizes),
    '',
  ];
  writeFileSync(join(root, 'bench', 'results', 'wasm.md'), lines.join('\n'));
}

function markdown(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}
