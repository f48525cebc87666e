/**
 * Requests that no client sends: whatever comes, the server answers or hangs up, goes on scraping and answering,
 * and its event loop stays free.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Running } from '../support/program.ts';
import { type Answer, eventually, query } from './client.ts';
import { type Exporter, startExporter } from './exporter.ts';
import { scrapeConfig, workspace } from './workspace.ts';

/** The longest that another request may have to wait: a second, doubled because both ends share a busy machine. */
const LOOP_BLOCKED_MAX_MS = 2000;

const space = workspace();
let exporter: Exporter;
let server: Running;
let slowestMs = 0;
let watching = true;
let watcher: Promise<void>;

/** Asks for the server's health again and again and keeps the longest time that took. */
async function watch(): Promise<void> {
  while (watching) {
    const began = performance.now();
    const response = await fetch(`${server.url}/-/healthy`);
    await response.text();
    if (response.status === 200) slowestMs = Math.max(slowestMs, performance.now() - began);
    await sleep(20);
  }
}

beforeAll(async () => {
  exporter = await startExporter(5);
  space.configure(scrapeConfig('a', [exporter.address]));
  server = await space.start('--query.timeout=2s');
  await eventually('a scrape', async () => (await query(server.url, 'up == 1')).length === 1);
  watcher = watch();
});

beforeEach(() => {
  slowestMs = 0;
  return async () => {
    expect(server.process.exitCode).toBeNull();
    await eventually('the next scrape', async () => (await query(server.url, 'up == 1')).length === 1);
    expect(slowestMs).toBeLessThan(LOOP_BLOCKED_MAX_MS);
  };
});

afterAll(async () => {
  watching = false;
  await watcher;
  await exporter.close();
  await server.stop();
});

/** Sends bytes as they are; what comes back until the server hangs up or `limitMs` has passed. */
async function raw(bytes: string | Buffer, limitMs = 2000): Promise<string> {
  const pieces: Buffer[] = [];
  const socket = open();
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(bytes);
  await Promise.race([closed, sleep(limitMs, undefined, { ref: false })]);
  socket.destroy();
  return Buffer.concat(pieces).toString('latin1');
}

function open(): Socket {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  // The server may reset what it does not want to read.
  socket.on('error', () => undefined);
  return socket;
}

async function post(path: string, form: Record<string, string> | string): Promise<[number, Answer]> {
  const body = typeof form === 'string' ? form : new URLSearchParams(form).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const response = await fetch(server.url + path, { method: 'POST', body, headers });
  return [response.status, (await response.json()) as Answer];
}

describe('sockets', () => {
  const broken: [string, string | Buffer, RegExp][] = [
    ['no method', '\r\n\r\n\r\n \r\n', /^HTTP\/1\.1 400 |^$/],
    ['bytes of chance', Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 167 + 13) % 256)), /400|^$/],
    ['TLS', Buffer.from('16030100a5010000a10303', 'hex'), /400|^$/],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /400|505|^$/],
    ['a chunk of no size', chunked('zz\r\nquery=1\r\n0\r\n\r\n'), /^HTTP\/1\.1 400 /],
    ['a chunk of negative size', chunked('-1\r\nquery=1\r\n0\r\n\r\n'), /^HTTP\/1\.1 400 /],
    ['a chunk larger than memory', chunked('ffffffffffffffff1\r\nquery=1'), /^HTTP\/1\.1 4/],
    ['two lengths', request('POST', 'Content-Length: 7\r\nContent-Length: 8\r\n', 'query=1'), /^HTTP\/1\.1 400 /],
    ['a negative length', request('POST', 'Content-Length: -1\r\n', 'query=1'), /^HTTP\/1\.1 400 /],
    ['a length beyond all', request('POST', 'Content-Length: 99999999999999999999\r\n', 'query=1'), /^HTTP\/1\.1 4/],
    ['length and chunks', request('POST', 'Content-Length: 7\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), /400/],
    ['a header with a line break', request('GET', 'X: a\rb\r\n', ''), /400/],
    ['a header with NUL', request('GET', 'X: a\0b\r\n', ''), /400/],
    ['garbage behind a request', `${request('GET', '', '')}\0\0\0garbage\r\n\r\n`, /HTTP\/1\.1 400 /],
  ];
  test.each(broken)('%s', async (_, bytes, expected) => {
    expect(await raw(bytes)).toMatch(expected);
  });

  test('a hundred requests in one write', async () => {
    const answers = await raw(request('GET', '', '').repeat(99) + request('GET', 'Connection: close\r\n', ''), 10_000);
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(100);
  });

  test('many that never finish their request', async () => {
    const starts = ['GET / HT', request('POST', 'Content-Length: 1000\r\n', 'query='), chunked('5\r\nqu'), ''];
    const sockets = Array.from({ length: 200 }, (_, i) => {
      const socket = open();
      socket.write(starts[i % starts.length] ?? '');
      return socket;
    });
    expect((await query(server.url, 'vector(1)'))[0]?.value?.[1]).toBe('1');
    for (const socket of sockets) socket.destroy();
  });

  test('one that asks for much and reads nothing', async () => {
    const sockets = Array.from({ length: 20 }, () => {
      const socket = open().pause();
      socket.write(`GET /api/v1/query?query=%22${'x'.repeat(100_000)}%22 HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(20));
      return socket;
    });
    expect((await query(server.url, 'vector(1)'))[0]?.value?.[1]).toBe('1');
    for (const socket of sockets) socket.destroy();
  });
});

function request(method: string, headers: string, body: string): string {
  return `${method} /api/v1/query?query=1 HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}`;
}

function chunked(body: string): string {
  const headers = 'Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n';
  return request('POST', headers, body);
}

describe('parameters', () => {
  const paths: [string, number | RegExp][] = [
    ['/api/v1/query?query=%', 400],
    ['/api/v1/query?query=%ff%fe', 400],
    ['/api/v1/query?query=up%00', 400],
    ['/api/v1/label/%c0%80/values', 400],
    ['/api/v1/label/__name__/values?limit=-1', 400],
    ['/api/v1/label/__name__/values?limit=99999999999999999999', 400],
    ['/api/v1/series?match[]={}', 400],
    ['/api/v1/series?match[]={a=~%22%22}', 400],
    ['/federate?match[]=%00', 400],
    ['/api/v1/status/tsdb?limit=1e9', 400],
    ['/%2e%2e/%2e%2e/etc/passwd', 404],
    ['/static/..%2f..%2fpackage.json', 404],
    ['//', /[2-4]\d\d/],
  ];
  test.each(paths)('GET %s', async (path, status) => {
    const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${typeof status === 'number' ? status : status.source} `));
  });

  const times: [Record<string, string>, number][] = [
    [{ time: 'NaN' }, 200],
    [{ time: 'Inf' }, 200],
    [{ time: '-9223372036854775.808' }, 200],
    [{ time: '9223372036854775.807' }, 200],
    [{ time: '1e308' }, 200],
    [{ time: '0001-01-01T00:00:00Z' }, 200],
    [{ time: '99999-01-01T00:00:00Z' }, 400],
    [{ lookback_delta: '9223372036' }, 200],
    [{ lookback_delta: '-1' }, 400],
    [{ timeout: '1e300' }, 400],
    [{ timeout: '-5s' }, 400],
    [{ limit: '-1' }, 400],
  ];
  test.each(times)('an instant with %o', async (params, status) => {
    // Prometheus takes some of these and refuses others; a fault of ours is none of them.
    const [got] = await post('/api/v1/query', { query: 'rate(sequence[1h]) offset 1h', ...params });
    expect(got).toBeLessThan(500);
    if (status === 200) expect([200, 400]).toContain(got);
  });

  const ranges: [string, string, string][] = [
    ['0', '1', '0'],
    ['0', '1', '-1'],
    ['1', '0', '1'],
    ['-1e308', '1e308', '1e-300'],
    ['NaN', 'NaN', 'NaN'],
    ['0', '1e9', '1e-9'],
    ['-9223372036854775', '9223372036854775', '9223372036'],
    ['9223372036854774', '9223372036854775', '0.001'],
  ];
  test.each(ranges)('a range from %s to %s by %s', async (start, end, step) => {
    for (const text of ['sequence', 'time()', 'max_over_time(sequence[1h:1m])', 'sequence @ end() offset -1y']) {
      const [status] = await post('/api/v1/query_range', { query: text, start, end, step });
      expect([200, 400, 422]).toContain(status);
    }
  });
});

describe('queries', { timeout: 60_000 }, () => {
  const wanted = (n: number, text: string) => text.repeat(n);
  const texts: [string, string, number][] = [
    ['parentheses', wanted(100_000, '('), 400],
    ['signs', `${wanted(100_000, '-')}1`, 400],
    ['sums', `1${wanted(500_000, '+1')}`, 400],
    ['functions', `${wanted(50_000, 'abs(')}up${wanted(50_000, ')')}`, 400],
    ['subqueries', `up${wanted(50_000, '[1h:1m]')}`, 400],
    ['matchers', `{${wanted(300_000, 'a="",')}b="c"}`, 200],
    ['regular expressions', `{${Array.from({ length: 100_000 }, (_, i) => `a=~"x+${i}"`).join(',')}}`, 400],
    ['repetitions', `{${wanted(200, 'a=~".{999}",')}}`, 400],
    ['nested repetitions', '{a=~"((((x{1,100}){1,100}){1,100}){1,100})"}', 400],
    ['an alternation', `{a=~"${Array.from({ length: 100_000 }, (_, i) => i).join('|')}"}`, 200],
    ['arguments', `label_join(up, "a", "", ${wanted(300_000, '"b",')}"c")`, 200],
    ['a string', `"${wanted(1_000_000, 'é')}"`, 200],
    ['control characters', 'up{a="\\x00\\x01\\u202e\u0007"}', 200],
    ['a comment without end', `1 #${wanted(1_000_000, ' ')}`, 200],
    ['too many steps', 'max_over_time(vector(1)[10000d:1ms])', 422],
    ['a duration beyond all', 'up offset 9999999999y', 400],
  ];
  test.each(texts)('%s', async (_, text, status) => {
    const [got, answer] = await post('/api/v1/query', { query: text });
    expect([got, answer.error?.slice(0, 200)]).toEqual([status, answer.error?.slice(0, 200)]);
    const [formatted] = await post('/api/v1/format_query', { query: text });
    expect(formatted).toBe(status === 422 ? 200 : status);
  });

  const slow: [string, string][] = [
    ['a long subquery', 'sum_over_time(vector(time())[400d:1s])'],
    ['a long set operation', 'count_over_time(({__name__=~".+"} and {__name__=~".+"})[400d:1s])'],
    ['a long union', 'count_over_time(({__name__=~".+"} or vector(1))[400d:1s])'],
    ['a long ranking', 'count_over_time(topk(2, {__name__=~".+"})[400d:1s])'],
    ['nested subqueries', 'max_over_time(rate(rate(rate({__name__=~".+"}[1d:1s])[1d:1s])[1d:1s])[1d:1s])'],
  ];
  test.each(slow)('%s ends with the timeout', async (_, text) => {
    const began = performance.now();
    const [status] = await post('/api/v1/query', { query: text, timeout: '500ms' });
    expect([200, 422, 503]).toContain(status);
    // A generous bound: machines that run tests are busy.
    expect(performance.now() - began).toBeLessThan(8000);
  });

  const selectors: [string, string][] = [
    ['the same', 'match[]=up&'.repeat(200_000)],
    ['different', Array.from({ length: 50_000 }, (_, i) => `match[]=up${i}`).join('&')],
    ['regular', Array.from({ length: 20_000 }, (_, i) => `match[]={a=~"x%2B${i}"}`).join('&')],
  ];
  test.each(selectors)('selectors: %s', async (_, form) => {
    const [status] = await post('/api/v1/series', form);
    expect([200, 400, 503]).toContain(status);
  });

  test('many at once are answered or refused', async () => {
    const ask = () => post('/api/v1/query', { query: 'sum_over_time(vector(1)[100d:1s])', timeout: '1s' });
    const answers = await Promise.all(Array.from({ length: 100 }, ask));
    for (const [status] of answers) expect([200, 503]).toContain(status);
  });
});
