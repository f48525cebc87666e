/** Samples sent by remote write to real receivers, and read back from them, series by series. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { parseConfig } from '../../ts/config/index.ts';
import { open } from '../../ts/core/index.ts';
import { RemoteStorage } from '../../ts/remote/index.ts';
import { silentLogger, systemClock } from '../../ts/util/index.ts';
import { currentPeer, findProgram, orSkip } from '../support/require.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function until<T>(what: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 30_000; ; ) {
    const got = await what().catch(() => undefined);
    if (got !== undefined) return got;
    if (Date.now() > end) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function start(program: string, flags: string[]): Promise<void> {
  const child: ChildProcess = spawn(program, flags, { stdio: 'ignore' });
  cleanups.push(async () => {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  });
}

const prometheus = currentPeer('prometheus');
const victoria = orSkip('peers', findProgram('victoria-metrics'), 'it is built by `npm run bench:peers`');
const V1 = 'prometheus.WriteRequest';
const V2 = 'io.prometheus.write.v2.Request';
const PEERS = [
  { name: 'Prometheus by 1.0', program: prometheus, message: V1 },
  { name: 'Prometheus by 2.0', program: prometheus, message: V2 },
  { name: 'VictoriaMetrics by 1.0', program: victoria, message: V1 },
];

it.for(PEERS)('$name', { timeout: 90_000 }, async (peer, { skip }) => {
  if (peer.program === undefined) skip();
  const dir = await mkdtemp(join(tmpdir(), 'narthex-send-'));
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  const address = `127.0.0.1:${await freePort()}`;
  const data = join(dir, 'peer');
  if (peer.program === prometheus) {
    await writeFile(join(dir, 'empty.yml'), '');
    await start(peer.program ?? '', [
      `--config.file=${join(dir, 'empty.yml')}`,
      `--storage.tsdb.path=${data}`,
      `--web.listen-address=${address}`,
      '--web.enable-remote-write-receiver',
    ]);
  } else await start(peer.program ?? '', [`-storageDataPath=${data}`, `-httpListenAddr=${address}`]);

  const engine = await open({ dir: join(dir, 'ours') });
  const storage = new RemoteStorage({
    engine,
    clock: systemClock,
    logger: silentLogger,
    userAgent: 'Narthex/test',
    flushDeadlineMs: 5000,
    typeAndUnitLabels: false,
    targetMetadata: () => [],
  });
  const text = `global: {external_labels: {dc: eu}}\nremote_write:\n- url: http://${address}/api/v1/write\n  protobuf_message: ${peer.message}\n  queue_config: {batch_send_deadline: 100ms, min_shards: 2}\n`;
  await storage.applyConfig(parseConfig(text, 'test.yml').config);
  cleanups.push(async () => {
    await storage.stop();
    await engine.close();
  });
  // The receiver may still be starting: what it does not take at first is sent again.
  const t0 = Math.floor(Date.now() / 1000) * 1000 - 60_000;
  const timestamps = Float64Array.from({ length: 60 }, (_, i) => t0 + i * 1000);
  const want: Record<string, [number, string][]> = {};
  for (let s = 0; s < 40; s++) {
    const values = timestamps.map((_, i) => s * 1000 + i * 1.5);
    await engine.append([{ labels: { __name__: 'sent', s: String(s) }, timestamps, values }]);
    want[String(s)] = [...values].map((v, i) => [(t0 + i * 1000) / 1000, String(v)]);
  }
  const query = new URLSearchParams({ query: 'sent{dc="eu"}[2m]', time: String(t0 / 1000 + 60), nocache: '1' });
  const got = await until(async () => {
    const answer = await fetch(`http://${address}/api/v1/query?${query}`);
    const { data: found } = (await answer.json()) as {
      data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
    };
    const all = Object.fromEntries(found.result.map(({ metric, values }) => [metric.s ?? '', values]));
    const count = Object.values(all).reduce((sum, values) => sum + values.length, 0);
    return count === 40 * 60 ? all : undefined;
  });
  expect(got).toEqual(want);
});
