/**
 * A server that sends on by remote write what it takes in is killed with SIGKILL in the middle, again and again, while
 * the other side is ill now and then. Every sample that it acknowledged arrives there: late ones too, where the other
 * side takes those; and where it refuses a request for one sample that it has, no other is lost with that.
 *
 * `NARTHEX_TORTURE_KILLS` is the number of kills, `NARTHEX_TORTURE_SEED` where the moments come from.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../e2e/client.ts';
import { startReceiver, type WriteReceiver } from '../support/write-receiver.ts';
import { Victim } from './victim.ts';
import { writeRequest } from './write-request.ts';

const KILLS = Number(process.env.NARTHEX_TORTURE_KILLS ?? '5');
const SEED = Number(process.env.NARTHEX_TORTURE_SEED ?? '1');
const START_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
/** Late samples have times of their own, between those of the others. */
const LATE_MS = 7007;
const STEP_MS = 20;
const SERIES = 20;
/** Short, so that late samples go into blocks while they wait to be sent. */
const BLOCK_MS = 5000;
const FLAGS = ['--web.enable-remote-write-receiver', `--storage.tsdb.min-block-duration=${BLOCK_MS}ms`];

/** Numbers that depend on the seed alone. */
function noise(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The nth batch: a sample of each series, and perhaps one that comes late. */
function batch(n: number, isLate: boolean): ReturnType<typeof writeRequest> {
  const timeMs = START_MS + n * STEP_MS;
  const inOrder = Array.from({ length: SERIES }, (_, i) => ({
    labels: { __name__: 'sent', i: `${i}` },
    samples: [{ timeMs, value: n }],
  }));
  const late = {
    labels: { __name__: 'late' },
    samples: [
      { timeMs, value: n },
      { timeMs: timeMs - LATE_MS, value: n },
    ],
  };
  return writeRequest([...inOrder, isLate ? late : { ...late, samples: late.samples.slice(0, 1) }]);
}

const RECEIVERS = [
  { receives: 'late samples', windowMs: 24 * 3_600_000 },
  { receives: 'nothing old', windowMs: 0 },
];

describe.each(RECEIVERS)('a receiver of $receives', ({ windowMs }) => {
  const hasLate = windowMs > 0;
  const isLate = (n: number): boolean => hasLate && n % 2 === 0;
  let victim: Victim;
  let receiver: WriteReceiver;
  let isIll = false;

  beforeAll(async () => {
    receiver = await startReceiver((n) => {
      if (isIll) return (response) => response.writeHead(503).end();
      return n % 7 === 3 ? (response) => response.destroy() : undefined;
    }, windowMs);
    victim = await Victim.create(
      () =>
        `storage: {tsdb: {out_of_order_time_window: 1h}}\nremote_write:\n- url: ${receiver.url}\n  queue_config: {batch_send_deadline: 20ms, max_samples_per_send: 100, min_shards: 2, max_backoff: 100ms}\n`,
    );
  });
  afterAll(async () => {
    await victim.destroy();
    await receiver.close();
  });

  test(`${KILLS} kills, seed ${SEED}`, { timeout: 60_000 + KILLS * 15_000 }, async () => {
    const below = noise(SEED);
    const acknowledged: number[] = [];
    let next = 0;
    for (let kill = 0; ; kill++) {
      const server = await victim.start(...FLAGS);
      if (kill === KILLS) break;
      isIll = kill % 2 === 1;
      let isKilled = false;
      const sending = (async () => {
        while (!isKilled) {
          const n = next++;
          const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
          const body = batch(n, isLate(n));
          try {
            const response = await fetch(`${server.url}/api/v1/write`, { method: 'POST', body, headers });
            if (response.status !== 204) throw new Error(await response.text());
            acknowledged.push(n);
          } catch (error) {
            if (!isKilled) throw error;
          }
        }
      })();
      await sleep(300 + below(1200));
      isKilled = true;
      await victim.kill();
      await sending;
    }
    isIll = false;
    expect(acknowledged.length).toBeGreaterThan(KILLS * 10);
    const got = await eventually(
      'everything',
      async () => {
        const found = await heard(receiver);
        return missing(found, acknowledged, isLate).length === 0 && found;
      },
      60_000,
    ).catch(async () => heard(receiver));
    expect(missing(got, acknowledged, isLate).slice(0, 10)).toEqual([]);
    if (hasLate) expect(receiver.refusals).toEqual([]);
    await victim.kill();
  });
});

/** Times of each series that arrived. */
async function heard(receiver: WriteReceiver): Promise<Map<string, Set<number>>> {
  const lengthMs = 2 * 3_600_000;
  const { series } = await receiver.engine.query({
    query: `{__name__=~"sent|late"}[${lengthMs}ms]`,
    timeMs: START_MS + lengthMs / 2,
  });
  return new Map(
    series.map(({ labels, timestamps }) => [
      labels.__name__ === 'late' ? 'late' : (labels.i ?? ''),
      new Set(timestamps),
    ]),
  );
}

/** What of the acknowledged batches is not there. */
function missing(
  found: Map<string, Set<number>>,
  acknowledged: readonly number[],
  isLate: (n: number) => boolean,
): string[] {
  const names = [...Array.from({ length: SERIES }, (_, i) => `${i}`), 'late'];
  const lost: string[] = [];
  for (const n of acknowledged) {
    const timeMs = START_MS + n * STEP_MS;
    for (const name of names) if (!found.get(name)?.has(timeMs)) lost.push(`${name} of batch ${n}`);
    if (isLate(n) && !found.get('late')?.has(timeMs - LATE_MS)) lost.push(`late sample of batch ${n}`);
  }
  return lost;
}
