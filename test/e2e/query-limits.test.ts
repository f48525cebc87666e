/** What bounds queries, what tells of them, and what they would cost: the built program. */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../support/program.ts';
import { type Workspace, workspace } from './workspace.ts';

interface Answer {
  status: string;
  errorType?: string;
  error?: string;
  warnings?: string[];
  data?: {
    result: unknown[];
    stats?: { samples: Record<string, unknown> };
    cost?: { actual: Record<string, number> };
    estimate?: Record<string, number>;
  };
}

async function get(server: Running, path: string, params: Record<string, string>): Promise<Answer & { code: number }> {
  const response = await fetch(`${server.url}/api/v1/${path}?${new URLSearchParams(params)}`);
  return { code: response.status, ...((await response.json()) as Answer) };
}

const MANY = 'query processing would load too many samples into memory in query execution';

describe('limits of all queries', () => {
  const space = workspace();
  let server: Running;

  beforeAll(async () => {
    space.configure('global: {query_log_file: first.log}\n');
    server = await space.start(
      '--query.max-samples=100',
      '--query.max-memory-bytes=100000000',
      '--query.timeout=5s',
      '--enable-feature=promql-per-step-stats',
      '--web.enable-lifecycle',
    );
  }, 60_000);

  test('too many samples, too much memory', async () => {
    const range = { start: '0', step: '1' };
    expect(await get(server, 'query_range', { query: 'time()', end: '99', ...range })).toMatchObject({ code: 200 });
    const failed = { code: 422, errorType: 'execution', error: MANY };
    expect(await get(server, 'query_range', { query: 'time()', end: '100', ...range })).toMatchObject(failed);
    const huge = 'count_over_time(missing[100d:10ms])';
    expect(await get(server, 'query', { query: huge })).toMatchObject(failed);
  });

  test('a timeout that is none', async () => {
    expect(await get(server, 'query', { query: 'vector(1)', timeout: '0s' })).toMatchObject({
      code: 400,
      error: 'invalid parameter "timeout": timeout must be positive, got 0s',
    });
  });

  test('lookback and limit of one query', async () => {
    const now = Date.now() / 1000;
    const body = { start: String(now - 60), end: String(now), step: '15' };
    const both = 'label_replace(vector(1), "a", "b", "", "") or vector(2)';
    expect(await get(server, 'query_range', { query: both, limit: '1', ...body })).toMatchObject({
      warnings: ['results truncated due to limit'],
      data: { result: [{}] },
    });
    expect(await get(server, 'query', { query: 'up', lookback_delta: 'x' })).toMatchObject({
      code: 400,
      error: 'error parsing lookback delta duration: cannot parse "x" to a valid duration',
    });
  });

  test('statistics, per step where asked for', async () => {
    const range = { query: 'vector(1)', start: '0', end: '2', step: '1' };
    const samples = async (stats: string) => {
      const answer = await get(server, 'query_range', { ...range, stats });
      return { warnings: answer.warnings, ...answer.data?.stats?.samples } as Record<string, unknown>;
    };
    const sums = { totalQueryableSamples: 0, samplesRead: 0, seriesTouched: 0, peakSamples: 3 };
    expect(await samples('true')).toEqual({ warnings: undefined, ...sums });
    const steps = [0, 1, 2].map((t) => [t, 0]);
    expect(await samples('all')).toEqual({
      ...{ warnings: undefined, ...sums },
      totalQueryableSamplesPerStep: steps,
      samplesReadPerStep: steps,
    });
    expect((await samples('1')).warnings).toEqual([
      'value "1" for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all"',
    ]);
    expect((await samples('')).peakSamples).toBeUndefined();
  });

  test('the query log moves with the configuration', async () => {
    const lines = (name: string) =>
      readFileSync(join(space.dir, name), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    await get(server, 'query_range', { query: 'vector(41)', start: '1.5', end: '10', step: '2.5' });
    await get(server, 'query', { query: 'vector(42', time: '7' });
    await get(server, 'query', { query: 'topk(0/0, vector(43))', time: '7' });
    const [range, failed] = lines('first.log').slice(-2);
    expect(range).toMatchObject({
      msg: 'promql query logged',
      params: { query: 'vector(41)', start: '1970-01-01T00:00:01.500Z', end: '1970-01-01T00:00:10.000Z', step: 2 },
      stats: { timings: { evalTotalTime: expect.any(Number) }, samples: { peakSamples: 4 } },
      httpRequest: { clientIP: '127.0.0.1', method: 'GET', path: '/api/v1/query_range' },
    });
    expect(failed).toMatchObject({ params: { query: 'topk(0/0, vector(43))' }, error: 'Parameter value is NaN' });
    const enabled = async () => {
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      return /^prometheus_engine_query_log_enabled (\d)$/m.exec(metrics)?.[1];
    };
    expect(await enabled()).toBe('1');
    space.configure('global: {query_log_file: second.log}\n');
    await fetch(`${server.url}/-/reload`, { method: 'POST' });
    await get(server, 'query', { query: 'vector(44)', time: '0' });
    expect(lines('second.log').map((line) => line.params.query)).toEqual(['vector(44)']);
    space.configure('global: {query_log_file: missing/q.log}\n');
    expect((await fetch(`${server.url}/-/reload`, { method: 'POST' })).status).toBe(500);
    rmSync(join(space.dir, 'second.log'));
    space.configure('');
    await fetch(`${server.url}/-/reload`, { method: 'POST' });
    await get(server, 'query', { query: 'vector(45)', time: '0' });
    expect(existsSync(join(space.dir, 'second.log'))).toBe(false);
    expect(await enabled()).toBe('0');
  });

  test('times of queries are metrics', async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    for (const slice of ['inner_eval', 'prepare_time', 'queue_time', 'result_sort']) {
      const count = new RegExp(`^prometheus_engine_query_duration_seconds_count{slice="${slice}"} [1-9]`, 'm');
      expect(metrics).toMatch(count);
    }
    expect(metrics).toMatch(/^prometheus_engine_queries_concurrent_max 20$/m);
  });

  test('without query-cost there is nothing of it', async () => {
    expect((await fetch(`${server.url}/api/v1/query_cost?query=up`)).status).toBe(404);
    expect(await get(server, 'query', { query: 'vector(1)', max_series: 'x', cost: 'x' })).toMatchObject({ code: 200 });
  });
});

/** A hundred rows, a window of a day for each of 2001 steps: far longer than a test may take. */
const LONG = {
  query: `sum_over_time((${Array.from({ length: 100 }, (_, i) => `label_replace(vector(1), "row", "${i}", "", "")`).join(' or ')})[1d:1s])`,
  start: '0',
  end: '2000',
  step: '1',
};

describe('a crash', () => {
  const space = workspace();

  test('what ran is told after it', { timeout: 60_000 }, async () => {
    space.configure('');
    const server = await space.start();
    void get(server, 'query_range', LONG).catch(() => undefined);
    const active = join(space.dataDir, 'queries.active');
    await expect.poll(() => readFileSync(active, 'utf8'), { timeout: 10_000 }).toContain('label_replace(vector(1)');
    expect(readFileSync(active).length).toBe(20_001);
    await server.kill();
    const again = await space.start();
    const told = "These queries didn't finish in prometheus' last run";
    await expect.poll(() => again.output(), { timeout: 10_000 }).toContain(told);
    expect(again.output()).toContain('sum_over_time((label_replace(');
    expect(readFileSync(active, 'utf8').replaceAll('\0', '')).toBe('[');
  });
});

describe('query-cost', () => {
  const space = workspace();

  test('bounds and estimates', { timeout: 60_000 }, () => costs(space));
});

async function costs(space: Workspace): Promise<void> {
  space.configure(
    'global: {scrape_interval: 200ms, scrape_timeout: 200ms, query_max_series: 50}\n' +
      'scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:1", "127.0.0.1:2"]}]}]\n',
  );
  const server = await space.start('--enable-feature=query-cost');
  const up = { query: 'up' };
  await expect.poll(async () => (await get(server, 'query', up)).data?.result.length, { timeout: 10_000 }).toBe(2);
  expect(await get(server, 'query_cost', up)).toMatchObject({
    data: { estimate: { seriesTouched: 2, samplesRead: 2 } },
  });
  const now = Date.now() / 1000;
  const range = { query: 'up + up', start: String(now - 9), end: String(now), step: '1' };
  expect(await get(server, 'query_range_cost', range)).toMatchObject({
    data: { estimate: { seriesTouched: 4, samplesRead: 40 } },
  });
  expect(await get(server, 'query', { ...up, cost: 'true' })).toMatchObject({
    data: {
      cost: {
        estimated: { seriesTouched: 2, samplesRead: 2 },
        actual: { seriesTouched: 2, samplesRead: 2, peakSamples: 2 },
      },
    },
  });
  for (const [limits, code, error] of [
    [{ max_series: '1' }, 422, 'query would load too many series into memory in query execution'],
    [{ max_series: '2' }, 200, undefined],
    [{ max_series: '51' }, 400, 'requested max_series of 51 exceeds the server limit of 50'],
    [{ max_series: '-1' }, 400, 'error parsing max_series: strconv.ParseUint: parsing "-1": invalid syntax'],
    [{ max_samples_read: '1' }, 422, 'query would read too many samples in query execution'],
    [{ max_query_duration: '3m' }, 400, 'requested max_query_duration of 3m0s exceeds the server limit of 2m0s'],
    [{ cost: 'maybe' }, 400, 'invalid parameter "cost": must be a boolean'],
  ] as const) {
    const answer = await get(server, 'query', { ...up, ...limits });
    expect([answer.code, answer.error]).toEqual([code, error]);
    if (code === 422) expect(answer.errorType).toBe('cost_limit');
  }
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toMatch(/^prometheus_engine_query_rejected_total\{reason="max_series"\} 1$/m);
  expect(metrics).toMatch(/^prometheus_engine_query_series_touched_count [1-9]/m);
  expect(await get(server, 'query_range', { ...LONG, timeout: '0.05' })).toMatchObject({
    code: 503,
    errorType: 'timeout',
    error: 'query timed out in expression evaluation',
  });
}
