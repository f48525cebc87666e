/** The running program as a sender of remote write: its configuration changes, the other side is ill, it ends. */

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import type { Running } from '../support/program.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { startReceiver, type WriteReceiver } from '../support/write-receiver.ts';
import { eventually } from './client.ts';
import { workspace } from './workspace.ts';

const FLAGS = ['--web.enable-remote-write-receiver', '--web.enable-lifecycle'];
const receivers: WriteReceiver[] = [];
afterAll(() => Promise.all(receivers.map((receiver) => receiver.close())));

async function receiver(mood?: Parameters<typeof startReceiver>[0]): Promise<WriteReceiver> {
  const started = await startReceiver(mood);
  receivers.push(started);
  return started;
}

const T0 = Date.now() - 600_000;
let clock = 0;

/** Has the server take in `count` samples of the series, one after the other, in one request. */
async function take(server: Running, name: string, count: number): Promise<void> {
  const samples = Array.from({ length: count }, () => ({ t: T0 + clock++, v: 1 }));
  await remoteWrite(server.url, [{ labels: { __name__: name }, samples }]);
}

/** How many samples of a series arrived, by the label `dc`. */
async function arrived({ engine }: WriteReceiver, name: string): Promise<Record<string, number>> {
  const { series } = await engine.query({ query: `count_over_time(${name}[20m])`, timeMs: T0 + 600_000 });
  return Object.fromEntries(series.map(({ labels, values }) => [labels.dc ?? '', values[0] ?? 0]));
}

const entry = (to: WriteReceiver, more = '') =>
  `- url: ${to.url}\n  queue_config: {batch_send_deadline: 50ms, max_backoff: 200ms, retry_on_http_429: true}\n  remote_timeout: 500ms\n${more}`;

async function reload(server: Running): Promise<void> {
  const response = await fetch(`${server.url}/-/reload`, { method: 'POST' });
  if (response.status !== 200) throw new Error(await response.text());
}

const space = workspace();

test('a reload adds, changes and removes entries', { timeout: 60_000 }, async () => {
  const [first, second] = [await receiver(), await receiver()];
  space.configure(`remote_write:\n${entry(first)}`);
  const server = await space.start(...FLAGS);
  await take(server, 'a', 3);
  await eventually('the first entry sends', async () => (await arrived(first, 'a'))[''] === 3);

  space.configure(`global: {external_labels: {dc: eu}}\nremote_write:\n${entry(first)}${entry(second)}`);
  await reload(server);
  await take(server, 'a', 5);
  await eventually('both send, under new labels', async () => {
    const [one, other] = [await arrived(first, 'a'), await arrived(second, 'a')];
    return one[''] === 3 && one.eu === 5 && other.eu === 5;
  });

  const drop = '  write_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]\n';
  space.configure(`global: {external_labels: {dc: eu}}\nremote_write:\n${entry(second, drop)}`);
  await reload(server);
  const before = first.requests;
  await take(server, 'b', 2);
  await take(server, 'c', 2);
  await eventually('the changed entry goes on', async () => (await arrived(second, 'c')).eu === 2);
  expect(await arrived(second, 'b')).toEqual({});
  expect(await arrived(second, 'a')).toEqual({ eu: 5 });
  expect(first.requests).toBe(before);

  const page = await (await fetch(`${server.url}/metrics`)).text();
  const urls = [...page.matchAll(/^prometheus_remote_storage_shards\{.*url="([^"]+)"\} 1$/gm)].map((m) => m[1]);
  expect(urls).toEqual([second.url]);
  expect(page).toMatch(/^prometheus_remote_storage_samples_dropped_total\{.*reason="dropped_series"\} 2$/m);

  space.configure(`remote_write:\n${entry(second)}${entry(second)}`);
  await expect(reload(server)).rejects.toThrow(
    `duplicate remote write configs are not allowed, found duplicate for URL: ${second.url}`,
  );
  await server.stop();
});

test('what waits is sent at shutdown', { timeout: 60_000 }, async () => {
  const to = await receiver();
  space.configure(`remote_write:\n- {url: "${to.url}", queue_config: {batch_send_deadline: 1h}}\n`);
  const server = await space.start(...FLAGS);
  await take(server, 'late', 100);
  await eventually('the samples wait', async () => {
    const page = await (await fetch(`${server.url}/metrics`)).text();
    return /^prometheus_remote_storage_samples_pending\{.*\} 100$/m.test(page);
  });
  expect(to.requests).toBe(0);
  await server.stop();
  expect(server.process.exitCode).toBe(0);
  expect(await arrived(to, 'late')).toEqual({ '': 100 });
});

test('shutdown waits no longer than the deadline, and the next start sends the rest', { timeout: 60_000 }, async () => {
  const to = await receiver(() => () => undefined);
  space.configure(`remote_write:\n- {url: "${to.url}", remote_timeout: 1h}\n`);
  const flags = [...FLAGS, '--storage.remote.flush-deadline=1s'];
  const server = await space.start(...flags);
  await take(server, 'held', 10);
  const started = performance.now();
  await server.stop();
  expect(server.process.exitCode).toBe(0);
  expect(performance.now() - started).toBeLessThan(6000);
  expect(server.output()).toContain('Not everything was sent');
  to.mood = () => undefined;
  const again = await space.start(...flags);
  await eventually('the rest', async () => (await arrived(to, 'held'))[''] === 10);
  await again.stop();
});

test('nothing is lost to an other side that is ill', { timeout: 60_000 }, async () => {
  const ills: ReturnType<NonNullable<Parameters<typeof startReceiver>[0]>>[] = [
    (response) => response.writeHead(500).end('broken'),
    (response) => response.writeHead(429, { 'retry-after': '1' }).end('later'),
    (response) => response.destroy(),
    (response) => void response.writeHead(200, { 'content-length': '9' }).write('x', () => response.destroy()),
    // Hangs until the sender gives up.
    () => undefined,
    undefined,
  ];
  const to = await receiver((n) => ills[n % ills.length]);
  space.configure(`remote_write:\n${entry(to)}`);
  const server = await space.start(...FLAGS);
  for (let i = 0; i < 3; i++) {
    await take(server, 'ill', 10);
    await eventually('all of it', async () => (await arrived(to, 'ill'))[''] === 10 * (i + 1));
  }
  // What is refused is not sent again.
  const refused = to.requests;
  to.mood = (n) => (n === refused ? (response) => response.writeHead(400).end('no such tenant') : undefined);
  await take(server, 'refused', 10);
  await eventually('the refusal', async () => server.output().includes('400 Bad Request: no such tenant'));
  await take(server, 'after', 1);
  await eventually('what comes after it', async () => (await arrived(to, 'after'))[''] === 1);
  expect(await arrived(to, 'refused')).toEqual({});
  const page = await (await fetch(`${server.url}/metrics`)).text();
  expect(page).toMatch(/^prometheus_remote_storage_samples_failed_total\{.*\} 10$/m);
  await server.stop();
});

test('metadata of the targets goes to receivers of 1.0', { timeout: 60_000 }, async () => {
  // Nothing in common, which snappy would write once.
  const helps = ['First thing.', 'Second matter.', 'Item of the third kind.'];
  const target = createServer((_, response) => {
    const families = helps.map((help, i) => `# HELP m${i} ${help}\n# TYPE m${i} gauge\nm${i} 1\n`);
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(families.join(''));
  });
  const address = await listening(target);
  const to = await receiver();
  const metadata = '  metadata_config: {send_interval: 200ms, max_samples_per_send: 2}\n';
  space.configure(
    `global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs: [{job_name: t, static_configs: [{targets: ["${address}", "localhost:${address.split(':')[1]}"]}]}]\nremote_write:\n${entry(to, metadata)}`,
  );
  const server = await space.start();
  const heard = await eventually('twice all three', async () => {
    const texts = to.bodies.map((body) => body.toString('latin1'));
    const found = texts.map((text) => helps.filter((help) => text.includes(help)).length).filter((n) => n > 0);
    return found.length >= 4 && found;
  });
  // Two targets say the same, which is sent once, in requests of two at most.
  expect(heard.slice(-4).sort()).toEqual([1, 1, 2, 2]);
  const page = await (await fetch(`${server.url}/metrics`)).text();
  expect(page).toMatch(/^prometheus_remote_storage_metadata_total\{.*\} [1-9]/m);
  expect(page).toMatch(/^prometheus_remote_storage_metadata_bytes_total\{.*\} [1-9]/m);
  await server.stop();
  target.closeAllConnections();
  target.close();
});

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
