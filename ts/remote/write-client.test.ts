/** One request of remote write over real HTTP: what is sent, and what the answers mean. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { systemClock } from '../util/index.ts';
import { type PostResult, parseRetryAfter, WriteClient } from './write-client.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Heard {
  request: IncomingMessage;
  body: string;
}

type Answer = (response: ServerResponse) => void;

async function post(answer: Answer, yaml = '', attempt = 0): Promise<{ result: PostResult; heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    heard.push({ request, body: Buffer.concat(pieces).toString() });
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/write`;
  const [config] = parseConfig(`remote_write:\n- url: ${url}\n${yaml}`, 'test.yml').config.remote_write;
  if (!config) throw new Error('no configuration');
  const client = new WriteClient(config, systemClock, 'Narthex/test');
  cleanups.push(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  const result = await client.post(Buffer.from('body'), attempt, new AbortController().signal);
  return { result, heard };
}

it('carries a token that its own endpoint gives', async () => {
  const tokens = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end('{"access_token":"t"}');
  });
  tokens.listen(0, '127.0.0.1');
  await once(tokens, 'listening');
  cleanups.push(() => tokens.close().closeAllConnections());
  const tokenUrl = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/`;
  const yaml = `  oauth2: {client_id: i, client_secret: s, token_url: "${tokenUrl}"}\n`;
  const { result, heard } = await post((response) => response.writeHead(204).end(), yaml);
  expect(result.kind).toBe('sent');
  expect(heard[0]?.request.headers.authorization).toBe('Bearer t');
});

it('carries the headers of 1.0 and of the configuration', async () => {
  const yaml = '  basic_auth: {username: u, password: p}\n  headers: {X-Scope-OrgID: tenant}\n';
  const { result, heard } = await post((response) => response.writeHead(204).end(), yaml, 2);
  expect(result).toEqual({ kind: 'sent', text: '', written: undefined, retryAfterMs: 0 });
  expect(heard[0]?.body).toBe('body');
  expect(heard[0]?.request.method).toBe('POST');
  expect(heard[0]?.request.headers).toMatchObject({
    'content-type': 'application/x-protobuf',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '0.1.0',
    'x-scope-orgid': 'tenant',
    'retry-attempt': '2',
    authorization: `Basic ${Buffer.from('u:p').toString('base64')}`,
  });
});

it('carries the headers of 2.0 and reads what was written', async () => {
  const answer: Answer = (response) => {
    response.setHeader('x-prometheus-remote-write-samples-written', '7');
    response.writeHead(200).end();
  };
  const { result, heard } = await post(answer, '  protobuf_message: io.prometheus.write.v2.Request\n');
  expect(result.written).toEqual({ samples: 7, histograms: 0, exemplars: 0 });
  expect(heard[0]?.request.headers).toMatchObject({
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'x-prometheus-remote-write-version': '2.0.0',
  });
  expect(heard[0]?.request.headers['retry-attempt']).toBeUndefined();
});

it.each<[number, string, PostResult['kind'], number]>([
  [500, '', 'failed', 3000],
  [503, '', 'failed', 3000],
  [429, '', 'refused', 0],
  [429, '  queue_config: {retry_on_http_429: true}\n', 'failed', 3000],
  [400, '', 'refused', 0],
  [415, '', 'refused', 0],
])('answers %i%s', async (status, yaml, kind, retryAfterMs) => {
  const { result } = await post((response) => response.writeHead(status, { 'retry-after': '3' }).end('why\n'), yaml);
  expect(result).toMatchObject({ kind, retryAfterMs });
  expect(result.text).toMatch(new RegExp(`^server returned HTTP status ${status} .*: why$`));
});

it.each<[string, Answer, string]>([
  ['nothing', () => undefined, '  remote_timeout: 100ms\n'],
  ['and hangs up', (response) => response.destroy(), ''],
  [
    'half',
    (response) => void response.writeHead(200, { 'content-length': '9' }).write('x', () => response.destroy()),
    '',
  ],
])('an other side that answers %s may be tried again', async (_, answer, yaml) => {
  const { result } = await post(answer, yaml);
  expect(result.kind).toBe('failed');
  expect(result.text).not.toBe('');
});

it('reads Retry-After as seconds and as a date', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  expect(parseRetryAfter('120', nowMs)).toBe(120_000);
  expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', nowMs)).toBe(30_000);
  expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:30 GMT', nowMs)).toBe(0);
  expect(parseRetryAfter('', nowMs)).toBe(0);
  expect(parseRetryAfter('soon', nowMs)).toBe(0);
});
