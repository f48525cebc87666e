/** `narthex tool push metrics`: what arrives, what is printed, and how it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { narthex, type Running } from '../support/program.ts';
import { currentPeer } from '../support/require.ts';
import { query } from './client.ts';
import { workspace } from './workspace.ts';

const space = workspace();
const promtool = currentPeer('promtool');
const V2 = 'io.prometheus.write.v2.Request';
let server: Running;

const TEXT = `# HELP pushed_total Things.
# TYPE pushed_total counter
pushed_total{a="b",job="mine"} 42
# TYPE pushed_seconds histogram
pushed_seconds_bucket{le="0.5"} 1
pushed_seconds_sum 3
pushed_seconds_count 2
# TYPE pushed_size summary
pushed_size{quantile="0.99"} 7
pushed_size_sum 70
pushed_size_count 10
`;

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function push(command: string[], args: string[], input = ''): Promise<Outcome> {
  const [program = '', ...first] = command;
  const child = spawn(program, [...first, 'push', 'metrics', ...args]);
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      out[name] += text;
    });
  }
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...out };
}

const ours = (...args: string[]) => push([...narthex, 'tool'], args);

beforeAll(async () => {
  space.configure('');
  server = await space.start('--web.enable-remote-write-receiver');
  writeFileSync(join(space.dir, 'good.txt'), TEXT);
  writeFileSync(join(space.dir, 'bad.txt'), 'pushed_total x\n');
});

async function series(selector: string): Promise<Record<string, string>> {
  const found = await query(server.url, selector);
  return Object.fromEntries(found.map(({ metric, value }) => [JSON.stringify(metric), value?.[1] ?? '']));
}

test.each([['prometheus.WriteRequest'], [V2]])('%s', async (message) => {
  const file = join(space.dir, 'good.txt');
  const outcome = await ours(
    `--protobuf_message=${message}`,
    '--label=job=push',
    `--label=by:${message}`,
    server.url,
    file,
  );
  expect(outcome).toEqual({
    code: 0,
    stdout: `Parsing metrics file ${file}\n  SUCCESS: metrics file ${file} pushed to remote write.\n`,
    stderr: '',
  });
  const labels = (name: string, more = {}) => {
    const all = { __name__: name, by: message, job: 'push', ...more };
    return JSON.stringify(Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1))));
  };
  expect(await series(`{by="${message}"}`)).toEqual({
    [labels('pushed_total', { a: 'b', exported_job: 'mine' })]: '42',
    [labels('pushed_seconds_bucket', { le: '0.5' })]: '1',
    [labels('pushed_seconds_bucket', { le: '+Inf' })]: '2',
    [labels('pushed_seconds_sum')]: '3',
    [labels('pushed_seconds_count')]: '2',
    [labels('pushed_size', { quantile: '0.99' })]: '7',
    [labels('pushed_size_sum')]: '70',
    [labels('pushed_size_count')]: '10',
  });
});

test('the standard input, with a label of its own', async () => {
  const outcome = await push([...narthex, 'tool'], [server.url], 'piped 1\n');
  expect(outcome).toEqual({
    code: 0,
    stdout: 'Parsing standard input\n  SUCCESS: metrics pushed to remote write.\n',
    stderr: '',
  });
  expect(await series('piped')).toEqual({ '{"__name__":"piped","job":"promtool"}': '1' });
});

test('one bad file spoils the exit code alone', async () => {
  const [good, bad] = [join(space.dir, 'good.txt'), join(space.dir, 'bad.txt')];
  expect(await ours(server.url, bad, good)).toEqual({
    code: 1,
    stdout: `Parsing metrics file ${bad}\nParsing metrics file ${good}\n  SUCCESS: metrics file ${good} pushed to remote write.\n`,
    stderr: '  FAILED: text format parsing error in line 1: expected float as value, got "x"\n',
  });
});

test('what the command line gets wrong', async () => {
  const file = join(space.dir, 'good.txt');
  const message = await ours('--protobuf_message=x', server.url, file);
  expect(message).toMatchObject({
    code: 1,
    stderr: `  FAILED: invalid protobuf message "x", must be prometheus.WriteRequest or ${V2}\n`,
  });
  expect(await ours(server.url, 'absent.txt')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("path 'absent.txt' does not exist"),
  });
  expect(await ours('--label=x', server.url, file)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("expected KEY=VALUE got 'x'"),
  });
});

describe('a receiver of its own', () => {
  const requests: { headers: IncomingMessage['headers']; url: string | undefined }[] = [];
  const answers: [status: number, headers: Record<string, string>, text: string][] = [];
  const receiver = createServer((request, response) => {
    request.resume().on('end', () => {
      requests.push({ headers: request.headers, url: request.url });
      const [status, headers, text] = answers.shift() ?? [204, {}, ''];
      response.writeHead(status, headers).end(text);
    });
  });
  let url: string;
  beforeAll(async () => {
    receiver.listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  });
  afterAll(() => receiver.close());

  test('headers, path, credentials, and what is tried again', async () => {
    const config = join(space.dir, 'http.yml');
    writeFileSync(config, 'basic_auth: {username: u, password: p}\n');
    answers.push([503, { 'retry-after': '0' }, 'busy']);
    const flags = [`--http.config.file=${config}`, '--header=X-Tenant=a', '--remote-write.path=/push'];
    const outcome = await push([...narthex, 'tool'], [...flags, `${url}/prefix/`], 'a 1\n');
    expect(outcome.code).toBe(0);
    expect(requests.map((r) => [r.url, r.headers['retry-attempt']])).toEqual([
      ['/prefix/push', undefined],
      ['/prefix/push', '1'],
    ]);
    expect(requests[0]?.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('u:p').toString('base64')}`,
      'content-encoding': 'snappy',
      'content-type': 'application/x-protobuf',
      'x-prometheus-remote-write-version': '0.1.0',
      'x-tenant': 'a',
    });
  });

  test('a refusal, and a receiver that did not look', async () => {
    answers.push([400, {}, 'no such thing\n']);
    expect(await push([...narthex, 'tool'], [url], 'a 1\n')).toMatchObject({
      code: 1,
      stderr: '  FAILED: server returned HTTP status 400 Bad Request: no such thing\n\n',
    });
    const v2 = await push([...narthex, 'tool'], [`--protobuf_message=${V2}`, url], 'a 1\n');
    expect(v2).toMatchObject({ code: 1, stderr: expect.stringContaining('sent v2 request; got 2xx, but PRW 2.0') });
  });
});

describe.skipIf(promtool === undefined)('promtool', () => {
  test('says and does the same', async () => {
    const file = join(space.dir, 'good.txt');
    const bad = join(space.dir, 'bad.txt');
    const label = (by: string) => `--label=who=${by}`;
    const theirs = await push([promtool ?? ''], [label('theirs'), server.url, file, bad]);
    const own = await ours(label('ours'), server.url, file, bad);
    expect(own).toEqual(theirs);
    const strip = (all: Record<string, string>) =>
      Object.entries(all)
        .map(([name, value]) => [name.replace(/"who":"\w+"/, ''), value])
        .sort();
    expect(strip(await series('{who="ours"}'))).toEqual(strip(await series('{who="theirs"}')));
  });
});
