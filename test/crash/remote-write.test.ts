/**
 * The whole server takes remote write, cuts blocks, merges them and deletes old ones, and is killed with SIGKILL at random
 * moments, again and again over the same directory. After each kill everything acknowledged is there that retention
 * has not taken, nothing that was never sent, and `tsdb verify` finds nothing but the torn end of what was being written.
 *
 * `NARTHEX_TORTURE_KILLS` is the number of kills, `NARTHEX_TORTURE_SEED` where the moments come from.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Victim } from './victim.ts';
import { type Sent, writeRequest } from './write-request.ts';

const KILLS = Number(process.env.NARTHEX_TORTURE_KILLS ?? '6');
const SEED = Number(process.env.NARTHEX_TORTURE_SEED ?? '1');
const SENDERS = 2;
/** Every so many kills the whole directory is verified before the next start. */
const VERIFY_EVERY = 3;
/** Time between the batches of a sender, in the samples' own time. */
const STEP_MS = 500;
const BLOCK_MS = 5000;
const RETENTION_MS = 60_000;
const LATE_MS = 7000;
/** What is asked of the server after a kill: so much time, which ends so much behind the newest sample. */
const ASKED_MS = 3_600_000;
const AHEAD_MS = 60_000;
/** Batch n has the time START + n × STEP, all of it in the past. */
const START_MS = Math.floor(Date.now() / 1000) * 1000 - 12 * 3_600_000;

const flags = [
  '--web.enable-remote-write-receiver',
  '--enable-feature=exemplar-storage',
  `--storage.tsdb.min-block-duration=${BLOCK_MS}ms`,
  `--storage.tsdb.max-block-duration=${BLOCK_MS * 9}ms`,
  `--storage.tsdb.retention.time=${RETENTION_MS}ms`,
];

const timeOf = (n: number) => START_MS + n * STEP_MS;

/** All of batch n, whose every value is n. A late sample has a time of its own. */
function batch(sender: number, n: number): Sent[] {
  const series = (name: string): Sent['labels'] => ({ __name__: name, job: 'kill', sender: `${sender}` });
  const now = { timeMs: timeOf(n), value: n };
  const late = { timeMs: timeOf(n) - LATE_MS + 1, value: n };
  const floats = Array.from({ length: 8 }, (_, i) => ({
    labels: { ...series('float'), i: `${i}` },
    samples: [now],
    ...(n % 3 === 0 ? { exemplars: [{ ...now, labels: { trace_id: `${sender}-${n}` } }] } : {}),
  }));
  return [
    ...floats,
    { labels: series('integer_histogram'), histograms: [{ ...now, isFloat: false }] },
    { labels: series('float_histogram'), histograms: [{ ...now, isFloat: true }] },
    { labels: series('late'), samples: n % 2 === 0 ? [late] : [now, late] },
    // A series that is gone before it comes back.
    ...(n % 97 < 5 ? [{ labels: { ...series('rare'), i: `${Math.floor(n / 97) % 3}` }, samples: [now] }] : []),
  ];
}

/** Series in one form for both sides → value → time. */
type Stored = Map<string, Map<number, number>>;

const keyOf = (labels: Record<string, string>) =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));

function add(stored: Stored, key: string, value: number, timeMs: number): void {
  const times = stored.get(key) ?? new Map<number, number>();
  // Each sample was sent once; in `late` a value has up to two times.
  const name = times.has(value) ? value + 0.5 : value;
  if (times.has(name)) throw new Error(`${key}: ${value} is there three times`);
  stored.set(key, times.set(name, timeMs));
}

function expected(sender: number, from: number, to: number, into: Stored): void {
  for (let n = from; n <= to; n++) {
    for (const { labels, samples = [], histograms = [] } of batch(sender, n)) {
      // In order of time, as the server shows them.
      const all = [...samples, ...histograms].sort((a, b) => a.timeMs - b.timeMs);
      for (const s of all) add(into, keyOf(labels), s.value, s.timeMs);
    }
  }
}

interface Matrix {
  data: {
    result: {
      metric: Record<string, string>;
      values?: [number, string][];
      histograms?: [number, { count: string; sum: string }][];
    }[];
  };
}

async function stored(url: string, newestMs: number): Promise<Stored> {
  const search = new URLSearchParams({
    query: `{job="kill"}[${ASKED_MS}ms]`,
    time: `${(newestMs + AHEAD_MS) / 1000}`,
  });
  const response = await fetch(`${url}/api/v1/query?${search}`);
  const { data } = (await response.json()) as Matrix;
  const found: Stored = new Map();
  for (const { metric, values = [], histograms = [] } of data.result) {
    for (const [t, value] of values) add(found, keyOf(metric), Number(value), Math.round(t * 1000));
    for (const [t, { count, sum }] of histograms) {
      if (count !== sum) throw new Error(`a histogram that was never sent: count ${count}, sum ${sum}`);
      add(found, keyOf(metric), Number(sum), Math.round(t * 1000));
    }
  }
  return found;
}

/** Numbers that depend on the seed alone. */
function noise(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

class Sender {
  /** The last batch that the server has taken, the last that it may have, and those it may lack. */
  acknowledged = 0;
  next = 1;
  readonly doubtful = new Set<number>();
  refused: string | undefined;
  #stop = false;
  readonly #id: number;
  readonly #url: string;

  constructor(id: number, url: string) {
    this.#id = id;
    this.#url = url;
  }

  async run(): Promise<void> {
    this.#stop = false;
    while (!this.#stop) {
      const n = this.next++;
      this.doubtful.add(n);
      const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
      const body = writeRequest(batch(this.#id, n));
      try {
        const response = await fetch(`${this.#url}/api/v1/write`, { method: 'POST', body, headers });
        const text = await response.text();
        if (response.status !== 204) {
          this.refused ??= `batch ${n}: ${response.status} ${text}`;
          return;
        }
        this.doubtful.delete(n);
        this.acknowledged = n;
      } catch {
        // The kill: whether it has the batch is open.
        return;
      }
    }
  }

  stop(): void {
    this.#stop = true;
  }

  /** Goes on from batch n: one that falls far behind the other would be too old. */
  catchUp(n: number): void {
    for (; this.next < n; this.next++) this.doubtful.add(this.next);
  }
}

let victim: Victim;
beforeAll(async () => {
  victim = await Victim.create(() => `storage: {tsdb: {out_of_order_time_window: ${RETENTION_MS / 2}ms}}\n`);
});
afterAll(() => victim.destroy());

test(`${KILLS} kills, seed ${SEED}`, { timeout: 60_000 + KILLS * 15_000 }, async () => {
  const below = noise(SEED);
  const senders = Array.from({ length: SENDERS }, (_, id) => new Sender(id, victim.url));
  let blocks = 0;
  let expired = 0;
  for (let kill = 0; ; kill++) {
    const isAdmin = below(2) === 0;
    const all = isAdmin ? [...flags, '--web.enable-admin-api'] : flags;
    if (below(8) === 0) await victim.killWhileStarting(below(600), ...all);
    const server = await victim.start(...all);
    const result = await check(server.url, senders, kill);
    blocks = Math.max(blocks, result.blocks);
    expired = result.expired;
    if (kill === KILLS) break;

    // Now and then long enough for merging and retention to have their turn behind what is to be cut.
    const lifetime = below(10) === 0 ? 3000 + below(3000) : below(800);
    for (const sender of senders) sender.catchUp(Math.max(...senders.map((each) => each.next)));
    const running = senders.map((sender) => sender.run());
    if (isAdmin) void administer(server.url, below);
    await sleep(lifetime);
    await victim.kill();
    for (const sender of senders) sender.stop();
    await Promise.all(running);
    expect(senders.map((sender) => sender.refused)).toEqual(senders.map(() => undefined));
    if (kill % VERIFY_EVERY === 0) {
      const wrong = (await victim.faults()).filter((line) => !isUnfinished(line));
      expect(wrong, `kill ${kill}`).toEqual([]);
    }
  }
  const taken = senders.map((sender) => sender.acknowledged);
  console.log(`${KILLS} kills, seed ${SEED}: ${taken} batches, ${blocks} blocks at once, ${expired} batches expired`);
  expect(Math.min(...taken)).toBeGreaterThan(0);
  if (KILLS >= 6) expect(blocks).toBeGreaterThan(0);
  if (KILLS >= 50) expect(expired).toBeGreaterThan(0);
});

/** What an operator does meanwhile. Nothing of it takes samples away. */
async function administer(url: string, below: (n: number) => number): Promise<void> {
  const calls = ['snapshot', 'snapshot?skip_head=true', 'clean_tombstones', 'delete_series?match[]={job="other"}'];
  try {
    for (;;) {
      await sleep(50 + below(300));
      await fetch(`${url}/api/v1/admin/tsdb/${calls[below(calls.length)]}`, { method: 'POST' });
    }
  } catch {
    // killed
  }
}

/** What a kill leaves behind and the next start puts right. */
function isUnfinished(finding: string): boolean {
  return (
    /^(wal|wbl)\/\d{8} at offset \d+: log: last record is torn$/.test(finding) ||
    /^(\S*\.tmp\S*|wal\/checkpoint\.\d{8}\.tmp): stray: /.test(finding) ||
    /^snapshots: stray: /.test(finding)
  );
}

async function check(url: string, senders: Sender[], kill: number): Promise<{ blocks: number; expired: number }> {
  const newestMs = timeOf(Math.max(...senders.map((sender) => sender.acknowledged)));
  const got = await stored(url, newestMs);
  const horizonMs = newestMs - RETENTION_MS;
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const [id, sender] of senders.entries()) {
    const all: Stored = new Map();
    // Earlier batches have no sample in the answer.
    const from = Math.max(1, Math.floor((newestMs + AHEAD_MS - ASKED_MS - START_MS) / STEP_MS));
    expected(id, from, sender.next - 1, all);
    const there = [...got].filter(([key]) => key.includes(`["sender","${id}"]`));
    for (const [key, samples] of there) {
      const invented = [...samples].filter(([value, timeMs]) => {
        const times = [all.get(key)?.get(value), all.get(key)?.get(Math.floor(value)), all.get(key)?.get(value + 0.5)];
        return !times.includes(timeMs);
      });
      expect(invented.slice(0, 5), `kill ${kill}: never sent: ${key}`).toEqual([]);
      for (const timeMs of samples.values()) oldestMs = Math.min(oldestMs, timeMs);
    }
    for (const [key, samples] of all) {
      const times = new Set(got.get(key)?.values());
      const lost = [...samples].filter(([value, timeMs]) => {
        const isDoubtful = sender.doubtful.has(Math.floor(value));
        return timeMs >= horizonMs && !isDoubtful && !times.has(timeMs);
      });
      expect(lost.slice(0, 5), `kill ${kill}: lost: ${key}`).toEqual([]);
    }
  }
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const blocks = Number(/^prometheus_tsdb_blocks_loaded (\S+)$/m.exec(metrics)?.[1]);
  return { blocks, expired: Math.max(0, Math.floor((oldestMs - START_MS) / STEP_MS) - LATE_MS / STEP_MS) };
}
