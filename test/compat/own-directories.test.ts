/**
 * Directories of ours beside Prometheus' own of the same requests: native histograms of every kind, exemplars, late
 * samples, deletions, XOR2 and start timestamps, every compression of the log. Prometheus answers the same from either,
 * and we from ours once Prometheus has compacted it.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type EngineFeature, type EngineOptions, open } from 'narthex';
import { describe, expect, test } from 'vitest';
import type { Recorded } from '../support/answers.ts';
import { narthex } from '../support/program.ts';
import {
  encodeRequest,
  REMOTE_WRITE_2,
  remoteWrite,
  type SentHistogram,
  type SentSeries,
} from '../support/remote-write.ts';
import { currentPeer } from '../support/require.ts';
import {
  blocksIn,
  complaints,
  corruptions,
  differences,
  metric,
  promtoolRuns,
  record,
  type Setup,
  scratch,
} from '../support/vectors.ts';

const prometheus = currentPeer('prometheus');
const promtool = currentPeer('promtool');
const space = scratch('own');

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = Date.UTC(2026, 0, 1);
/** Enough beyond a block and a half that the first two hours become a block. */
const STEPS = 225;
const END_MS = START_MS + (STEPS - 1) * MINUTE_MS;
const RESET_AT = 100;

/** Buckets that grow with time and start again; integers. */
function counts(i: number, n: number): number[] {
  const since = i < RESET_AT ? i : i - RESET_AT;
  return Array.from({ length: n }, (_, k) => (since + 1) * (k + 1) + ((since * 7 + k) % 3));
}

/** A histogram at a step; `share` makes its counts floats. */
function histogramAt(i: number, schema: number, buckets: number[], share = 1): SentHistogram {
  const t = START_MS + i * MINUTE_MS;
  const positive = buckets.map((n) => n * share);
  const half = Math.ceil(positive.length / 2);
  return {
    t,
    st: i < RESET_AT ? START_MS : START_MS + RESET_AT * MINUTE_MS - 1,
    isFloat: share !== 1,
    schema,
    count: positive.reduce((sum, n) => sum + n, schema === -53 ? 0 : share),
    sum: positive.reduce((sum, n) => sum + n, 0) / 3,
    ...(schema === -53 ? { bounds: [0.1, 0.5, 1, 5, 10, 50] } : { zeroThreshold: 0.001, zeroCount: share }),
    positiveSpans: [
      [schema === -53 ? 0 : -2, half],
      ...(half < positive.length ? [[1, positive.length - half] as [number, number]] : []),
    ],
    positive,
  };
}

/** Every kind of histogram at a step, by name. */
function histogramsAt(i: number): Record<string, SentHistogram> {
  const growing = 3 + Math.floor(i / 40);
  const plain = histogramAt(i, 3, counts(i, 6));
  return {
    int_seconds: plain,
    float_seconds: histogramAt(i, 2, counts(i, 5), 0.5),
    custom_seconds: histogramAt(i, -53, counts(i, 5)),
    custom_float_seconds: histogramAt(i, -53, counts(i, 4), 0.25),
    deleted_histogram: histogramAt(i, 1, counts(i, 5)),
    growing_seconds: histogramAt(i, 1, counts(i, growing)),
    schema_seconds: histogramAt(i, i % 90 < 60 ? 4 : 2, counts(i, 4)),
    gauge_histogram: { ...histogramAt(i, 0, counts((i * 37) % 100, 4)), isGauge: true },
    gauge_float_histogram: { ...histogramAt(i, 0, counts((i * 53) % 100, 4), 0.5), isGauge: true },
    negative_histogram: {
      ...histogramAt(i, 0, counts((i * 11) % 50, 3)),
      count: counts((i * 11) % 50, 3).reduce((sum, n) => sum + 2 * n, 1),
      negativeSpans: [[1, 3]],
      negative: counts((i * 11) % 50, 3),
      isGauge: true,
    },
    ...(i % 50 === 49 ? { stale_seconds: { ...plain, sum: NaN } } : { stale_seconds: plain }),
    ...(i % 80 < 40 ? { changing: histogramAt(i, 0, counts(i, 4)) } : {}),
  };
}

/** The floats of a step, by name. */
function floatsAt(i: number): Record<string, number> {
  return {
    requests_total: i < RESET_AT ? i * 7 : (i - RESET_AT) * 5,
    constant: Math.PI,
    noise: Math.sin(i * 12.9898) * 43758.5453,
    cents: Math.round(i * i * 3.7) / 100,
    ends: [0, -0, Number.MAX_VALUE, Number.MIN_VALUE, Infinity, -Infinity, 0.1][i % 7] ?? 0,
    goes_stale: i % 30 === 29 ? NaN : i,
    deleted_early: i,
    deleted_late: i,
    ...(i % 80 < 40 ? {} : { changing: i }),
  };
}

/** Whether the sample of a series at a step comes late, and then by half an hour; none that are deleted do. */
const LATE_STEPS = 30;
const comesLate = (name: string, i: number, k: number) => !name.startsWith('deleted') && i > 10 && (i + k) % 6 === 0;

/** What is sent at a step: the samples of its time, and those that were held back. */
function requestAt(step: number): SentSeries[] {
  const held = step - LATE_STEPS;
  const sent: SentSeries[] = [];
  for (const [i, isLate] of [
    [step, false],
    [held, true],
  ] as const) {
    if (i < 0) continue;
    const t = START_MS + i * MINUTE_MS;
    const st = i < RESET_AT ? START_MS - 1 : START_MS + RESET_AT * MINUTE_MS - 1;
    for (const [k, [name, v]] of Object.entries(floatsAt(i)).entries()) {
      if (comesLate(name, i, k) !== isLate) continue;
      const labels = { __name__: name, instance: 'ü"\\', job: 'own' };
      const exemplars = [{ labels: { trace_id: `${i}` }, t: t - 500, v: i }];
      sent.push({
        labels,
        samples: [{ t, v, ...(name === 'requests_total' ? { st } : {}) }],
        ...(name === 'requests_total' && !isLate ? { exemplars } : {}),
      });
    }
    for (const [k, [name, histogram]] of Object.entries(histogramsAt(i)).entries()) {
      if (comesLate(name, i, k) !== isLate) continue;
      sent.push({ labels: { __name__: name, job: 'own' }, histograms: [histogram] });
    }
  }
  return sent;
}

/** Of series without late samples: deleted in a block, such can come back with a restart (DURABILITY.md). */
const EARLY = { match: ['deleted_early'], startMs: START_MS, endMs: START_MS + HOUR_MS / 2 };
const LATE = {
  match: ['deleted_late', 'deleted_histogram'],
  startMs: START_MS + HOUR_MS,
  endMs: START_MS + 3 * HOUR_MS,
};
const EARLY_AT = 70;

const seconds = (ms: number) => String(ms / 1000);
const span = { start: seconds(START_MS), end: seconds(END_MS) };
const at = (query: string): Pick<Recorded, 'path' | 'params'> => ({
  path: '/api/v1/query',
  params: { query, time: seconds(END_MS) },
});
const over = (query: string): Pick<Recorded, 'path' | 'params'> => ({
  path: '/api/v1/query_range',
  params: { query, ...span, step: '150' },
});

const questions = [
  at('{__name__!=""}[1d]'),
  at('{job="own"}'),
  at('count by (__name__) ({job="own"})'),
  ...['int_seconds', 'custom_float_seconds', 'changing'].map((name) => at(`resets(${name}[5h])`)),
  ...['requests_total', 'rate(requests_total[10m])', 'increase(int_seconds[15m])', 'avg_over_time(cents[7m])'].map(
    over,
  ),
  ...['int_seconds', 'float_seconds', 'growing_seconds', 'schema_seconds', 'custom_seconds'].map((name) =>
    over(`histogram_quantile(0.9, rate(${name}[10m]))`),
  ),
  ...['gauge_histogram', 'gauge_float_histogram', 'negative_histogram'].map((name) => over(`histogram_avg(${name})`)),
  ...['stale_seconds', 'changing', 'custom_float_seconds', 'goes_stale', 'deleted_early', 'deleted_late'].map(over),
  { path: '/api/v1/labels', params: span },
  { path: '/api/v1/label/__name__/values', params: span },
  { path: '/api/v1/series', params: { 'match[]': '{job="own"}', ...span } },
];
/** Those of the last half hour: a checkpoint drops older ones. */
const exemplars = {
  path: '/api/v1/query_exemplars',
  params: { query: 'requests_total', start: seconds(END_MS - HOUR_MS / 2), end: seconds(END_MS) },
};

const config = (floats: string) =>
  `storage: {tsdb: {out_of_order_time_window: 2h, chunk_encoding: {floats: ${floats}}}}\n`;

const variants: [name: string, setup: Setup & { features: EngineFeature[] }, options: Partial<EngineOptions>][] = [
  ['XOR, snappy', { config: config('xor'), features: ['exemplar-storage'] }, { walCompression: 'snappy' }],
  [
    'XOR2, zstd',
    { config: config('xor2'), features: ['exemplar-storage', 'metadata-wal-records'] },
    { walCompression: 'zstd', floatChunkEncoding: 'xor2' },
  ],
  [
    'XOR2 with start timestamps, not compressed, short segments',
    { config: config('xor2'), features: ['exemplar-storage', 'st-storage', 'histograms-st-encoding'] },
    { walCompression: 'none', floatChunkEncoding: 'xor2', walSegmentBytes: 32_768 },
  ],
];

describe.skipIf(prometheus === undefined || promtool === undefined).each(variants)('%s', (name, setup, options) => {
  const theirs = [prometheus ?? ''];
  const ours = [...narthex, 'server'];
  const place = name.replaceAll(/\W+/g, '-');
  const dataDir = space.path(`${place}-ours`);
  const recorded: Recorded[] = [];

  test('the same requests to both programs leave the same answers', { timeout: 120_000 }, async () => {
    const [peer, engine] = await Promise.all([
      space.serve(theirs, space.path(`${place}-theirs`), setup, '--web.enable-remote-write-receiver'),
      open({
        dir: dataDir,
        minBlockDurationMs: 2 * HOUR_MS,
        retentionMs: 0,
        outOfOrderTimeWindowMs: 2 * HOUR_MS,
        features: setup.features,
        ...options,
      }),
    ]);
    const remove = async ({ match, startMs, endMs }: typeof EARLY) => {
      const form = new URLSearchParams(match.map((each): [string, string] => ['match[]', each]));
      form.append('start', seconds(startMs));
      form.append('end', seconds(endMs));
      const response = await fetch(`${peer.url}/api/v1/admin/tsdb/delete_series?${form}`, { method: 'POST' });
      expect(response.status).toBe(204);
      await engine.deleteSeries({ match, startMs, endMs });
    };
    for (let step = 0; step < STEPS; step++) {
      const series = requestAt(step);
      await remoteWrite(peer.url, series);
      const pieces = [encodeRequest(series)];
      const report = await engine.ingestRemoteWrite({ pieces, contentType: REMOTE_WRITE_2, contentEncoding: 'snappy' });
      expect(report.refusal).toBeUndefined();
      if (step === EARLY_AT) await remove(EARLY);
      if (step % 10 === 9) await engine.maintain();
    }
    await expect
      .poll(() => metric(peer.url, 'prometheus_tsdb_head_min_time_seconds'), { timeout: 20_000 })
      .toBeGreaterThan(START_MS / 1000);
    await remove(LATE);
    for (const each of [...questions, exemplars]) recorded.push(await record(peer.url, each));
    expect(recorded.map(({ status }) => status)).toEqual(recorded.map(() => 200));
    await peer.stop();
    await engine.close();
    expect(blocksIn(dataDir)).toHaveLength(blocksIn(space.path(`${place}-theirs`)).length);
    expect(readdirSync(join(dataDir, 'wbl')).length).toBeGreaterThan(0);
    const hasCheckpoint = readdirSync(join(dataDir, 'wal')).some((file) => file.startsWith('checkpoint.'));
    expect(hasCheckpoint).toBe(options.walSegmentBytes !== undefined);
    const server = await space.serve(ours, space.copy(dataDir, `${place}-again`), setup);
    expect(await differences(server.url, recorded)).toEqual([]);
    await server.stop();
    expect(complaints(server.output())).toEqual([]);
  });

  test('Prometheus and promtool open ours, and we what Prometheus made of it', { timeout: 120_000 }, async () => {
    const copy = space.copy(dataDir, `${place}-copy`);
    const tool = promtoolRuns(promtool ?? '', copy);
    expect(tool.list().sort()).toEqual(blocksIn(copy).sort());
    expect(tool.analyze()).toHaveLength(blocksIn(copy).length);
    const server = await space.serve(theirs, copy, setup, '--web.enable-remote-write-receiver');
    expect(await differences(server.url, recorded)).toEqual([]);
    expect(await corruptions(server.url)).toEqual({});
    const later = START_MS + 18 * HOUR_MS;
    await remoteWrite(server.url, [{ labels: { __name__: 'constant', job: 'own' }, samples: [{ t: later, v: 1 }] }]);
    await expect
      .poll(() => metric(server.url, 'prometheus_tsdb_head_min_time_seconds'), { timeout: 20_000 })
      .toBeGreaterThan(END_MS / 1000);
    const cleaned = await fetch(`${server.url}/api/v1/admin/tsdb/clean_tombstones`, { method: 'POST' });
    expect(cleaned.status).toBe(204);
    const lasting = recorded.slice(0, -1);
    expect(await differences(server.url, lasting)).toEqual([]);
    await server.stop();
    expect(complaints(server.output())).toEqual([]);
    const reader = await space.serve(ours, copy, setup);
    expect(await differences(reader.url, lasting)).toEqual([]);
    expect(await corruptions(reader.url)).toEqual({});
    await reader.stop();
    expect(complaints(reader.output())).toEqual([]);
  });
});
