import { describe, expect, it } from 'vitest';
import { desiredShards, EwmaRate, type ShardLoad } from './shard-count.ts';

const LOAD: ShardLoad = {
  shards: 4,
  min: 1,
  max: 50,
  inRate: 1000,
  droppedRate: 0,
  outRate: 1000,
  sendingSeconds: 4,
  delaySeconds: 0,
};

describe('the number of shards', () => {
  it.each<[string, Partial<ShardLoad>, number]>([
    ['stays while nothing was sent', { outRate: 0 }, 4],
    ['stays where it fits', {}, 4],
    ['stays within a third of what is needed', { inRate: 1250 }, 4],
    ['rises with what comes in', { inRate: 2000 }, 8],
    ['does not count what is dropped', { inRate: 2000, droppedRate: 1000 }, 4],
    ['rises to catch up', { delaySeconds: 20 }, 8],
    ['falls', { sendingSeconds: 1 }, 1],
    ['does not fall while far behind', { sendingSeconds: 1, delaySeconds: 11 }, 4],
    ['has a top', { inRate: 1e6 }, 50],
    ['has a bottom', { sendingSeconds: 0.1, min: 2 }, 2],
  ])('%s', (_, change, want) => {
    expect(desiredShards({ ...LOAD, ...change }).shards).toBe(want);
  });
});

it('a rate begins with the first events and follows slowly', () => {
  const rate = new EwmaRate();
  rate.tick();
  expect(rate.perSecond).toBe(0);
  rate.add(1000);
  rate.tick();
  expect(rate.perSecond).toBe(100);
  rate.add(2000);
  rate.tick();
  expect(rate.perSecond).toBe(120);
});
