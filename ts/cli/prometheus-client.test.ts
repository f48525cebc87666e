/** The tools' client against a real server: what `--http.config.file` brings about, and how refusals are told. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { defaultHttpClient, parseHttpFile } from '../config/index.ts';
import { cleanups, serve } from '../http/servers.fixture.ts';
import { PrometheusClient } from './prometheus-client.ts';

const SPAN = { startNs: 0n, endNs: 1_500_000_000n, stepNs: 1_000_000_000n };

function open(url: string, config = defaultHttpClient()): PrometheusClient {
  const client = PrometheusClient.open(url, config);
  cleanups.push(() => client.close());
  return client;
}

it('asks with a token, whose secret stands in a file beside the configuration', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'narthex-tool-'));
  cleanups.push(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, 'secret'), 's3cret\n');
  const asked: string[] = [];
  const { address } = await serve(({ url, method, headers }, response) => {
    asked.push(`${method} ${url} ${headers.authorization}`);
    if (url === '/token') response.setHeader('content-type', 'application/json').end('{"access_token":"t"}');
    else response.end('{"status":"success"}');
  });
  const yaml = `oauth2: {client_id: id, client_secret_file: secret, token_url: "http://${address}/token"}\n`;
  const config = parseHttpFile(yaml, join(directory, 'http.yml'));
  const body = await open(`http://${address}/prefix/`, config).queryRange('up', SPAN);
  expect(Buffer.from(body).toString()).toBe('{"status":"success"}');
  expect(asked).toEqual([
    `POST /token Basic ${Buffer.from('id:s3cret').toString('base64')}`,
    'POST /prefix/api/v1/query_range Bearer t',
  ]);
});

it('asks by GET where POST is not taken, as the user in the URL', async () => {
  const asked: string[] = [];
  const { address } = await serve(({ url, method, headers }, response) => {
    asked.push(`${method} ${url} ${headers.authorization}`);
    response.writeHead(method === 'POST' ? 405 : 200).end('{}');
  });
  await open(`http://u:p@${address}`).queryRange('up', SPAN);
  const user = `Basic ${Buffer.from('u:p').toString('base64')}`;
  expect(asked).toEqual([
    `POST /api/v1/query_range ${user}`,
    `GET /api/v1/query_range?query=up&start=0&end=1.5&step=1 ${user}`,
  ]);
});

it('tells what went wrong', async () => {
  const { address } = await serve((_, response) => response.writeHead(503).end());
  await expect(open(`http://${address}`).queryRange('up', SPAN)).rejects.toThrow(
    'query range: server_error: server error: 503',
  );
  await expect(open('http://127.0.0.1:1').queryRange('up', SPAN)).rejects.toThrow(
    'query range: Post "http://127.0.0.1:1/api/v1/query_range": dial tcp 127.0.0.1:1: connect: connection refused',
  );
  expect(() => open('nonsense')).toThrow('invalid URL "nonsense"');
});
