/** The end of a server: in time, with exit code 0, and with nothing lost, whatever clients do. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { eventually, query, type Series } from './client.ts';
import { startExporter } from './exporter.ts';
import { scrapeConfig, workspace } from './workspace.ts';

const space = workspace();

/** A client that announces a body and sends half of it. */
async function halfSent(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const head = 'POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n';
  socket.write(`${head}Content-Length: 1000\r\n\r\nquery=u`);
  return socket;
}

const samples = (series: Series[]) => series.flatMap((each) => each.values ?? []).map((sample) => sample.join(' '));

test('SIGTERM with a half-sent body and an idle connection: five seconds, exit 0, nothing lost', {
  timeout: 40_000,
}, async () => {
  const exporter = await startExporter();
  space.configure(scrapeConfig('seq', [exporter.address]));
  const first = await space.start();
  await eventually('ten scrapes', async () => exporter.served() >= 10);
  const socket = await halfSent(first.url);
  const seen = samples(await query(first.url, 'sequence[5m]'));
  const started = performance.now();
  const closed = once(socket, 'close');
  await first.stop();
  expect(performance.now() - started).toBeLessThan(5000);
  expect(first.process.exitCode).toBe(0);
  await closed;
  await exporter.close();

  const second = await space.start();
  const kept = new Set(samples(await query(second.url, 'sequence[5m]')));
  expect(seen.length).toBeGreaterThan(5);
  expect(seen.filter((sample) => !kept.has(sample))).toEqual([]);
  expect(kept.size).toBeLessThanOrEqual(exporter.served());
  await second.stop();
});

test('POST /-/quit ends the process', { timeout: 20_000 }, async () => {
  const server = await space.start('--web.enable-lifecycle');
  const exited = once(server.process, 'exit');
  const response = await fetch(`${server.url}/-/quit`, { method: 'POST' });
  expect(await response.text()).toBe('Requesting termination... Goodbye!');
  await exited;
  expect(server.process.exitCode).toBe(0);
});
