/** One data directory, served by Prometheus and by us: everything the API tells of it is the same. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { differenceOf, requestOf } from '../support/answers.ts';
import { type Running, startServer } from '../support/program.ts';
import { conformance, currentPeer } from '../support/require.ts';
import { workspace } from './workspace.ts';

const vectors = conformance('tsdb');
const prometheus = currentPeer('prometheus');
const isSkipped = vectors === undefined || prometheus === undefined;
const space = workspace();
let ours: Running;
let theirs: Running;

beforeAll(async () => {
  if (isSkipped) return;
  space.configure('');
  const archive = join(vectors, 'a-blocks-wal', 'data.tar.gz');
  const theirFolder = join(space.dir, 'theirs');
  mkdirSync(theirFolder);
  for (const folder of [space.dir, theirFolder]) execFileSync('tar', ['-xzf', archive, '-C', folder]);
  const retention = '--storage.tsdb.retention.time=100y';
  ours = await space.start(retention);
  theirs = await startServer([
    prometheus,
    `--config.file=${space.configFile}`,
    `--storage.tsdb.path=${join(theirFolder, 'data')}`,
    retention,
  ]);
  return () => theirs.stop();
});

type Params = Record<string, string | string[]>;

const T = 1_767_225_600;
const SELECTORS = ['up', '{__name__=~".+"}', 'fanout', 'http_requests_total{code="200"}', '{"utf8.name"}', '{job!=""}'];
const WINDOWS: Params[] = [
  {},
  { start: `${T}`, end: `${T + 600}` },
  { start: `${T + 7000}`, end: `${T + 8000}` },
  { start: `${T + 14_400}`, end: `${T + 20_000}` },
];
const LABELS = ['__name__', 'instance', 'code', 'nolabel', 'U__label_2e_with_2e_dots'];

/** All combinations, each as one object. */
function combined(...choices: Params[][]): Params[] {
  return choices.reduce((all, next) => all.flatMap((a) => next.map((b) => ({ ...a, ...b }))), [{}]);
}

const matches: Params[] = [...SELECTORS.map((selector) => ({ 'match[]': selector })), { 'match[]': SELECTORS }];

/** Where the head alone answers, Prometheus cuts off whatever came last; no limit is asked for there. */
const limited = combined(WINDOWS.slice(0, 3), [{ limit: '2' }]);

const LABEL_REQUESTS: [path: string, params: Params][] = [
  ...combined(matches, WINDOWS).map((params): [string, Params] => ['/api/v1/series', params]),
  ...combined([{}, ...matches], [...WINDOWS, ...limited]).flatMap((params): [string, Params][] => [
    ['/api/v1/labels', params],
    ...LABELS.map((label): [string, Params] => [`/api/v1/label/${label}/values`, params]),
  ]),
];

const QUERIES =
  `fanout | sum by (shard) (fanout) | rate(http_requests_total[5m]) | {__name__=~".+"} | fanout[1m] | 1 | "s"
  | topk(3, fanout) | histogram_quantile(0.9, fanout) | absent(nothing) | quantile(2, fanout) | special_values
  | label_replace(fanout, "a", "$1", "idx", "(.*)") | max_over_time(rate(http_requests_total[5m])[30m:1m]) | random_bits
  | predict_linear(sine_wave[10m], 60) | avg(special_values) | count_values("v", int_walk) | time() | scalar(fanout)
  | fanout == bool 1 | fanout and http_requests_total | fanout or http_requests_total | rate(fanout[5m]) | huge * 1e10
  | holt_winters(int_walk[10m], 0.5, 0.5) | fanout{ | sum(fanout | rate(fanout) | fanout[5m | 1 + | foo{a=~"("} | {}
  | fanout offset | sum by (a,,b) (x) | topk(fanout) | abs() | unknown_fn(x) | fanout{__name__="x"} | "unterminated
  | 0x | fanout @ x | fanout[0s] | -"a" | 1 and 2 | sum(1) | vector(fanout) | a + on(a) group_left(b) ignoring(c) d`
    .split(' | ')
    .map((query) => query.trim());

const QUERY_REQUESTS: [path: string, params: Params][] = QUERIES.flatMap((query): [string, Params][] => [
  ['/api/v1/query', { query, time: `${T + 9000.5}` }],
  ['/api/v1/query', { query, time: `${T + 20_000}` }],
  ['/api/v1/query', { query, time: `${T + 9000}`, limit: '2' }],
  ['/api/v1/query_range', { query, start: `${T + 7000}`, end: `${T + 9000}`, step: '37.5' }],
  ['/api/v1/format_query', { query }],
  ['/api/v1/parse_query', { query }],
]);

/** Asks both and lists where we differ. */
async function differences(requests: readonly [string, Params][]): Promise<string[]> {
  const found: string[] = [];
  for (const [path, params] of requests) {
    const request = { path, params, status: 0, response: undefined };
    const answer = await fetch(theirs.url + requestOf(request));
    const recorded = { ...request, status: answer.status, response: inOrder(await answer.json()) };
    const difference = await differenceOf(ours.url, recorded);
    if (difference !== undefined) found.push(difference);
  }
  return found;
}

/** Lists of series have no promised order: ours are sorted by their labels. */
function inOrder(response: unknown): unknown {
  const { data } = response as { data?: unknown };
  if (!Array.isArray(data) || typeof data[0] !== 'object') return response;
  const key = (labels: Record<string, string>) => Object.entries(labels).sort().flat().join('\0');
  return { ...(response as object), data: data.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)) };
}

describe.skipIf(isSkipped)('the same as Prometheus tells', () => {
  test(`${LABEL_REQUESTS.length} questions about series and labels`, { timeout: 60_000 }, async () => {
    expect(await differences(LABEL_REQUESTS)).toEqual([]);
  });

  test(`${QUERY_REQUESTS.length} queries, good and bad`, { timeout: 60_000 }, async () => {
    expect(await differences(QUERY_REQUESTS)).toEqual([]);
  });

  test('its blocks', async () => {
    expect(await differences([['/api/v1/status/tsdb/blocks', {}]])).toEqual([]);
  });
});
