/** What fastify refuses by default and Prometheus takes, and what a broken request gets. */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../support/program.ts';
import { type Answer, eventually, getJson, type QueryData } from './client.ts';
import { workspace } from './workspace.ts';

const FORM = 'application/x-www-form-urlencoded';
const space = workspace();
let server: Running;

beforeAll(async () => {
  space.configure('');
  server = await space.start('--web.cors.origin=https?://(a|b)\\.example');
});

const post = (path: string, body: string, contentType = FORM) =>
  fetch(`${server.url}${path}`, { method: 'POST', body, headers: { 'content-type': contentType } });

/** Sends bytes as they are; everything that came back. */
async function raw(bytes: string): Promise<string> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(pieces).toString();
}

async function expectError(response: Response, status: number, error: string | RegExp): Promise<void> {
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe('application/json');
  const body = (await response.json()) as Answer;
  expect(body).toMatchObject({ status: 'error', errorType: expect.any(String) });
  expect(body.error).toMatch(error);
}

describe('large requests', () => {
  test('a label name of 101 characters in the path', async () => {
    const answer = await getJson(`${server.url}/api/v1/label/${'a'.repeat(101)}/values`);
    expect(answer).toEqual({ status: 'success', data: [] });
  });

  test('a GET URL of 100 kB', async () => {
    const query = `vector(1)${' '.repeat(100_000)}`;
    const answer = await getJson<QueryData>(`${server.url}/api/v1/query?query=${query.replaceAll(' ', '+')}`);
    expect(answer.data.resultType).toBe('vector');
  });

  test('a POST of 8 MB', async () => {
    const response = await post('/api/v1/query', `query=1&padding=${'x'.repeat(8_000_000)}`);
    expect(response.status).toBe(200);
  });

  test('a POST of 11 MB is 413', async () => {
    await expectError(await post('/api/v1/query', `query=${'x'.repeat(11_000_000)}`), 413, /too large/i);
  });

  test('headers of 2 MB are 431', async () => {
    const answer = await raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(2_000_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    expect(answer).toContain('"errorType":"bad_data"');
  });
});

describe('forms', () => {
  const scalar = async (response: Response) =>
    ((await response.json()) as Answer<{ result: [number, string] }>).data.result[1];

  const forms: [string, string, string, string][] = [
    ['a content type with charset', '', 'query=1', `${FORM}; charset=utf-8`],
    ['upper case in the content type', '', 'query=1', FORM.toUpperCase()],
    ['the body before the URL', '?query=2', 'query=1', FORM],
    ['another content type: the URL alone counts', '?query=1', 'query=2', 'text/plain'],
    ['JSON that nobody reads', '?query=1', '{"query":"2"}', 'application/json'],
    ['an empty body of JSON', '?query=1', '', 'application/json'],
    ['the first of two values', '', 'query=1&query=2', FORM],
  ];
  test.each(forms)('%s', async (_, search, body, contentType) => {
    expect(await scalar(await post(`/api/v1/query${search}`, body, contentType))).toBe('1');
  });

  test('multipart', async () => {
    const body = new FormData();
    body.set('query', '1');
    expect(await scalar(await fetch(`${server.url}/api/v1/query`, { method: 'POST', body }))).toBe('1');
  });

  test('a body of another type and nothing else is 415', async () => {
    await expectError(await post('/api/v1/query', '{"query":"1"}', 'application/json'), 415, 'unsupported media type');
  });

  test('match[] is repeated', async () => {
    const answer = await getJson(`${server.url}/api/v1/series?match[]=up&match%5B%5D=down`);
    expect(answer).toEqual({ status: 'success', data: [] });
  });
});

describe('broken requests', () => {
  test.each(['/api/v1/nope', '/nope', '/api/v1/'])('%s is 404', async (path) => {
    await expectError(await fetch(server.url + path), 404, /not found/);
  });

  const methods: [string, string, string][] = [
    ['DELETE', '/api/v1/query', 'GET, OPTIONS, POST'],
    ['POST', '/api/v1/targets', 'GET, OPTIONS'],
    ['POST', '/-/healthy', 'GET, HEAD, OPTIONS'],
    ['PATCH', '/api/v1/label/job/values', 'GET, OPTIONS'],
    ['DELETE', '/-/reload', 'GET, OPTIONS, POST, PUT'],
  ];
  test.each(methods)('%s %s is 405', async (method, path, allow) => {
    const response = await fetch(server.url + path, { method });
    expect(response.headers.get('allow')).toBe(allow);
    await expectError(response, 405, 'Method Not Allowed');
  });

  test('a broken escape in the path is 400', async () => {
    await expectError(await fetch(`${server.url}/api/v1/label/%zz/values`), 400, /./);
    await expectError(await fetch(`${server.url}/api/v1/label/%ff/values`), 400, /./);
  });

  test('no HTTP at all is 400', async () => {
    expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('a body that ends early leaves the server alive', async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: ${FORM}\r\nContent-Length: 100\r\n\r\nquery=1`,
    );
    await once(socket, 'connect');
    socket.destroy();
    expect((await getJson(`${server.url}/api/v1/query?query=1`)).status).toBe('success');
  });

  test('a client that goes away cancels its query', { timeout: 30_000 }, async () => {
    const running = async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return Number(/^prometheus_engine_queries (\d+)$/m.exec(text)?.[1]);
    };
    const going = new AbortController();
    // A hundred rows, a window of a day for each of 2001 steps: far longer than the test may take.
    const rows = Array.from({ length: 100 }, (_, i) => `label_replace(vector(1), "row", "${i}", "", "")`);
    const long = new URLSearchParams({
      query: `sum_over_time((${rows.join(' or ')})[1d:1s])`,
      start: '0',
      end: '2000',
      step: '1',
    });
    const asked = fetch(`${server.url}/api/v1/query_range?${long}`, { signal: going.signal }).catch(() => undefined);
    await eventually('the query', async () => (await running()) === 1);
    going.abort();
    await asked;
    await eventually('its end', async () => (await running()) === 0, 8000);
  });
});

describe('headers', () => {
  const options = (path: string) =>
    new Promise<[number | undefined, Record<string, unknown>]>((resolve, reject) => {
      const asked = request(server.url + path, { method: 'OPTIONS' }, (response) => {
        response.resume();
        resolve([response.statusCode, response.headers]);
      });
      asked.on('error', reject).end();
    });

  test('OPTIONS', async () => {
    expect((await options('/api/v1/query'))[0]).toBe(204);
    expect((await options('/api/v1/anything/else'))[0]).toBe(204);
    expect(await options('/-/healthy')).toMatchObject([200, { allow: 'GET, HEAD, OPTIONS' }]);
  });

  test('HEAD on health and readiness', async () => {
    for (const path of ['/-/healthy', '/-/ready']) {
      const response = await fetch(server.url + path, { method: 'HEAD' });
      expect([response.status, await response.text()]).toEqual([200, '']);
    }
  });

  const origins: [string, string | null][] = [
    ['https://a.example', 'https://a.example'],
    ['http://c.example', null],
    ['https://a.example.evil', null],
  ];
  test.each(origins)('an answer to origin %s', async (origin, allowed) => {
    const response = await fetch(`${server.url}/api/v1/query?query=1`, { headers: { origin } });
    expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
    expect(response.headers.get('access-control-allow-methods')).toBe('GET, POST, OPTIONS');
    expect(response.headers.get('vary')).toContain('Origin');
  });

  test('answers are compressed where that pays', async () => {
    const [encoding, bytes] = await new Promise<[string | undefined, Buffer]>((resolve, reject) => {
      const url = `${server.url}/api/v1/status/flags`;
      const asked = request(url, { headers: { 'accept-encoding': 'deflate;q=0, gzip' } }, async (response) => {
        resolve([response.headers['content-encoding'], Buffer.concat(await response.toArray())]);
      });
      asked.on('error', reject).end();
    });
    expect(encoding).toBe('gzip');
    expect(JSON.parse(gunzipSync(bytes).toString())).toMatchObject({ status: 'success' });
  });
});
