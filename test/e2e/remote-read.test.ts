/** Remote read by the built program: as the one that is asked, and as the one that asks. */
import { createConnection } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Running } from '../support/program.ts';
import { decodeFrames, decodeSamples, encodeRead, SAMPLES, STREAMED_XOR_CHUNKS } from '../support/remote-read.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { eventually, getJson, type QueryData } from './client.ts';
import { type Workspace, workspace } from './workspace.ts';

const [first, far, near] = [workspace(), workspace(), workspace()];
const T0 = Math.floor(Date.now() / 1000) * 1000 - 300_000;
const everything = {
  startMs: T0,
  endMs: T0 + 1_000_000,
  matchers: [{ type: '=~' as const, name: '__name__', value: 'read_.*' }],
};

function post(server: Running, body: Uint8Array<ArrayBuffer> | string): Promise<Response> {
  return fetch(`${server.url}/api/v1/read`, { method: 'POST', body });
}

async function metric(server: Running, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text);
  return line ? Number(line[1]) : undefined;
}

async function filled(space: Workspace, ...flags: string[]): Promise<Running> {
  space.configure('global: {external_labels: {dc: eu}}\n');
  const server = await space.start('--web.enable-remote-write-receiver', ...flags);
  for (let part = 0; part < 10; part++) {
    const series = Array.from({ length: 100 }, (_, i) => ({
      labels: { __name__: 'read_me', part: String(part), i: String(i) },
      samples: Array.from({ length: 240 }, (_, s) => ({ t: T0 + s * 1000, v: Math.sqrt(s * 7919 + i) })),
    }));
    await remoteWrite(server.url, series);
  }
  return server;
}

describe('remote read', () => {
  test('answers others, bounded, and counts', async () => {
    const server = await filled(
      first,
      '--storage.remote.read-concurrent-limit=1',
      '--storage.remote.read-sample-limit=1000',
    );
    const samples = await post(server, encodeRead([{ ...everything, endMs: T0 }], [SAMPLES]));
    expect(samples.headers.get('content-type')).toBe('application/x-protobuf');
    expect(samples.headers.get('content-encoding')).toBe('snappy');
    const [series] = decodeSamples(Buffer.from(await samples.arrayBuffer()));
    expect([series?.length, series?.[0]?.labels]).toEqual([1000, '__name__=read_me,dc=eu,i=0,part=0']);
    const many = await post(server, encodeRead([everything], [SAMPLES]));
    expect([many.status, await many.text()]).toEqual([400, 'exceeded sample limit (1000)\n']);
    expect(many.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect((await post(server, 'garbage')).status).toBe(400);
    expect((await fetch(`${server.url}/api/v1/read`)).status).toBe(405);

    // One that does not read its answer has the only place; when it goes, the next has it.
    const body = encodeRead(Array(30).fill(everything), [STREAMED_XOR_CHUNKS]);
    const { hostname, port } = new URL(server.url);
    const slow = createConnection({ host: hostname, port: Number(port) });
    slow.write(`POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
    slow.write(body);
    slow.pause();
    await eventually(
      'it is being answered',
      async () => (await metric(server, 'prometheus_remote_read_handler_queries')) === 1,
    );
    const next = post(server, encodeRead([everything], [STREAMED_XOR_CHUNKS]));
    slow.destroy();
    const frames = decodeFrames(Buffer.from(await (await next).arrayBuffer()));
    expect(new Set(frames.map(({ labels }) => labels)).size).toBe(1000);
    await eventually(
      'none is left',
      async () => (await metric(server, 'prometheus_remote_read_handler_queries')) === 0,
    );
    expect(await metric(server, 'prometheus_remote_read_handler_gate_wait_duration_seconds_count')).toBeGreaterThan(4);
    await server.stop();
  });

  test('answers queries of a server that has nothing, until a reload takes it away', async () => {
    const server = await filled(far);
    const entry = `remote_read:\n- {url: "${server.url}/api/v1/read", read_recent: true}\n`;
    near.configure(`global: {external_labels: {dc: eu}}\n${entry}`);
    const reader = await near.start('--web.enable-lifecycle');
    const ask = async () => {
      const search = new URLSearchParams({ query: 'count(read_me)', time: String(T0 / 1000) });
      const { data, warnings } = await getJson<QueryData>(`${reader.url}/api/v1/query?${search}`);
      return [data.result[0]?.value?.[1], warnings];
    };
    expect(await ask()).toEqual(['1000', undefined]);
    expect(await metric(reader, 'prometheus_remote_read_client_queries_total')).toBe(1);
    const search = new URLSearchParams({ 'match[]': 'read_me{part="3"}', start: String(T0 / 1000) });
    expect((await getJson<object[]>(`${reader.url}/api/v1/series?${search}`)).data).toHaveLength(100);

    const labels = await getJson<string[]>(`${reader.url}/api/v1/labels`);
    expect([labels.data, labels.warnings]).toEqual([[], ['not implemented']]);

    near.configure(entry + entry.replace('remote_read:\n', ''));
    const refused = await fetch(`${reader.url}/-/reload`, { method: 'POST' });
    expect(refused.status).toBe(500);
    expect(await refused.text()).toContain('duplicate remote read configs are not allowed');
    expect(await ask()).toEqual(['1000', undefined]);

    await server.stop();
    expect(await ask()).toEqual([undefined, [expect.stringContaining('remote_read: error sending request: Post')]]);
    near.configure('');
    expect((await fetch(`${reader.url}/-/reload`, { method: 'POST' })).status).toBe(200);
    expect(await ask()).toEqual([undefined, undefined]);
  });
});
