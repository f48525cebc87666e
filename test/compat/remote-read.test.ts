/**
 * Remote read beside Prometheus 3.16: the same requests to both, answers compared to the byte; and both ways in service,
 * Prometheus reading from us, and we from it, compared series by series.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { withBoth as startBoth } from '../support/both.ts';
import { narthex, type Running, startServer } from '../support/program.ts';
import {
  decodeFrames,
  decodeSamples,
  encodeRead,
  literal,
  type ReadFrame,
  type ReadMatcher,
  type ReadQuery,
  SAMPLES,
  STREAMED_XOR_CHUNKS,
} from '../support/remote-read.ts';
import { remoteWrite, type SentSeries } from '../support/remote-write.ts';
import { currentPeer } from '../support/require.ts';

const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-read-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const now = Math.floor(Date.now() / 1000) * 1000;
const T0 = now - 600_000;
const SAMPLES_PER_SERIES = 500;

const times = Array.from({ length: SAMPLES_PER_SERIES }, (_, i) => T0 + i * 1000);

function histogram(i: number) {
  return { count: 2 * i + 3, sum: i * 1.5, schema: 1, zeroThreshold: 0.001, zeroCount: 1 };
}

/** Floats of several kinds, a stale marker, and native histograms of all kinds. */
const DATA: SentSeries[] = [
  ...['1', '2', '3'].map((x, n) => ({
    labels: { __name__: 'f', x, job: 'j' },
    samples: times.map((t, i) => ({ t, v: [i, Math.sqrt(i), i % 7 === 3 ? Number.NaN : 1][n] ?? 0 })),
  })),
  {
    labels: { __name__: 'h', x: 'int' },
    histograms: times.map((t, i) => ({ t, ...histogram(i), positiveSpans: [[0, 2]], positive: [i + 1, i + 1] })),
  },
  {
    labels: { __name__: 'h', x: 'float' },
    histograms: times.map((t, i) => ({
      t,
      ...histogram(i),
      isFloat: true,
      positiveSpans: [[0, 2]],
      positive: [i + 1, i + 1],
    })),
  },
  {
    labels: { __name__: 'h', x: 'custom' },
    histograms: times.map((t, i) => ({
      t,
      count: 2 * i + 2,
      sum: i,
      schema: -53,
      bounds: [1, 2.5],
      positiveSpans: [[0, 2]],
      positive: [i + 1, i + 1],
    })),
  },
  {
    labels: { __name__: 'h', x: 'gauge' },
    histograms: times.map((t, i) => ({
      t,
      ...histogram(i % 10),
      isGauge: true,
      positiveSpans: [[0, 2]],
      positive: [(i % 10) + 1, (i % 10) + 1],
    })),
  },
];

const all: ReadMatcher = { type: '=~', name: '__name__', value: '.+' };
const query = (from: number, to: number, ...matchers: ReadMatcher[]): ReadQuery => ({
  startMs: T0 + from * 1000,
  endMs: T0 + to * 1000,
  matchers,
});

const QUERIES: { name: string; queries: ReadQuery[] }[] = [
  { name: 'everything', queries: [query(-100, 1000, all)] },
  { name: 'a part', queries: [query(117, 333, { type: '=', name: '__name__', value: 'f' })] },
  { name: 'a part of histograms', queries: [query(117, 333, { type: '!=', name: '__name__', value: 'f' })] },
  { name: 'several', queries: [query(0, 10, all), query(5, 5, { type: '!~', name: 'x', value: '[0-9]' })] },
  { name: 'nothing', queries: [query(2000, 3000, all), query(0, 10, { type: '=', name: 'none', value: 'x' })] },
  { name: 'no matcher', queries: [query(0, 10)] },
  { name: 'no query', queries: [] },
  { name: 'an external label', queries: [query(0, 10, all, { type: '=', name: 'dc', value: 'eu' })] },
  { name: 'another external label', queries: [query(0, 10, all, { type: '=', name: 'dc', value: 'us' })] },
  {
    name: 'an external label that series have',
    queries: [query(0, 10, all, { type: '=', name: 'job', value: 'external' })],
  },
  {
    name: 'hints',
    queries: [{ ...query(0, 100, all), hints: { startMs: T0 + 20_000, endMs: T0 + 30_000, func: 'rate' } }],
  },
  {
    name: 'series alone',
    queries: [{ ...query(0, 100, all), hints: { startMs: T0, endMs: T0 + 30_000, func: 'series' } }],
  },
];

async function read(url: string, body: Uint8Array<ArrayBuffer>) {
  const response = await fetch(`${url}/api/v1/read`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body,
  });
  const type = response.headers.get('content-type');
  return { status: response.status, type, body: Buffer.from(await response.arrayBuffer()) };
}

/**
 * Frames without what histogram chunks say of a reset before them, where that is that there was none: nobody may rely on
 * it, and Prometheus forgets it of the chunk that is being filled.
 */
function comparable(body: Buffer): ReadFrame[] {
  const frames = decodeFrames(body);
  for (const chunk of frames.flatMap(({ chunks }) => chunks)) {
    if ([2, 3].includes(chunk.encoding)) chunk.data = chunk.data.replace(/^(....)40/, '$100');
  }
  return frames;
}

function withBoth(
  { flags, externalLabels }: { flags: string[]; externalLabels: Record<string, string> },
  use: (ours: Running, theirs: Running) => Promise<void>,
): Promise<void> {
  const config = { global: { external_labels: externalLabels } };
  const filling = async (ours: Running, theirs: Running) => {
    await Promise.all([ours, theirs].map(({ url }) => remoteWrite(url, DATA)));
    await use(ours, theirs);
  };
  const all = ['--web.enable-remote-write-receiver', ...flags];
  return startBoth({ prometheus: prometheus ?? '', scratch, config, flags: all }, filling);
}

describe.skipIf(prometheus === undefined)('the same requests', () => {
  test('have the same answers', { timeout: 120_000 }, async () => {
    const flags = ['--storage.remote.read-max-bytes-in-frame=700'];
    await withBoth({ flags, externalLabels: { dc: 'eu', job: 'external' } }, async (ours, theirs) => {
      for (const { name, queries } of QUERIES) {
        const samples = encodeRead(queries, [SAMPLES]);
        const [mine, peers] = await Promise.all([read(ours.url, samples), read(theirs.url, samples)]);
        expect([mine.status, mine.type], name).toEqual([peers.status, peers.type]);
        expect(decodeSamples(mine.body), name).toEqual(decodeSamples(peers.body));
        const chunks = encodeRead(queries, [7, STREAMED_XOR_CHUNKS]);
        const [ourChunks, theirChunks] = await Promise.all([read(ours.url, chunks), read(theirs.url, chunks)]);
        expect([ourChunks.status, ourChunks.type], name).toEqual([theirChunks.status, theirChunks.type]);
        expect(comparable(ourChunks.body), name).toEqual(comparable(theirChunks.body));
      }
    });
  });

  test('are refused with the same words', { timeout: 120_000 }, async () => {
    const flags = ['--storage.remote.read-sample-limit=100'];
    await withBoth({ flags, externalLabels: { dc: 'eu' } }, async (ours, theirs) => {
      const plain = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));
      const regex: ReadMatcher = { type: '=~', name: 'x', value: '(' };
      const cases: { name: string; body: Uint8Array<ArrayBuffer>; otherText?: boolean }[] = [
        { name: 'too many samples', body: encodeRead([query(0, 100, all)], [SAMPLES]) },
        { name: 'as many as may be', body: encodeRead([query(0, 13, all)], [SAMPLES]) },
        { name: 'no known type', body: encodeRead([], [7, -1]) },
        { name: 'a bad expression', body: encodeRead([query(0, 1, regex)], [SAMPLES]) },
        { name: 'a bad expression in a stream', body: encodeRead([query(0, 1, regex)], [STREAMED_XOR_CHUNKS]) },
        { name: 'no body', body: plain('') },
        { name: 'no snappy', body: plain('this is no snappy block') },
        { name: 'a length that it does not have', body: plain('\xff\xff\x07\x00a') },
        { name: 'a bomb', body: plain('\xff\xff\xff\xff\x07\x00') },
        { name: 'no protobuf', body: literal(Buffer.from([0x0a, 9])), otherText: true },
        { name: 'a matcher of no type', body: literal(Buffer.from('0a041a020809', 'hex')) },
        { name: 'too long a body', body: new Uint8Array(33 * 1024 * 1024) },
      ];
      const differences: object[] = [];
      for (const { name, body, otherText } of cases) {
        const [mine, peers] = (await Promise.all([read(ours.url, body), read(theirs.url, body)])).map(
          ({ status, type, body: answer }) => ({ status, type, text: status === 200 ? '' : answer.toString() }),
        );
        if (mine && peers && otherText) mine.text = peers.text;
        if (JSON.stringify(mine) !== JSON.stringify(peers)) differences.push({ name, mine, peers });
      }
      expect(differences).toEqual([]);
    });
  });
});

const ASKED = [
  'f',
  'h',
  'f[10m]',
  'h[10m]',
  'sum by (x) (rate(f[2m]))',
  'histogram_quantile(0.9, rate(h[2m]))',
  'count({__name__=~".+"})',
];

async function answers(url: string): Promise<Record<string, unknown>> {
  const out: Record<string, unknown> = {};
  for (const expression of ASKED) {
    for (const [path, times] of [
      ['query', { time: String((T0 + 480_000) / 1000) }],
      ['query_range', { start: String(T0 / 1000), end: String((T0 + 550_000) / 1000), step: '7' }],
    ] as const) {
      if (path === 'query_range' && expression.endsWith('m]')) continue;
      const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams({ query: expression, ...times })}`);
      const { data, warnings = [] } = (await response.json()) as {
        data: { result: { metric: Record<string, string> }[] };
        warnings?: string[];
      };
      const key = ({ metric }: { metric: Record<string, string> }) =>
        JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
      out[`${path} ${expression}`] = [data.result.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)), warnings];
    }
  }
  return out;
}

/** A server of `command` over an empty directory that reads from `from`. */
async function reader(command: string[], name: string, from: string): Promise<Running> {
  const dir = mkdtempSync(join(scratch, `${name}-`));
  const file = join(dir, 'reader.yml');
  const entry = { url: `${from}/api/v1/read`, read_recent: true };
  writeFileSync(file, JSON.stringify({ global: { external_labels: { dc: 'eu' } }, remote_read: [entry] }));
  return startServer([...command, `--config.file=${file}`, `--storage.tsdb.path=${join(dir, 'data')}`]);
}

describe.skipIf(prometheus === undefined)('a server without data', () => {
  test('answers as the one that it reads from', { timeout: 120_000 }, async () => {
    await withBoth({ flags: [], externalLabels: { dc: 'eu' } }, async (ours, theirs) => {
      const peer = prometheus ?? '';
      const started = await Promise.all([
        reader([peer], 'prometheus-from-us', ours.url),
        reader([...narthex, 'server'], 'us-from-prometheus', theirs.url),
        reader([...narthex, 'server'], 'us-from-us', ours.url),
        reader([peer], 'prometheus-from-prometheus', theirs.url),
      ]);
      try {
        const want = await answers(theirs.url);
        expect(await answers(ours.url)).toEqual(want);
        for (const server of started) expect(await answers(server.url)).toEqual(want);
        const series = await Promise.all(
          started.map(async ({ url }) => {
            const search = new URLSearchParams({ 'match[]': 'f', start: String(T0 / 1000), end: String(now / 1000) });
            return ((await (await fetch(`${url}/api/v1/series?${search}`)).json()) as { data: object[] }).data;
          }),
        );
        for (const list of series) expect(list).toEqual(series[3]);
        const labels = await Promise.all(
          started.map(async ({ url }) => (await fetch(`${url}/api/v1/label/x/values`)).json()),
        );
        for (const answer of labels) expect(answer).toEqual(labels[3]);
        expect(series[0]?.length).toBe(3);
      } finally {
        await Promise.all(started.map((server) => server.stop()));
      }
    });
  });
});
