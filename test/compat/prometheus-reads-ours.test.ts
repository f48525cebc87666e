/** Blocks and a write-ahead log written by us open in promtool and in Prometheus, sample for sample. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, open, type SeriesBatch } from 'narthex';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { differenceOf, type Recorded } from '../support/answers.ts';
import { startServer } from '../support/program.ts';
import { currentPeer, findProgram, orSkip } from '../support/require.ts';

/** Any release reads these formats; the one we stand in for must where peers are required. */
const promtool = currentPeer('promtool') ?? orSkip('promtool', findProgram('promtool'), 'Debian has it in prometheus');
const prometheus = currentPeer('prometheus') ?? findProgram('prometheus');

const HOUR = 3_600_000;
const STEP = 15_000;
const START = Date.UTC(2026, 0, 1);
/** Enough beyond a block and a half that the first two hours become a block. */
const END = START + 3.5 * HOUR;

const scratch = mkdtempSync(join(tmpdir(), 'narthex-compat-'));
const dir = join(scratch, 'data');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Values whose encoding differs: counters, constants, noise, gaps, the odd ends of the floats. */
const shapes: Record<string, (i: number) => number | undefined> = {
  counter_total: (i) => i * 7,
  constant: () => Math.PI,
  noise: (i) => Math.sin(i * 12.9898) * 43758.5453,
  gaps: (i) => (i % 40 < 30 ? i : undefined),
  ends: (i) => [0, -0, Number.MAX_VALUE, Number.MIN_VALUE, Infinity, -Infinity, NaN, 0.1][i % 8],
  late: (i) => (i > 700 ? i / 3 : undefined),
};

function batches(): SeriesBatch[] {
  return Object.entries(shapes).flatMap(([name, valueAt]) =>
    ['a', 'ü"\\'].map((instance) => {
      const points: [number, number][] = [];
      for (let t = START, i = 0; t <= END; t += STEP, i++) {
        const value = valueAt(i);
        if (value !== undefined) points.push([t, value]);
      }
      return {
        labels: { __name__: name, instance, job: 'compat' },
        timestamps: Float64Array.from(points, ([t]) => t),
        values: Float64Array.from(points, ([, value]) => value),
      };
    }),
  );
}

/** As `promtool tsdb dump` prints them, in order. */
function dumpOf(series: SeriesBatch[]): string[] {
  return series
    .flatMap(({ labels, timestamps, values }) => {
      const names = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
      return Array.from(timestamps, (t, i) => `{${names.join(', ')}} ${printed(values[i] ?? 0)} ${t}`);
    })
    .sort();
}

/** Go's `%g` of the values above. */
function printed(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const exponent = Math.floor(Math.log10(Math.abs(value) || 1));
  if (exponent >= -4 && exponent < 21) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

/** Windows on whose edge no sample lies in the matrix: before release 3 that one counted too. */
const questions: Omit<Recorded, 'status' | 'response'>[] = [
  ...['constant', 'rate(counter_total[5m])', 'sum by (instance) (noise)', 'late offset 10m', 'gaps'].map((query) => ({
    path: '/api/v1/query_range',
    params: { query, start: String(START / 1000), end: String(END / 1000), step: '60' },
  })),
  ...['{job="compat"}', 'count_over_time(ends[4h])', 'topk(2, noise)', 'gaps[599s]'].map((query) => ({
    path: '/api/v1/query',
    params: { query, time: String(END / 1000) },
  })),
];

async function answerOf(engine: Engine, { path, params }: (typeof questions)[number]): Promise<Recorded> {
  const query = String(params.query);
  const body =
    path === '/api/v1/query'
      ? await engine.queryJson({ query, timeMs: END })
      : await engine.queryRangeJson({ query, startMs: START, endMs: END, stepMs: 60_000 });
  const pieces: Uint8Array[] = [];
  for (let piece = body.next(); piece !== null; piece = body.next()) pieces.push(piece);
  return { path, params, status: 200, response: JSON.parse(Buffer.concat(pieces).toString()) };
}

describe('a data directory written by us', () => {
  const series = batches();
  let recorded: Recorded[] = [];

  beforeAll(async () => {
    const engine = await open({ dir, minBlockDurationMs: 2 * HOUR, retentionMs: 0 });
    // Scrape by scrape, so that the head is cut as in a running server.
    for (let t = START; t <= END; t += HOUR / 4) {
      await engine.append(series.map((each) => slice(each, t, t + HOUR / 4)));
      await engine.maintain();
    }
    recorded = await Promise.all(questions.map((question) => answerOf(engine, question)));
    await engine.close();
  }, 60_000);

  test('holds a block, the rest is in the log', () => {
    expect(readdirSync(dir).filter((name) => /^[0-9A-Z]{26}$/.test(name))).toHaveLength(1);
    expect(readdirSync(join(dir, 'wal')).length).toBeGreaterThan(0);
  });

  test.skipIf(promtool === undefined)('opens in promtool: list, analyze and every sample in dump', () => {
    const run = (...args: string[]) =>
      execFileSync(promtool ?? '', ['tsdb', ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
    expect(run('list', dir).trimEnd().split('\n')).toHaveLength(2);
    // `late` begins after the block ends.
    expect(run('analyze', dir)).toMatch(/^(Total )?Series: 10$/m);
    const dumped = run('dump', dir).trimEnd().split('\n').sort();
    expect(dumped).toEqual(dumpOf(series));
  });

  test.skipIf(prometheus === undefined)('answers in Prometheus as it does here', { timeout: 60_000 }, async () => {
    const copy = join(scratch, 'copy');
    cpSync(dir, copy, { recursive: true });
    const config = join(scratch, 'prometheus.yml');
    writeFileSync(config, '');
    const flags = [`--config.file=${config}`, `--storage.tsdb.path=${copy}`, '--storage.tsdb.retention.time=100y'];
    const server = await startServer([prometheus ?? '', ...flags]);
    const differences = await Promise.all(recorded.map((each) => differenceOf(server.url, each)));
    await server.stop();
    expect(differences.filter((each) => each !== undefined)).toEqual([]);

    const again = await open({ dir: copy, retentionMs: 0 });
    for (const each of recorded) expect((await answerOf(again, each)).response).toEqual(each.response);
    await again.close();
  });
});

/** The samples of a series in `[fromMs, toMs)`. */
function slice({ labels, timestamps, values }: SeriesBatch, fromMs: number, toMs: number): SeriesBatch {
  const from = timestamps.findIndex((t) => t >= fromMs);
  const past = timestamps.findIndex((t) => t >= toMs);
  const [start, end] = [from < 0 ? timestamps.length : from, past < 0 ? timestamps.length : past];
  return { labels, timestamps: timestamps.slice(start, end), values: values.slice(start, end) };
}
