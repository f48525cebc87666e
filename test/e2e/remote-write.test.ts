/** Remote write over HTTP: what a sender is answered, and Prometheus itself as the sender. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, type Running } from '../support/program.ts';
import { currentPeer } from '../support/require.ts';
import { eventually, query } from './client.ts';
import { scrapeConfig, workspace } from './workspace.ts';

const promtool = currentPeer('promtool');
const prometheus = currentPeer('prometheus');
const V2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

const space = workspace();
let server: Running;

/** A block of snappy that holds `bytes` as one literal; at most 60 of them. */
function literal(bytes: number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([bytes.length, (bytes.length - 1) << 2, ...bytes]);
}

function post(body: Uint8Array<ArrayBuffer> | string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}/api/v1/write`, { method: 'POST', body, headers });
}

beforeAll(async () => {
  space.configure('');
  server = await space.start('--web.enable-remote-write-receiver');
});

describe('the receiver', () => {
  test('answers by what the headers and the body say', async () => {
    const proto = { 'content-type': 'application/x-protobuf' };
    const good = await post(literal([0x1a, 0]), proto);
    expect([good.status, await good.text()]).toEqual([204, '']);
    expect(good.headers.has('x-prometheus-remote-write-samples-written')).toBe(false);
    const v2 = await post(literal([0x22, 0]), { 'content-type': V2, 'content-encoding': 'snappy' });
    expect(v2.status).toBe(204);
    for (const name of ['samples', 'histograms', 'exemplars']) {
      expect(v2.headers.get(`x-prometheus-remote-write-${name}-written`)).toBe('0');
    }
    expect((await post('x', { 'content-type': 'application/json' })).status).toBe(400);
    expect((await post(literal([0x1a, 0]), { 'content-type': 'application/json' })).status).toBe(415);
    expect((await post(literal([0x1a, 0]), { ...proto, 'content-encoding': 'zstd' })).status).toBe(415);
    const damaged = await post(literal([0x0a, 9]), proto);
    expect(damaged.status).toBe(400);
    expect(damaged.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await damaged.text()).toBe('unexpected EOF\n');
    expect((await post(new Uint8Array(32 * 1024 * 1024 + 1), proto)).status).toBe(413);
    expect((await fetch(`${server.url}/api/v1/write`)).status).toBe(405);
  });
});

describe.skipIf(promtool === undefined)('promtool', () => {
  test('push metrics', async () => {
    const file = join(space.dir, 'metrics.txt');
    writeFileSync(file, '# TYPE pushed counter\npushed{a="b"} 42\n');
    await promisify(execFile)(promtool ?? '', ['push', 'metrics', '--label=job=push', server.url, file]);
    const [series] = await query(server.url, 'pushed');
    expect(series?.metric).toMatchObject({ __name__: 'pushed', a: 'b', job: 'push' });
    expect(series?.value?.[1]).toBe('42');
  });
});

describe.skipIf(prometheus === undefined)('Prometheus as the sender', () => {
  const running: ChildProcess[] = [];
  afterAll(() => {
    for (const child of running) child.kill('SIGKILL');
  });

  test.each([
    ['1.0', 'prometheus.WriteRequest'],
    ['2.0', 'io.prometheus.write.v2.Request'],
  ])('version %s', async (version, message) => {
    const address = `127.0.0.1:${await freePort()}`;
    const config = join(space.dir, `sender-${version}.yml`);
    writeFileSync(
      config,
      `${scrapeConfig(`sender-${version}`, [address], '500ms')}remote_write:
  - url: ${server.url}/api/v1/write
    protobuf_message: ${message}
`,
    );
    const args = [`--config.file=${config}`, `--storage.tsdb.path=${join(space.dir, `sender-${version}`)}`];
    running.push(spawn(prometheus ?? '', [...args, `--web.listen-address=${address}`], { stdio: 'ignore' }));
    const own = `{job="sender-${version}"}`;
    await eventually(
      'what was sent',
      async () => (await query(server.url, `count_over_time(up${own}[1m])`)).length === 1,
    );
    const names = async (url: string) =>
      (await query(url, `group by (__name__) (${own})`)).map(({ metric }) => metric.__name__).sort();
    await eventually('all of it', async () => {
      const [here, there] = [await names(server.url), await names(`http://${address}`)];
      return here.length > 100 && JSON.stringify(here) === JSON.stringify(there);
    });
  });
});
