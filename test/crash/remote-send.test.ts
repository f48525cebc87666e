/**
 * A server that sends on by remote write what it takes in is killed with SIGKILL in the middle, again and again, while
 * the other side is ill now and then. Every sample that it acknowledged arrives there, late ones too; some arrive twice.
 *
 * `NARTHEX_TORTURE_KILLS` is the number of kills, `NARTHEX_TORTURE_SEED` where the moments come from.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
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

/** The nth batch: a sample of each series, and one that comes late. */
function batch(n: number): ReturnType<typeof writeRequest> {
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
  return writeRequest([...inOrder, n % 2 === 0 ? late : { ...late, samples: late.samples.slice(0, 1) }]);
}

let victim: Victim;
let receiver: WriteReceiver;
let isIll = false;

beforeAll(async () => {
  receiver = await startReceiver((n) => {
    if (isIll) return (response) => response.writeHead(503).end();
    return n % 7 === 3 ? (response) => response.destroy() : undefined;
  });
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
        try {
          const response = await fetch(`${server.url}/api/v1/write`, { method: 'POST', body: batch(n), headers });
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
  expect(receiver.refusals).toEqual([]);
  const got = await eventually(
    'everything',
    async () => {
      const found = await heard();
      return missing(found, acknowledged).length === 0 && found;
    },
    60_000,
  ).catch(async () => heard());
  expect(missing(got, acknowledged).slice(0, 10)).toEqual([]);
  await victim.kill();
});

/** Times of each series that arrived. */
async function heard(): Promise<Map<string, Set<number>>> {
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
function missing(found: Map<string, Set<number>>, acknowledged: readonly number[]): string[] {
  const names = [...Array.from({ length: SERIES }, (_, i) => `${i}`), 'late'];
  const lost: string[] = [];
  for (const n of acknowledged) {
    const timeMs = START_MS + n * STEP_MS;
    for (const name of names) if (!found.get(name)?.has(timeMs)) lost.push(`${name} of batch ${n}`);
    if (n % 2 === 0 && !found.get('late')?.has(timeMs - LATE_MS)) lost.push(`late sample of batch ${n}`);
  }
  return lost;
}
