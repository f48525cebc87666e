/** The same OTLP requests to Prometheus 3.16 and to us, under one configuration after another: the same series. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { withBoth as startBoth } from '../support/both.ts';
import { type Attributes, attributes, ns, otlpBody, type SentResource, sendOtlp } from '../support/otlp.ts';
import type { Running } from '../support/program.ts';
import { currentPeer } from '../support/require.ts';

const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-otlp-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const FEATURES = 'exemplar-storage,metadata-wal-records';

/** Both servers with the same `otlp` section. */
function withBoth(
  otlp: object,
  features: string,
  use: (ours: Running, theirs: Running) => Promise<void>,
): Promise<void> {
  const config = { otlp, global: { scrape_interval: '1h' } };
  const flags = ['--web.enable-otlp-receiver', ...(features === '' ? [] : [`--enable-feature=${features}`])];
  return startBoth({ prometheus: prometheus ?? '', scratch, config, flags }, use);
}

const now = Date.now();
const MIB = 1024 * 1024;

/** All samples of the last minutes, and exemplars. */
async function stored(url: string): Promise<unknown> {
  const ask = async (path: string, params: Record<string, string>) => {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(params)}`);
    const { data } = (await response.json()) as { data: unknown };
    return data;
  };
  const matrix = (await ask('query', {
    query: '{__name__=~".+"}[20m]',
    time: `${now / 1000 + 60}`,
  })) as {
    result: { metric: object }[];
  };
  const exemplars = (await ask('query_exemplars', {
    query: '{__name__=~".+"}',
    start: '0',
    end: `${now / 1000 + 600}`,
  })) as { seriesLabels: object; exemplars: { timestamp: number }[] }[];
  const key = (labels: object) => JSON.stringify(Object.entries(labels).sort());
  return {
    series: matrix.result.toSorted((a, b) => (key(a.metric) < key(b.metric) ? -1 : 1)),
    exemplars: exemplars.toSorted((a, b) => (key(a.seriesLabels) < key(b.seriesLabels) ? -1 : 1)),
  };
}

const at = (second: number) => ns(now - 300_000 + second * 1000);
const number = (second: number, value: object, own: Attributes = {}) => ({
  attributes: attributes(own),
  startTimeUnixNano: at(-100),
  timeUnixNano: at(second),
  ...value,
});
const exemplar = (second: number, value: number, own: Attributes = {}) => ({
  timeUnixNano: at(second),
  asDouble: value,
  traceId: '0102030405060708090a0b0c0d0e0f10',
  spanId: '0102030405060708',
  filteredAttributes: attributes(own),
});

const SERVICE = {
  'service.name': 'checkout',
  'service.namespace': 'shop',
  'service.instance.id': 'a-1',
  'host.name': 'h 1',
  'k8s..pod': 'p',
  deployment_environment: 'prod',
};

const odd: Attributes = {
  'http.method': 'GET',
  'http.status': 200,
  ratio: 0.1,
  tiny: 1e-9,
  flag: true,
  nothing: null,
  list: ['<a>', 1, 2.5, { b: true, a: null }],
  map: { z: [], a: {} },
  bytes: Buffer.from([1, 2, 255]),
  'a.b': 'one',
  a_b: 'two',
  _private: 'x',
  __reserved__: 'r',
  'x..y': 'z',
  '1st': 'd',
  empty: '',
  größe: 'ü',
};

function sum(
  name: string,
  unit: string,
  isMonotonic: boolean,
  dataPoints: object[],
  aggregationTemporality = 2,
): object {
  return { name, unit, description: `help of ${name}`, sum: { isMonotonic, aggregationTemporality, dataPoints } };
}

/** What one request holds, `step` after `step`. */
function resources(step: number): SentResource[] {
  const second = step * 15;
  const values = [step, step + 0.5];
  return [
    {
      attributes: SERVICE,
      scope: { name: 'lib.x', version: '1.2', attributes: { 'scope.key': 'v', other: 7 } },
      metrics: [
        {
          name: 'room.temperature',
          unit: 'Cel',
          gauge: { dataPoints: [number(second, { asDouble: values[1] }, odd)] },
        },
        { name: 'load', unit: '1', gauge: { dataPoints: [number(second, { asInt: `${step}` })] } },
        sum('requests', '1', true, [
          number(second, { asInt: `${step}`, exemplars: [exemplar(second, step, { k: 'v' })] }),
        ]),
        sum('io.bytes', 'By/s', true, [number(second, { asDouble: step * 1.5 })]),
        sum('in.flight', '{requests}', false, [number(second, { asInt: `${-step}` })]),
        sum('2xx', 'min', true, [number(second, { asInt: `${step}` })]),
        {
          name: 'latency',
          unit: 'ms',
          histogram: {
            aggregationTemporality: 2,
            dataPoints: [
              {
                ...number(second, {}, { route: '/' }),
                count: `${10 + step}`,
                sum: 12.5 + step,
                bucketCounts: ['1', `${step}`, '0', '4', '5'],
                explicitBounds: [0.005, 1, 2.5, 1e9],
                exemplars: [
                  exemplar(second, 0.001),
                  exemplar(second, 2, { much: 'x'.repeat(200) }),
                  exemplar(second, 5e9),
                ],
                min: 0,
                max: 3,
              },
              { ...number(second, {}, { route: '/none' }), count: '3', bucketCounts: ['3'] },
            ],
          },
        },
        {
          name: 'sizes',
          unit: 'By',
          exponentialHistogram: {
            aggregationTemporality: 2,
            dataPoints: [
              {
                ...number(second, {}, { route: '/' }),
                count: `${14 + step}`,
                sum: 100,
                scale: 3,
                zeroCount: '2',
                positive: { offset: -3, bucketCounts: ['0', '1', '2', '0', '0', '0', '0', `${3 + step}`, '0'] },
                negative: { offset: 5, bucketCounts: ['6'] },
              },
              {
                ...number(second, {}, { route: '/fine' }),
                count: '10',
                sum: 7,
                scale: 11,
                positive: { offset: -5, bucketCounts: ['1', '2', '3', '4'] },
              },
            ],
          },
        },
        {
          name: 'old.summary',
          unit: 's',
          summary: {
            dataPoints: [
              {
                ...number(second, {}, { route: '/' }),
                count: '4',
                sum: 9,
                quantileValues: [
                  { quantile: 0, value: 1 },
                  { quantile: 0.99, value: 3.25 },
                  { quantile: 1, value: 'NaN' },
                ],
              },
            ],
          },
        },
      ],
    },
    {
      attributes: { 'service.name': 'bare' },
      metrics: [
        { name: 'up.to', gauge: { dataPoints: [number(second, { asInt: '1' }), number(second + 1, { flags: 1 })] } },
      ],
    },
    {
      attributes: { 'host.name': 'nobody' },
      metrics: [{ name: 'alone', gauge: { dataPoints: [number(second, {})] } }],
    },
  ];
}

const configurations: [name: string, otlp: object, features: string][] = [
  ['the defaults', {}, FEATURES],
  ['without suffixes', { translation_strategy: 'UnderscoreEscapingWithoutSuffixes' }, FEATURES],
  ['UTF-8 with suffixes', { translation_strategy: 'NoUTF8EscapingWithSuffixes' }, FEATURES],
  ['no translation', { translation_strategy: 'NoTranslation', promote_scope_metadata: true }, FEATURES],
  ['promoted attributes', { promote_resource_attributes: ['host.name', 'k8s..pod', 'absent'] }, FEATURES],
  [
    'all attributes promoted',
    {
      promote_all_resource_attributes: true,
      ignore_resource_attributes: ['host.name'],
      keep_identifying_resource_attributes: true,
      promote_scope_metadata: true,
    },
    FEATURES,
  ],
  ['custom buckets', { convert_histograms_to_nhcb: true }, FEATURES],
  [
    'other underscores',
    { label_name_underscore_sanitization: false, label_name_preserve_multiple_underscores: false },
    FEATURES,
  ],
  ['zeros where series start', {}, `${FEATURES},created-timestamp-zero-ingestion`],
  ['types and units', {}, `${FEATURES},type-and-unit-labels`],
  ['types and units in UTF-8', { translation_strategy: 'NoTranslation' }, `${FEATURES},type-and-unit-labels`],
];

describe.skipIf(prometheus === undefined)('the same series as Prometheus', () => {
  test.each(configurations)('%s', { timeout: 120_000 }, async (_, otlp, features) => {
    await withBoth(otlp, features, async (ours, theirs) => {
      for (const step of [1, 2, 3, 4]) {
        const body = otlpBody(resources(step));
        for (const { url } of [ours, theirs]) {
          const packed = step % 2 === 0;
          const headers: Record<string, string> = packed ? { 'content-encoding': 'gzip' } : {};
          const answer = await sendOtlp(url, packed ? Uint8Array.from(gzipSync(body)) : body, headers);
          expect(answer, url).toEqual({ status: 200, text: '' });
        }
      }
      const expected = await stored(theirs.url);
      expect((expected as { series: unknown[] }).series.length).toBeGreaterThan(15);
      expect(await stored(ours.url)).toEqual(expected);
    });
  });

  const deltas = (step: number): SentResource[] => {
    const second = step * 15;
    const point = (value: object) => ({
      ...number(second, value, { b: '1', a: '2' }),
      startTimeUnixNano: at(second - 15),
    });
    const counts = step % 2 === 0 ? ['1', '2', '3'] : ['0', '0', '7'];
    return [
      {
        attributes: SERVICE,
        metrics: [
          sum('ints', '', true, [point({ asInt: `${step}` })], 1),
          sum('floats', '', false, [point({ asDouble: step / 10 })], 1),
          sum('late', '', true, [{ ...point({ asInt: '1' }), timeUnixNano: at(30) }], 1),
          sum('cumulative', '', true, [number(second, { asInt: `${step}` })]),
          {
            name: 'h',
            histogram: {
              aggregationTemporality: 1,
              dataPoints: [{ ...point({}), count: '7', sum: 2, bucketCounts: counts, explicitBounds: [1, 2] }],
            },
          },
          {
            name: 'e',
            exponentialHistogram: {
              aggregationTemporality: 1,
              dataPoints: [
                {
                  ...point({}),
                  count: '7',
                  sum: 2,
                  scale: 4 - (step % 3),
                  zeroCount: '1',
                  positive: { offset: step * 40, bucketCounts: ['1', '2', '3'] },
                },
              ],
            },
          },
        ],
      },
    ];
  };

  test.each([
    ['are refused', ''],
    ['are stored as they are', 'otlp-native-delta-ingestion'],
    ['are added up', 'otlp-deltatocumulative'],
  ])('deltas %s', { timeout: 120_000 }, async (_, features) => {
    await withBoth({}, features, async (ours, theirs) => {
      for (const step of [1, 2, 3, 4, 5, 6]) {
        const body = otlpBody(deltas(step));
        const [mine, peers] = [await sendOtlp(ours.url, body), await sendOtlp(theirs.url, body)];
        expect(mine).toEqual(peers);
      }
      expect(await stored(ours.url)).toEqual(await stored(theirs.url));
    });
  });
});

/** Requests that are refused. Where texts are Go's own, only the statuses are compared. */
const bad: [
  name: string,
  body: () => string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  sameText: boolean,
][] = [
  ['no JSON', () => '{', {}, false],
  ['another type', () => '', { 'content-type': 'text/plain' }, true],
  ['a type with a parameter', () => '{}', { 'content-type': 'application/json; charset=utf-8' }, true],
  ['another encoding', () => '', { 'content-encoding': 'zstd' }, true],
  ['no gzip', () => 'this is no gzip body', { 'content-encoding': 'gzip' }, true],
  ['cut gzip', () => '', { 'content-encoding': 'gzip' }, false],
  [
    'a gzip body without its end',
    () => Uint8Array.from(gzipSync(otlpBody([metric({ gauge: { dataPoints: [] } })])).subarray(0, -12)),
    { 'content-encoding': 'gzip' },
    false,
  ],
  // Prometheus reads 32 MiB and finds no whole request in them; we say that it is too large.
  ['too long a body', () => `{"a":"${'x'.repeat(33 * MIB)}"}`, {}, false],
  ['a bomb', () => bomb(Buffer.alloc(64 * MIB, ' ')), { 'content-encoding': 'gzip' }, false],
  [
    'a bomb of protobuf',
    () => bomb(Buffer.concat([Buffer.from('0a8080804012', 'hex'), Buffer.alloc(128 * MIB)])),
    { 'content-encoding': 'gzip', 'content-type': 'application/x-protobuf' },
    false,
  ],
  ['no protobuf', () => '\x0a\x05\x01', { 'content-type': 'application/x-protobuf' }, true],
  ['a wrong wire type', () => '\x08\x01', { 'content-type': 'application/x-protobuf' }, true],
  ['a field 0', () => '\x0a\x02\x00\x01', { 'content-type': 'application/x-protobuf' }, true],
  ['a group that only ends', () => '\x14\x01', { 'content-type': 'application/x-protobuf' }, true],
  [
    'a number without end',
    () => Uint8Array.from(Buffer.from('0a0b10ffffffffffffffffffff', 'hex')),
    { 'content-type': 'application/x-protobuf' },
    true,
  ],
  [
    'a trace identifier of seven bytes',
    () => Uint8Array.from(Buffer.from('0a131211120f2a0d0a0b2a092a0701020304050607', 'hex')),
    { 'content-type': 'application/x-protobuf' },
    true,
  ],
  [
    'a metric that ends too early',
    () => Uint8Array.from(Buffer.from('0a091207120509080a0161', 'hex')),
    { 'content-type': 'application/x-protobuf' },
    true,
  ],
  ['numbers out of range', () => otlpBody([metric({ gauge: { dataPoints: [{ flags: '4294967296' }] } })]), {}, false],
  ['no data', () => otlpBody([metric({})]), {}, true],
  ['unspecified temporality', () => otlpBody([metric(sum('x', '', true, [number(1, { asInt: '1' })], 0))]), {}, true],
  [
    'a name without characters',
    () => otlpBody([metric({ name: '..', gauge: { dataPoints: [number(1, {})] } })]),
    {},
    true,
  ],
  [
    'a label without characters',
    () => otlpBody([metric({ gauge: { dataPoints: [number(1, {}, { '..': 'a' })] } })]),
    {},
    true,
  ],
  [
    'a label without a name',
    () => otlpBody([metric({ gauge: { dataPoints: [number(1, {}, { '': 'a' })] } })]),
    {},
    true,
  ],
  ['the future', () => otlpBody([metric({ gauge: { dataPoints: [number(6000, {})] } })]), {}, true],
  ['the past', () => otlpBody([metric({ gauge: { dataPoints: [number(-60_000, {})] } })]), {}, true],
  ['out of order', () => otlpBody([metric({ gauge: { dataPoints: [number(5, {})] } })]), {}, true],
  ['a duplicate', () => otlpBody([metric({ gauge: { dataPoints: [number(100, { asInt: '5' })] } })]), {}, true],
  [
    'a scale too small',
    () =>
      otlpBody([
        metric({ exponentialHistogram: { aggregationTemporality: 2, dataPoints: [number(1, { scale: -5 })] } }),
      ]),
    {},
    true,
  ],
  [
    'a count too small',
    () =>
      otlpBody([
        metric({
          exponentialHistogram: {
            aggregationTemporality: 2,
            dataPoints: [number(1, { count: '1', positive: { bucketCounts: ['2'] } })],
          },
        }),
      ]),
    {},
    true,
  ],
  [
    'an exemplar without a value',
    () => otlpBody([metric(sum('x', '', true, [number(1, { asInt: '1', exemplars: [{}] })]))]),
    {},
    true,
  ],
  [
    'several faults',
    () =>
      otlpBody([
        metric(sum('x', '', true, [number(1, { asInt: '1' })], 1)),
        metric({ gauge: { dataPoints: [number(5, {}), number(6, {})] } }),
        metric({ name: '..', gauge: { dataPoints: [number(1, {})] } }),
      ]),
    {},
    true,
  ],
];

function bomb(of: Buffer): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(gzipSync(of));
}

function metric(of: object): SentResource {
  return { attributes: { 'service.name': 's' }, metrics: [{ name: 'm', ...of }] };
}

describe.skipIf(prometheus === undefined)('refusals', () => {
  test('as Prometheus has them', { timeout: 120_000 }, async () => {
    await withBoth({}, '', async (ours, theirs) => {
      const first = otlpBody([metric({ gauge: { dataPoints: [number(100, { asInt: '4' })] } })]);
      for (const { url } of [ours, theirs]) expect((await sendOtlp(url, first)).status).toBe(200);
      const differences: object[] = [];
      for (const [name, body, headers, sameText] of bad) {
        const [mine, peers] = [await sendOtlp(ours.url, body(), headers), await sendOtlp(theirs.url, body(), headers)];
        if (mine.status !== peers.status || (sameText && mine.text !== peers.text)) {
          differences.push({ name, mine, peers });
        }
      }
      expect(differences).toEqual([]);
      expect(await stored(ours.url)).toEqual(await stored(theirs.url));
    });
  });
});
