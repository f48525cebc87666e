/** Remote write over the real engine and real HTTP, to a receiver that is not always well; what it heard a second engine reads. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { type Engine, open } from '../core/index.ts';
import { silentLogger, systemClock } from '../util/index.ts';
import { RemoteStorage } from './remote-storage.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** What the receiver answers to its nth request; `undefined` to take it in. */
type Mood = (n: number) => ((response: ServerResponse) => void) | undefined;

interface Receiver {
  url: string;
  engine: Engine;
  requests: number;
  mood: Mood;
}

async function receiver(mood: Mood = () => undefined): Promise<Receiver> {
  const engine = await open({ dir: ':memory:', outOfOrderTimeWindowMs: 0 });
  const self: Receiver = { url: '', engine, requests: 0, mood };
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const ill = self.mood(self.requests++);
    if (ill) return ill(response);
    const { 'content-type': contentType = '', 'content-encoding': contentEncoding = '' } = request.headers;
    const report = await engine.ingestRemoteWrite({ pieces, contentType, contentEncoding: String(contentEncoding) });
    for (const kind of report.hasCounts ? (['samples', 'histograms', 'exemplars'] as const) : []) {
      response.setHeader(`x-prometheus-remote-write-${kind}-written`, String(report[kind]));
    }
    response.writeHead(report.refusal ? 400 : 204).end(report.refusal?.text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  self.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
    await engine.close();
  });
  return self;
}

async function sender(
  dir: string,
  url: string,
  yaml = '',
): Promise<{ engine: Engine; storage: RemoteStorage; end: () => Promise<void> }> {
  const engine = await open({ dir });
  const storage = new RemoteStorage({
    engine,
    clock: systemClock,
    logger: silentLogger,
    userAgent: 'Narthex/test',
    flushDeadlineMs: 5000,
    typeAndUnitLabels: false,
    targetMetadata: () => [],
  });
  const text = `global: {external_labels: {dc: eu}}\nremote_write:\n- url: ${url}\n  remote_timeout: 500ms\n  queue_config: {batch_send_deadline: 50ms, max_samples_per_send: 7, min_shards: 3, max_backoff: 100ms, retry_on_http_429: true}\n${yaml}`;
  await storage.applyConfig(parseConfig(text, 'test.yml').config);
  return {
    engine,
    storage,
    end: async () => {
      await storage.stop();
      await engine.close();
    },
  };
}

async function directory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'narthex-remote-'));
  cleanups.push(() => rm(dir, { recursive: true }));
  return dir;
}

const T0 = Date.now() - 60_000;

/** Samples 0..count of ten series each at `from` and after. */
async function append(engine: Engine, from: number, count: number): Promise<void> {
  const timestamps = Float64Array.from({ length: count }, (_, i) => T0 + from + i);
  for (let s = 0; s < 10; s++) {
    await engine.append([{ labels: { __name__: 'm', s: String(s) }, timestamps, values: timestamps }]);
  }
}

/** How many samples each of the ten series has. */
async function heard({ engine }: Receiver): Promise<number[]> {
  const query = 'count_over_time(m{dc="eu"}[5m])';
  const answer = await engine.query({ query, timeMs: T0 + 60_000 });
  return answer.series
    .toSorted((a, b) => ((a.labels.s ?? '') < (b.labels.s ?? '') ? -1 : 1))
    .map((series) => series.values[0] ?? 0);
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await what()); ) {
    if (Date.now() > end) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const all = (n: number): number[] => Array(10).fill(n);

describe.each(['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'])('%s', (message) => {
  const yaml = `  protobuf_message: ${message}\n`;

  it('brings everything over, and the rest when it stops', async () => {
    const to = await receiver();
    const from = await sender(await directory(), to.url, yaml);
    await append(from.engine, 0, 50);
    await until(async () => String(await heard(to)) === String(all(50)));
    await append(from.engine, 50, 25);
    await from.end();
    expect(await heard(to)).toEqual(all(75));
  });

  it.each<[string, Mood]>([
    ['500', (n) => (n % 3 < 2 ? (response) => response.writeHead(500).end() : undefined)],
    ['429 with Retry-After', (n) => (n === 1 ? (r) => r.writeHead(429, { 'retry-after': '1' }).end() : undefined)],
    ['nothing', (n) => (n === 1 ? () => undefined : undefined)],
    ['and hangs up', (n) => (n % 2 === 0 ? (response) => response.destroy() : undefined)],
  ])('loses nothing to a receiver that answers %s', async (_, mood) => {
    const to = await receiver(mood);
    const from = await sender(await directory(), to.url, yaml);
    await append(from.engine, 0, 20);
    await until(async () => String(await heard(to)) === String(all(20)));
    await from.end();
  });
});

it('goes on after a restart with what a receiver that was down has not got', async () => {
  const to = await receiver(() => (response) => response.writeHead(503).end());
  const dir = await directory();
  const first = await sender(dir, to.url);
  await append(first.engine, 0, 30);
  await until(async () => to.requests > 3);
  await first.end();
  to.mood = () => undefined;
  const second = await sender(dir, to.url);
  await append(second.engine, 30, 10);
  await until(async () => String(await heard(to)) === String(all(40)));
  await second.end();
});

it('sends nothing without credentials that it cannot make', async () => {
  const far = await receiver();
  const dir = await mkdtemp(join(tmpdir(), 'narthex-remote-'));
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  const sigv4 = '  sigv4: {region: a}\n';
  const { engine, storage, end } = await sender(dir, far.url, sigv4);
  await engine.append([{ labels: { __name__: 'm' }, timestamps: Float64Array.of(1000), values: Float64Array.of(1) }]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(storage.families()).toEqual([]);
  await end();
  expect(far.requests).toBe(0);
});

it('gives up what is refused, counts it, and goes on', async () => {
  const to = await receiver((n) => (n < 2 ? (response) => response.writeHead(400).end('no') : undefined));
  const from = await sender(await directory(), to.url);
  await append(from.engine, 0, 20);
  await until(async () => (await heard(to)).reduce((a, b) => a + b, 0) === 200 - 14);
  const failed = from.storage.families().find((f) => f.name === 'prometheus_remote_storage_samples_failed_total');
  expect(failed?.samples[0]?.value).toBe(14);
  await from.end();
});
