/** OpenTelemetry's own SDK exports to the built program, in protobuf and in JSON, and its metrics are found by query. */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../layout/files.ts';
import { narthex, type Running, startServer } from '../support/program.ts';

const scratch = mkdtempSync(join(tmpdir(), 'narthex-otel-'));
let server: Running;

beforeAll(async () => {
  const config = join(scratch, 'prometheus.yml');
  writeFileSync(config, '{}');
  const flags = [`--config.file=${config}`, `--storage.tsdb.path=${join(scratch, 'data')}`];
  server = await startServer([...narthex, 'server', ...flags, '--web.enable-otlp-receiver']);
});

afterAll(async () => {
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
});

async function ask(query: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
  const response = await fetch(`${server.url}/api/v1/query?${new URLSearchParams({ query })}`);
  const { data } = (await response.json()) as { data: { result: Awaited<ReturnType<typeof ask>> } };
  return data.result;
}

test.each(['protobuf', 'json'])('metrics exported in %s arrive', { timeout: 30_000 }, async (transport) => {
  const script = join(root, 'test', 'support', 'otel-exporter.mjs');
  const env = { PATH: process.env.PATH };
  await promisify(execFile)(process.execPath, [script, `${server.url}/api/v1/otlp/v1/metrics`, transport], { env });
  const own = `transport="${transport}"`;
  for (const [query, expected] of [
    [`requests_total{${own}}`, '3'],
    [`in_flight{${own}}`, '-2'],
    [`explicit_seconds_bucket{${own}, le="10"}`, '2'],
    [`explicit_seconds_sum{${own}}`, '55.5'],
    [`histogram_count(exponential_latency_seconds{${own}})`, '3'],
  ] as const) {
    expect((await ask(query)).map(({ value }) => value[1])).toEqual([expected]);
  }
  const [info] = await ask('target_info');
  expect(info?.metric.telemetry_sdk_language).toBe('nodejs');
});
