/** What every engine does, in the addon and in WASM. */
import { afterEach, describe, expect, test } from 'vitest';
import { wasmBuild } from '../../test/support/require.ts';
import { type Engine, EngineError, open, type TargetOptions } from './index.ts';
import { open as openWasm } from './wasm.ts';

const T0 = 1_700_000_000_000;
const engines: Engine[] = [];

const isBuilt = wasmBuild('wasm/engine.wasm') !== undefined;
const kinds: { kind: string; isThere: boolean; make(): Promise<Engine> }[] = [
  { kind: 'native', isThere: true, make: () => open({ dir: ':memory:' }) },
  { kind: 'wasm', isThere: isBuilt, make: () => openWasm() },
];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

const targetOptions: TargetOptions = {
  labels: { job: 'j', instance: 'h:1' },
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
  bucketLimit: 0,
  minBucketFactor: 0,
  nativeHistograms: false,
  alwaysClassicHistograms: false,
  classicHistogramsToNhcb: false,
  extraScrapeMetrics: false,
  scrapeTimeoutMs: 10_000,
};

async function text(body: { next(): Uint8Array | null }): Promise<string> {
  const pieces: Uint8Array[] = [];
  for (let piece = body.next(); piece !== null; piece = body.next()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

describe.each(kinds)('$kind', ({ isThere, make }) => {
  // What is absent, and why, has been said by `wasmBuild`.
  if (!isThere) return test.skip('absent', () => {});

  async function memory(): Promise<Engine> {
    const engine = await make();
    engines.push(engine);
    return engine;
  }

  test('what is appended comes back as columns and as JSON', async () => {
    const engine = await memory();
    const report = await engine.append([
      {
        labels: { __name__: 'm', a: 'b' },
        timestamps: Float64Array.of(T0, T0 + 1000, T0 + 2000),
        values: Float64Array.of(1, 2, 4),
      },
    ]);
    expect(report).toEqual({ appended: 3, outOfOrder: 0, duplicates: 0, outOfBounds: 0 });

    const columns = await engine.queryRange({ query: 'm * 10', startMs: T0, endMs: T0 + 2000, stepMs: 1000 });
    expect(columns.resultType).toBe('matrix');
    expect(columns.series).toHaveLength(1);
    expect(columns.series[0]?.labels).toEqual({ a: 'b' });
    expect([...(columns.series[0]?.values ?? [])]).toEqual([10, 20, 40]);

    const body = await engine.queryJson({ query: 'm', timeMs: T0 + 2000 });
    expect(JSON.parse(await text(body))).toEqual({
      status: 'success',
      data: { resultType: 'vector', result: [{ metric: { __name__: 'm', a: 'b' }, value: [1_700_000_002, '4'] }] },
    });
  });

  test('a body becomes series', async () => {
    const engine = await memory();
    const target = engine.openTarget(targetOptions);
    const report = await target.ingest({
      pieces: [Buffer.from('# HELP a_total Things.\n# TYPE a_total counter\na_total '), Buffer.from('5\n')],
      contentEncoding: '',
      contentType: 'text/plain; version=0.0.4',
      timestampMs: T0,
      elapsedSeconds: 0.1,
    });
    expect(report.error).toBeUndefined();
    expect(report.samplesScraped).toBe(1);
    expect(target.metadata()).toEqual([{ metric: 'a_total', type: 'counter', help: 'Things.', unit: '' }]);
    expect(target.metadataSize()).toEqual([1, 'counterThings.'.length]);
    const values = await engine.labelValuesJson('__name__', { match: [], startMs: T0, endMs: T0 });
    expect(JSON.parse(await text(values)).data).toContain('a_total');

    const bad = await target.ingest({
      pieces: [Buffer.from('a_total 6\na_total{ 7\n')],
      contentEncoding: '',
      contentType: 'text/plain; version=0.0.4',
      timestampMs: T0 + 1000,
      elapsedSeconds: 0.1,
    });
    expect(bad.error).toMatch(/^expected label name, got "7"/);
    target.close();
    await expect(target.markStale(T0)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('errors have codes', async () => {
    const engine = await memory();
    await expect(engine.queryJson({ query: 'sum(', timeMs: T0 })).rejects.toMatchObject({ code: 'QUERY_PARSE' });
    await expect(engine.formatQuery('{')).rejects.toMatchObject({ code: 'QUERY_PARSE' });
    expect(() => engine.checkSelector('{')).toThrow(EngineError);
    expect(() => engine.relabeler([], 'ascii' as 'utf8')).toThrow(/ascii/);
    await engine.close();
    await expect(engine.queryJson({ query: '1', timeMs: T0 })).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('an answer can be given back unread', async () => {
    const engine = await memory();
    const body = await engine.queryJson({ query: `"${'x'.repeat(3_000_000)}"`, timeMs: T0 });
    expect(body.next()?.length).toBe(1 << 20);
    body.free();
    expect(body.next()).toBeNull();
    expect(body.byteLength).toBeGreaterThan(3_000_000);
  });

  test('an answer is read into a buffer of the caller', async () => {
    const engine = await memory();
    const text = Array.from({ length: 300_000 }, (_, i) => i % 10).join('');
    const body = await engine.queryJson({ query: `"${text}"`, timeMs: T0 });
    const pieces: Uint8Array[] = [];
    for (;;) {
      const into = new Uint8Array(70_000);
      const length = body.read(into);
      if (length === 0) break;
      pieces.push(into.subarray(0, length));
    }
    const all = Buffer.concat(pieces);
    expect(all.length).toBe(body.byteLength);
    expect(JSON.parse(all.toString()).data.result[1]).toBe(text);
    expect(body.next()).toBeNull();
  });

  test('times that are none are refused', async () => {
    const engine = await memory();
    const batch = (t: number) => [
      { labels: { __name__: 'm' }, timestamps: Float64Array.of(t), values: Float64Array.of(1) },
    ];
    for (const t of [Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(engine.append(batch(t))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(await engine.append(batch(Date.now() + 3_600_000))).toMatchObject({ appended: 0, outOfBounds: 1 });
  });

  test('an aborted signal cancels', async () => {
    const engine = await memory();
    const signal = AbortSignal.abort();
    await expect(engine.queryJson({ query: '1', timeMs: T0 }, { signal })).rejects.toMatchObject({
      code: 'QUERY_CANCELED',
    });
  });

  test('relabelling keeps, drops and rewrites', async () => {
    const engine = await memory();
    const rule = {
      sourceLabels: ['a'],
      separator: ';',
      regex: '(.)(.*)',
      modulus: 0,
      targetLabel: 'b',
      replacement: '$2$1',
      action: 'replace' as const,
    };
    const keep = { ...rule, regex: 'x.*', action: 'keep' as const, targetLabel: '', replacement: '$1' };
    const relabeler = engine.relabeler([keep, rule], 'utf8');
    expect(relabeler.apply([{ a: 'xyz' }, { a: 'abc' }])).toEqual([{ a: 'xyz', b: 'yzx' }, null]);
  });
});

test('native: what is under way when the engine closes is taken in or refused, never left hanging', async () => {
  const engine = await open({ dir: ':memory:' });
  const target = engine.openTarget(targetOptions);
  const body = { contentEncoding: '', contentType: 'text/plain; version=0.0.4', timestampMs: T0, elapsedSeconds: 0 };
  const long = engine.query({ query: 'sum_over_time(vector(1)[400d:1s])', timeMs: T0 }).catch((error) => error);
  const scrape = target.ingest({ ...body, pieces: [Buffer.from('a 1\n')] });
  target.close();
  await Promise.all([engine.close(), engine.close()]);
  expect((await scrape).samplesScraped).toBe(1);
  expect(await long).toMatchObject({ code: 'CLOSED' });
  await expect(engine.maintain()).rejects.toMatchObject({ code: 'CLOSED' });
  await expect(target.ingest({ ...body, pieces: [] })).rejects.toMatchObject({ code: 'CLOSED' });
});
