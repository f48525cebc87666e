/**
 * The admin API on data directories written by Prometheus: the requests that Prometheus was sent get its answers and
 * leave the data as it left them; and the same requests to both programs leave the same.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { differenceOf, type Recorded, requestOf } from '../support/answers.ts';
import { narthex, type Running, startServer } from '../support/program.ts';
import { conformance, currentPeer } from '../support/require.ts';

interface DeleteRequest {
  params: Record<string, string | string[]>;
  status: number;
  body: string;
}

const vectors = conformance('tsdb');
const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-admin-'));
const running: Running[] = [];
afterAll(async () => {
  for (const server of running) if (server.process.exitCode === null) await server.kill();
  rmSync(scratch, { recursive: true, force: true });
});

function readJsonLines<T>(path: string): T[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as T);
}

function unpack(name: string, place: string): string {
  const folder = join(scratch, place);
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', join(vectors ?? '', name, 'data.tar.gz'), '-C', folder]);
  return join(folder, 'data');
}

async function serve(command: string[], dataDir: string): Promise<Running> {
  const config = join(scratch, 'prometheus.yml');
  writeFileSync(config, '');
  const flags = [`--config.file=${config}`, '--web.enable-admin-api', '--storage.tsdb.retention.time=100y'];
  const server = await startServer([...command, ...flags, `--storage.tsdb.path=${dataDir}`]);
  running.push(server);
  return server;
}

async function call(url: string, name: string, params: DeleteRequest['params'] = {}, method = 'POST') {
  const form = requestOf({ path: '', params, status: 0, response: null }).slice(1);
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const response = await fetch(`${url}/api/v1/admin/tsdb/${name}`, { method, headers, body: form });
  return { status: response.status, body: await response.text() };
}

async function differences(url: string, recorded: Recorded[]): Promise<string[]> {
  const found: string[] = [];
  for (const each of recorded) {
    const difference = await differenceOf(url, each);
    if (difference !== undefined) found.push(difference);
  }
  return found;
}

/** The directories of blocks. */
function blocksIn(dataDir: string): string[] {
  return readdirSync(dataDir).filter((name) => existsSync(join(dataDir, name, 'meta.json')));
}

describe.skipIf(vectors === undefined)('e-tombstones', () => {
  /** The newest sample when the deletions were made; more came later. */
  const DELETED_AT_SECONDS = '1767236085.000';
  const folder = join(vectors ?? '', 'e-tombstones');
  const recorded = vectors === undefined ? [] : readJsonLines<Recorded>(join(folder, 'queries.jsonl'));
  const requests =
    vectors === undefined
      ? []
      : (JSON.parse(readFileSync(join(folder, 'delete-requests.json'), 'utf8')) as DeleteRequest[]);

  test('the same deletions leave the same, before and after cleaning up and a restart', {
    timeout: 120_000,
  }, async () => {
    const dataDir = unpack('e-tombstones', 'deleted');
    for (const block of blocksIn(dataDir)) rmSync(join(dataDir, block, 'tombstones'));
    const server = await serve([...narthex, 'server'], dataDir);
    const { url } = server;
    expect(await differences(url, recorded), 'the deleted samples are there again').not.toEqual([]);
    for (const { params, status, body } of requests) {
      const answer = await call(url, 'delete_series', { end: DELETED_AT_SECONDS, ...params });
      expect(answer, JSON.stringify(params)).toEqual({ status, body });
    }
    expect(await differences(url, recorded)).toEqual([]);
    expect(await call(url, 'clean_tombstones')).toEqual({ status: 204, body: '' });
    expect(await differences(url, recorded)).toEqual([]);
    const blocks = blocksIn(dataDir);
    expect(blocks.length).toBe(1);
    for (const block of blocks) {
      const meta = JSON.parse(readFileSync(join(dataDir, block, 'meta.json'), 'utf8')) as { stats: object };
      expect(meta.stats).not.toHaveProperty('numTombstones');
    }
    await server.stop();
    const again = await serve([...narthex, 'server'], dataDir);
    expect(await differences(again.url, recorded)).toEqual([]);
    await again.stop();
  });

  test('a snapshot answers the same', { timeout: 120_000 }, async () => {
    const dataDir = unpack('e-tombstones', 'copied');
    const server = await serve([...narthex, 'server'], dataDir);
    const { status, body } = await call(server.url, 'snapshot', { skip_head: 'false' }, 'PUT');
    expect(status).toBe(200);
    const { data } = JSON.parse(body) as { data: { name: string } };
    expect(data.name).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{16}$/);
    await server.stop();
    const copy = join(dataDir, 'snapshots', data.name);
    expect(blocksIn(copy).length).toBe(2);
    for (const command of [[...narthex, 'server'], ...(prometheus === undefined ? [] : [[prometheus]])]) {
      const reader = await serve(command, copy);
      expect(await differences(reader.url, recorded), command[0]).toEqual([]);
      await reader.stop();
    }
  });
});

describe.skipIf(vectors === undefined || prometheus === undefined)('beside Prometheus', () => {
  const requests: [name: string, params: DeleteRequest['params']][] = [
    ['delete_series', {}],
    ['delete_series', { 'match[]': 'fanout{idx="3"}' }],
    ['delete_series', { 'match[]': ['powers', 'const_pi'], start: '1767226400', end: '1767227400.5' }],
    ['delete_series', { 'match[]': '{__name__=~"temp.*",room!="attic"}', start: '2026-01-01T01:00:00Z' }],
    ['delete_series', { 'match[]': 'http_requests_total{code="500"}', end: '1767229200' }],
    ['delete_series', { 'match[]': 'int_walk', start: '1767229200', end: '1767226200' }],
    ['delete_series', { 'match[]': 'tiny', start: '-292273086-05-16T16:47:06Z', end: '1767226200' }],
    ['delete_series', { 'match[]': '{}' }],
    ['delete_series', { 'match[]': '{__name__=""}' }],
    ['delete_series', { 'match[]': 'gappy', start: 'x' }],
    ['delete_series', { 'match[]': 'gappy', start: '1', end: 'y' }],
    ['delete_series', { 'match[]': ['', 'gappy'] }],
    ['delete_series', { 'match[]': 'a{b=~"("}' }],
    ['delete_series', { 'match[]': 'rate(a[5m])' }],
    ['snapshot', { skip_head: 'perhaps' }],
    ['snapshot', { skip_head: 'yes', x: '1' }],
    ['clean_tombstones', {}],
  ];
  const status = ['/api/v1/status/tsdb/blocks'];

  test('the same requests get the same answers and leave the same', { timeout: 120_000 }, async () => {
    // Prometheus goes on listing series of the head that have lost all their samples; we do not.
    const all = readJsonLines<Recorded>(join(vectors ?? '', 'a-blocks-wal', 'queries.jsonl'));
    const recorded = all.filter(({ path }) => path.startsWith('/api/v1/query'));
    const ours = await serve([...narthex, 'server'], unpack('a-blocks-wal', 'ours'));
    const theirs = await serve([prometheus ?? ''], unpack('a-blocks-wal', 'theirs'));
    const json = async (path: string): Promise<unknown> => (await fetch(theirs.url + path)).json();
    for (const path of status) expect(await (await fetch(ours.url + path)).json(), path).toEqual(await json(path));
    for (const [name, params] of requests) {
      const expected = await call(theirs.url, name, params);
      expect(await call(ours.url, name, params), `${name} ${JSON.stringify(params)}`).toEqual(expected);
    }
    const left: Recorded[] = [];
    for (const each of recorded) left.push({ ...each, response: await json(requestOf(each)) });
    expect(await differences(theirs.url, recorded), 'something was deleted').not.toEqual([]);
    expect(await differences(ours.url, left)).toEqual([]);
    await Promise.all([ours.stop(), theirs.stop()]);
  });
});
