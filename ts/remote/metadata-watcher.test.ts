import { expect, it } from 'vitest';
import type { MetricMetadata } from '../core/index.ts';
import { ManualClock, silentLogger } from '../util/index.ts';
import { MetadataWatcher } from './metadata-watcher.ts';

const family = (metric: string, help = 'h'): MetricMetadata => ({ metric, type: 'gauge', help, unit: '' });

/** A watcher of two targets, and what it has sent. */
function watch(send?: (sent: string[], signal: AbortSignal) => Promise<void>) {
  const clock = new ManualClock();
  const sent: string[][] = [];
  const watcher = new MetadataWatcher({
    targets: () => [[family('a'), family('b')], [family('b'), family('a', 'other'), family('c')], []],
    send: async (metadata, signal) => {
      const names = metadata.map(({ metric, help }) => `${metric} ${help}`);
      sent.push(names);
      await send?.(names, signal);
    },
    intervalMs: 60_000,
    maxPerSend: 3,
    clock,
    logger: silentLogger,
    fields: {},
  });
  watcher.start();
  return { clock, sent, watcher };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

it('sends each family with each text once, every interval', async () => {
  const { clock, sent, watcher } = watch();
  await clock.advance(59_999);
  expect(sent).toEqual([]);
  await clock.advance(1);
  expect(sent).toEqual([['a h', 'b h', 'a other'], ['c h']]);
  await clock.advance(60_000);
  expect(sent.length).toBe(4);
  await watcher.stop(1000);
  await clock.advance(600_000);
  expect(sent.length).toBe(4);
});

it('does not send what it missed while it was slow', async () => {
  let release: () => void = () => undefined;
  const { clock, sent, watcher } = watch((names) =>
    names.length === 3 ? new Promise((resolve) => (release = resolve)) : Promise.resolve(),
  );
  await clock.advance(60_000);
  await clock.advance(300_000);
  release();
  await settle();
  await clock.advance(0);
  expect(sent.length).toBe(3);
  release();
  await watcher.stop(1000);
});

it('gives up what is under way at the deadline', async () => {
  const { clock, watcher } = watch(
    (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('gone')))),
  );
  await clock.advance(60_000);
  let isStopped = false;
  const stopped = watcher.stop(5000).then(() => {
    isStopped = true;
  });
  await clock.advance(4999);
  expect(isStopped).toBe(false);
  await clock.advance(1);
  await stopped;
});
