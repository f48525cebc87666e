/** The file of failed scrapes: its lines, its opening anew, and disks that do not take them. */

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { ManualClock, silentLogger } from '../util/index.ts';
import { FailureLogs } from './failure-log.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'narthex-failures-'));
  cleanups.push(() => rm(path, { recursive: true }));
  return path;
}

/** The file once it has so many lines. */
async function lines(path: string, count: number): Promise<string[]> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = existsSync(path) ? (await readFile(path, 'utf8')).split('\n').slice(0, -1) : [];
    if (found.length >= count) return found;
    if (Date.now() > deadline) throw new Error(`${found.length} lines in ${path}, not ${count}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const failed = (error: string) => ({ error, job: 'j', target: 'http://t/metrics' });

it('gets a line of JSON for each failure, in order, with Prometheus’ keys', async () => {
  const path = join(await directory(), 'log');
  const logs = new FailureLogs(new ManualClock(1_700_000_000_123), silentLogger);
  logs.reopen([path, path, '']);
  for (let i = 0; i < 1000; i++) logs.add(path, failed(`Get "x": ${i}`));
  const found = await lines(path, 1000);
  expect(found.map((line) => JSON.parse(line).msg)).toEqual(found.map((_, i) => `Get "x": ${i}`));
  expect(found[0]).toBe(
    '{"time":"2023-11-14T22:13:20.123Z","level":"ERROR","source":"scrape-loop.ts","msg":"Get \\"x\\": 0","job_name":"j","target":"http://t/metrics"}',
  );
  logs.close();
});

it('is opened anew when the configuration is read again, and what waited is written', async () => {
  const path = join(await directory(), 'log');
  const logs = new FailureLogs(new ManualClock(), silentLogger);
  logs.reopen([path]);
  logs.add(path, failed('first'));
  await lines(path, 1);
  await rename(path, `${path}.1`);
  logs.add(path, failed('second'));
  logs.reopen([path]);
  logs.add(path, failed('third'));
  expect((await lines(`${path}.1`, 2)).map((line) => JSON.parse(line).msg)).toEqual(['first', 'second']);
  expect((await lines(path, 1)).map((line) => JSON.parse(line).msg)).toEqual(['third']);
  logs.reopen([]);
  logs.add(path, failed('nowhere'));
  expect(await lines(path, 1)).toHaveLength(1);
});

it('that cannot be opened is refused, and the others stay', async () => {
  const dir = await directory();
  const path = join(dir, 'log');
  const logs = new FailureLogs(new ManualClock(), silentLogger);
  logs.reopen([path]);
  const missing = join(dir, 'none', 'log');
  expect(() => logs.reopen([path, missing])).toThrow(
    `can't create json log file: open ${missing}: no such file or directory`,
  );
  logs.add(path, failed('still'));
  await lines(path, 1);
  logs.close();
});

it.skipIf(!existsSync('/dev/full'))('on a full disk loses its lines and says so once', async () => {
  const told: string[] = [];
  const logger = {
    ...silentLogger,
    error: (fields: object, text: string) => told.push(`${JSON.stringify(fields)} ${text}`),
  };
  const logs = new FailureLogs(new ManualClock(), logger);
  logs.reopen(['/dev/full']);
  logs.add('/dev/full', failed('a'));
  const deadline = Date.now() + 10_000;
  while (told.length === 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2));
  logs.add('/dev/full', failed('b'));
  for (let i = 0; i < 20_000; i++) logs.add('/dev/full', failed('many'));
  logs.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(told).toEqual([
    '{"file":"/dev/full","err":"ENOSPC: no space left on device, write"} Writing to the scrape failure log failed; lines are lost',
  ]);
});
