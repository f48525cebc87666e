/** Remote read over real HTTP: engines that answer, others that ask, and servers that are not well. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { type ColumnsResult, type Engine, open } from '../core/index.ts';
import { systemClock } from '../util/index.ts';
import { ReadStorage } from './read-storage.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const T0 = Math.floor(Date.now() / 1000) * 1000 - 600_000;

async function engine(series: Record<string, number> = {}): Promise<Engine> {
  const opened = await open({ dir: ':memory:' });
  cleanups.push(() => opened.close());
  const timestamps = Float64Array.from({ length: 60 }, (_, i) => T0 + i * 1000);
  for (const [x, v] of Object.entries(series)) {
    await opened.append([{ labels: { __name__: 'm', x }, timestamps, values: timestamps.map((_, i) => i + v) }]);
  }
  return opened;
}

type Handler = (body: Buffer, request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

async function serve(handler: Handler): Promise<string> {
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    await handler(Buffer.concat(pieces), request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/read`;
}

/** Answers from `far` as the API would. */
function reading(far: Engine, externalLabels: Record<string, string> = {}): Handler {
  return async (body, _request, response) => {
    const asked = { pieces: [body], externalLabels, sampleLimit: 0, maxBytesInFrame: 1000 };
    const { refusal, chunks } = await far.remoteRead(asked);
    if (refusal || !chunks) return void response.writeHead(refusal?.status ?? 500).end(refusal?.text);
    response.setHeader('content-type', 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse');
    for (let piece = await chunks.next(); piece !== null; piece = await chunks.next()) response.write(piece);
    response.end();
  };
}

function storageOf(entries: string, externalLabels = '{}'): ReadStorage {
  const storage = new ReadStorage({ clock: systemClock, userAgent: 'Narthex/test' });
  const { config } = parseConfig(`global: {external_labels: ${externalLabels}}\nremote_read:\n${entries}`, 'test.yml');
  storage.applyConfig(config);
  cleanups.push(async () => storage.close());
  return storage;
}

function ask(near: Engine, storage: ReadStorage, query: string, signal?: AbortSignal): Promise<ColumnsResult> {
  const remote = storage.reader();
  if (remote === undefined) throw new Error('there is no reader');
  return near.query({ query, timeMs: T0 + 59_000 }, signal ? { remote, signal } : { remote });
}

const values = ({ series }: ColumnsResult) =>
  Object.fromEntries(series.map(({ labels, values: [v] }) => [labels.x ?? '', v]));

const metric = (storage: ReadStorage, name: string) =>
  storage
    .families()
    .find((family) => family.name === `prometheus_remote_read_client_${name}`)
    ?.samples.map(({ suffix, labels: { remote_name: _, url: __, ...labels }, value }) => ({
      suffix,
      ...labels,
      value,
    }));

describe('a query', () => {
  it('is answered from both', async () => {
    const seen: IncomingMessage['headers'][] = [];
    const answer = reading(await engine({ far: 100, both: 1 }));
    const url = await serve((body, request, response) => {
      seen.push(request.headers);
      return answer(body, request, response);
    });
    const near = await engine({ near: 200, both: 1 });
    const storage = storageOf(
      `- {url: "${url}", read_recent: true, headers: {X-Mine: yes}, basic_auth: {username: u}}`,
    );
    expect(values(await ask(near, storage, 'm'))).toEqual({ near: 259, both: 60, far: 159 });
    expect(values(await ask(near, storage, 'count(m)'))).toEqual({ '': 3 });
    expect(seen[0]).toMatchObject({
      'content-encoding': 'snappy',
      'content-type': 'application/x-protobuf',
      'user-agent': 'Narthex/test',
      'x-prometheus-remote-read-version': '0.1.0',
      'x-mine': 'yes',
      authorization: `Basic ${Buffer.from('u:').toString('base64')}`,
    });
    const remote = storage.reader();
    const range = { query: 'm{x="far"}', startMs: T0, endMs: T0 + 2000, stepMs: 1000 };
    const columns = await near.queryRange(range, remote ? { remote } : {});
    expect(columns.series.map((s) => [...s.values])).toEqual([[100, 101, 102]]);
    expect(metric(storage, 'queries')).toEqual([{ suffix: '', value: 0 }]);
    expect(metric(storage, 'queries_total')).toEqual([{ suffix: '', response_type: 'chunked', code: '200', value: 3 }]);
    expect(metric(storage, 'request_duration_seconds')?.at(-1)).toMatchObject({ suffix: '_count', value: 3 });
  });

  it('asks for what the database does not have, and no others', async () => {
    let requests = 0;
    const answer = reading(await engine({ far: 1 }), { dc: 'eu' });
    const url = await serve((body, request, response) => {
      requests += 1;
      return answer(body, request, response);
    });
    const near = await engine({ near: 1 });
    const storage = storageOf(`- {url: "${url}", required_matchers: {x: far}, read_recent: true}`, '{dc: eu}');
    expect(values(await ask(near, storage, 'm'))).toEqual({ near: 60 });
    expect(requests).toBe(0);
    const { series } = await ask(near, storage, 'm{x="far"}');
    expect([requests, series.map(({ labels }) => labels)]).toEqual([1, [{ __name__: 'm', x: 'far' }]]);
    const kept = storageOf(`- {url: "${url}", filter_external_labels: false}`, '{dc: eu}');
    const labels = (await ask(near, kept, 'm{x="far"}')).series.map((each) => each.labels);
    expect(labels).toEqual([{ __name__: 'm', dc: 'eu', x: 'far' }]);
    // All that is later than two blocks from now is at hand.
    await ask(near, kept, 'm offset -6h');
    expect(requests).toBe(2);
  });

  it.each<[string, Handler, RegExp]>([
    [
      'an error',
      (_body, _request, response) => void response.writeHead(400).end('exceeded sample limit (1)\n'),
      /^remote_read: remote server http:\S+ returned http status 400 Bad Request: exceeded sample limit \(1\)$/,
    ],
    [
      'a page',
      (_body, _request, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('hello'),
      /^remote_read: unsupported content type: text\/html$/,
    ],
    [
      'garbage',
      (_body, _request, response) =>
        void response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end('garbage'),
      /^remote_read: error reading response: snappy: corrupt input$/,
    ],
    ['nothing', () => undefined, /^remote_read: error sending request: Post "http:\S+": context deadline exceeded$/],
    [
      'and hangs up',
      (_body, _request, response) => void response.destroy(),
      /^remote_read: error sending request: Post "http:\S+": EOF$/,
    ],
    [
      'half of it',
      (_body, _request, response) => {
        const type = 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse';
        response.writeHead(200, { 'content-type': type, 'content-length': '100' });
        response.write('x', () => response.destroy());
      },
      /^remote_read: error sending request: unexpected EOF$/,
    ],
  ])('warns of a server that answers %s', async (_, handler, warning) => {
    const near = await engine({ near: 1 });
    const good = await serve(reading(await engine({ far: 1 })));
    const url = await serve(handler);
    const storage = storageOf(`- {url: "${url}", remote_timeout: 300ms}\n- {url: "${good}"}`);
    const answer = await ask(near, storage, 'm + on (x) m');
    expect(values(answer)).toEqual({ near: 120, far: 120 });
    expect(answer.warnings).toEqual([expect.stringMatching(warning)]);
  });

  it('ends when it is cancelled, whatever the server does', async () => {
    const { port1: server, port2: asked } = new MessageChannel();
    cleanups.push(async () => server.close());
    const url = await serve(() => server.postMessage('asked'));
    const controller = new AbortController();
    const answer = ask(await engine(), storageOf(`- url: "${url}"`), 'm', controller.signal);
    await once(asked, 'message');
    controller.abort();
    await expect(answer).rejects.toMatchObject({ code: 'QUERY_CANCELED' });
  });

  it('is refused before anything is asked for', async () => {
    const storage = storageOf('- url: "http://127.0.0.1:1/"');
    await expect(ask(await engine(), storage, 'm{')).rejects.toMatchObject({ code: 'QUERY_PARSE' });
  });
});

describe('a configuration', () => {
  it('names no server twice', () => {
    const entry = '- url: "http://user:secret@host/read"\n';
    expect(() => storageOf(entry + entry)).toThrow(
      'duplicate remote read configs are not allowed, found duplicate for URL: http://user:xxxxx@host/read',
    );
  });

  it('of nothing is no reader', () => {
    expect(storageOf('  []').reader()).toBeUndefined();
    expect(storageOf('  []').families()).toEqual([]);
  });
});
