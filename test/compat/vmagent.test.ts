/** vmagent writes to us: it tries its own way of packing first, is refused, and goes on with Prometheus'. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { writeRequest } from '../crash/write-request.ts';
import { eventually } from '../e2e/client.ts';
import { freePort, narthex, startServer } from '../support/program.ts';
import { findProgram, orSkip } from '../support/require.ts';

const vmagent = orSkip('peers', findProgram('vmagent'), 'it is built by `npm run bench:peers`');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-vmagent-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const START_MS = Math.floor(Date.now() / 1000) * 1000 - 60_000;

test.skipIf(vmagent === undefined)('series by series', { timeout: 90_000 }, async () => {
  const config = join(scratch, 'prometheus.yml');
  // Its queues send at the same time, so that some samples come late.
  writeFileSync(config, 'storage: {tsdb: {out_of_order_time_window: 1h}}\n');
  const flags = [`--config.file=${config}`, `--storage.tsdb.path=${join(scratch, 'data')}`];
  const server = await startServer([...narthex, 'server', ...flags, '--web.enable-remote-write-receiver']);
  const port = await freePort();
  const agent = spawn(
    vmagent ?? '',
    [
      `-remoteWrite.url=${server.url}/api/v1/write`,
      `-remoteWrite.tmpDataPath=${join(scratch, 'vmagent')}`,
      `-httpListenAddr=127.0.0.1:${port}`,
      '-remoteWrite.flushInterval=100ms',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  agent.stderr.on('data', (piece: Buffer) => {
    log += piece.toString();
  });
  try {
    await eventually('vmagent listens', async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok);
    const want = new Map<string, [number, string][]>();
    for (let round = 0; round < 20; round++) {
      const series = Array.from({ length: 50 }, (_, i) => {
        const [timeMs, value] = [START_MS + round * 1000, i * 100 + round / 4];
        const key = `${i}`;
        want.set(key, [...(want.get(key) ?? []), [timeMs / 1000, String(value)]]);
        return { labels: { __name__: 'sent', job: 'vmagent', i: key }, samples: [{ timeMs, value }] };
      });
      const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
      const url = `http://127.0.0.1:${port}/api/v1/write`;
      const response = await fetch(url, { method: 'POST', body: writeRequest(series), headers });
      expect(response.status).toBe(204);
    }
    const query = new URLSearchParams({ query: 'sent{job="vmagent"}[2m]', time: String(START_MS / 1000 + 60) });
    const got = await eventually('all samples', async () => {
      const answer = await fetch(`${server.url}/api/v1/query?${query}`);
      const { data } = (await answer.json()) as {
        data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
      };
      const found = new Map(data.result.map(({ metric, values }) => [metric.i ?? '', values]));
      return [...found.values()].flat().length === 50 * 20 && found;
    }).catch((error: unknown) => {
      throw new Error(log, { cause: error });
    });
    expect(Object.fromEntries(got)).toEqual(Object.fromEntries(want));
    expect(log).toContain('Re-packing the block to Prometheus remote write');
  } finally {
    agent.kill();
    await once(agent, 'exit');
    await server.stop();
  }
});
