/**
 * The disk of the whole server fills up: remote write is refused with a server error, the log says why, queries go on
 * and show what was acknowledged; with room again and a restart it takes writes and has lost nothing. Needs the right to
 * mount a small file system.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { query } from '../e2e/client.ts';
import { Victim } from './victim.ts';
import { writeRequest } from './write-request.ts';

const FLAGS = ['--web.enable-remote-write-receiver'];
const ROOM_BYTES = 200_000;

let victim: Victim;
let isMounted = false;

beforeAll(async () => {
  victim = await Victim.create(() => '');
  mkdirSync(victim.dataDir);
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'narthex-test', victim.dataDir]);
  isMounted = mount.status === 0;
});

afterAll(async () => {
  await victim.kill().catch(() => {});
  if (isMounted) spawnSync('umount', [victim.dataDir]);
  await victim.destroy();
});

/** Sends a batch whose 200 values are its number. */
async function send(url: string, startMs: number, number: number): Promise<{ status: number; text: string }> {
  const series = Array.from({ length: 200 }, (_, i) => ({
    labels: { __name__: 'filling', i: `${i}` },
    samples: [{ timeMs: startMs + number * 10, value: number * 1.000_7 + i }],
  }));
  const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
  const response = await fetch(`${url}/api/v1/write`, { method: 'POST', body: writeRequest(series), headers });
  return { status: response.status, text: await response.text() };
}

async function count(url: string): Promise<number[]> {
  const series = await query(url, 'count_over_time(filling[1h])');
  return [...new Set(series.map((each) => Number(each.value?.[1])))];
}

test('refuses writes and nothing else', { timeout: 120_000 }, async (context) => {
  if (!isMounted) {
    console.warn('skipped: a full disk: no right to mount a file system');
    context.skip();
  }
  const server = await victim.start(...FLAGS);
  const startMs = Date.now() - 1_800_000;
  let acknowledged = 0;
  for (; acknowledged < 10; acknowledged++) expect((await send(server.url, startMs, acknowledged)).status).toBe(204);

  const { bavail, bsize } = statfsSync(victim.dataDir);
  const filler = join(victim.dataDir, 'filler');
  writeFileSync(filler, Buffer.alloc(bavail * bsize - ROOM_BYTES));
  let refused = await send(server.url, startMs, acknowledged);
  for (; refused.status === 204; refused = await send(server.url, startMs, acknowledged)) acknowledged++;
  expect(refused.status).toBe(500);
  expect(refused.text).toMatch(/wal\/\d{8}.*[Nn]o space left on device/);
  expect(server.output()).toMatch(/[Nn]o space left on device/);
  expect(await count(server.url)).toEqual([acknowledged]);
  expect((await send(server.url, startMs, acknowledged)).status).toBe(500);

  rmSync(filler);
  await victim.kill();
  const again = await victim.start(...FLAGS);
  expect(await count(again.url)).toEqual([acknowledged]);
  expect((await send(again.url, startMs, acknowledged)).status).toBe(204);
  expect(await count(again.url)).toEqual([acknowledged + 1]);
});
