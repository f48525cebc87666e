/** What a queue of remote write counts, under Prometheus' names and with its help. */

import { Histogram, type MetricFamily, Value } from '../util/metrics.ts';

const PREFIX = 'prometheus_remote_storage_';
const WATCHER = 'prometheus_wal_watcher_';
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300];
const FOR_1 = 'Deprecated: This metric only applies to Remote Write 1.0.';
const RETRIED = 'which failed on send to remote storage but were retried because the send error was recoverable.';
const FAILED = 'which failed on send to remote storage, non-recoverable errors.';

/** The kinds of what is sent. */
export const KINDS = ['samples', 'histograms', 'exemplars'] as const;

/** A kind of what is sent. */
export type Kind = (typeof KINDS)[number];

const each = (make: (kind: Kind) => Value): Record<Kind, Value> => ({
  samples: make('samples'),
  histograms: make('histograms'),
  exemplars: make('exemplars'),
});

/** A counter or gauge of one queue, with further labels where it has `more`. */
class QueueValue {
  readonly value: Value;
  readonly #labels: readonly string[];

  constructor(value: Value, labels: readonly string[]) {
    this.value = value;
    this.#labels = labels;
  }

  inc(by = 1, more: readonly string[] = []): void {
    this.value.inc([...this.#labels, ...more], by);
  }

  set(to: number, more: readonly string[] = []): void {
    this.value.set([...this.#labels, ...more], to);
  }

  get(): number {
    return this.value.get(this.#labels);
  }
}

/** The metrics of one queue, gone when it is. */
export class QueueMetrics {
  readonly #all: (Value | Histogram)[] = [];
  readonly #labels: readonly string[];
  readonly #consumer: readonly string[];
  readonly #duration = new Histogram(
    `${PREFIX}sent_batch_duration_seconds`,
    'Duration of send calls to the remote storage.',
    BUCKETS,
    ['remote_name', 'url'],
  );

  readonly sent;
  readonly failed;
  readonly retried;
  readonly dropped;
  readonly pending;
  readonly metadata;
  readonly metadataFailed;
  readonly metadataRetried;
  readonly metadataBytes;
  readonly enqueueRetries;
  readonly bytes;
  readonly highest;
  readonly highestSent;
  readonly shardCapacity;
  readonly shards;
  readonly shardsMax;
  readonly shardsMin;
  readonly shardsDesired;
  readonly maxSamplesPerSend;
  readonly recordsRead;
  readonly decodeFailures;
  readonly segment;

  /** `isV1`: the queue speaks remote write 1.0, which has metadata of its own. */
  constructor(name: string, url: string, isV1: boolean) {
    this.#labels = [name, url];
    this.#consumer = [name];
    const own = ['remote_name', 'url'];
    const of = (type: 'counter' | 'gauge', short: string, help: string, more: string[] = []): Value =>
      this.#add(new Value(type, PREFIX + short, help, [...own, ...more]));
    const one = (type: 'counter' | 'gauge', short: string, help: string): QueueValue => {
      const value = new QueueValue(of(type, short, help), this.#labels);
      value.inc(0);
      return value;
    };
    const kinds = (type: 'counter' | 'gauge', short: string, help: (kind: Kind) => string) => {
      const values = each((kind) => of(type, `${kind}_${short}`, help(kind)));
      for (const kind of KINDS) values[kind].inc(this.#labels, 0);
      return this.#byKind(values);
    };
    this.sent = kinds('counter', 'total', (kind) => `Total number of ${kind} sent to remote storage.`);
    this.failed = kinds('counter', 'failed_total', (kind) => `Total number of ${kind} ${FAILED}`);
    this.retried = kinds('counter', 'retried_total', (kind) => `Total number of ${kind} ${RETRIED}`);
    this.dropped = this.#byKind(
      each((kind) =>
        of(
          'counter',
          `${kind}_dropped_total`,
          `Total number of ${kind} which were dropped after being read from the WAL before being sent via remote write, either via relabelling, due to being too old or unintentionally because of an unknown reference ID.`,
          ['reason'],
        ),
      ),
    );
    this.pending = kinds(
      'gauge',
      'pending',
      (kind) => `The number of ${kind} pending in the queues shards to be sent to the remote storage.`,
    );
    this.enqueueRetries = one(
      'counter',
      'enqueue_retries_total',
      'Total number of times enqueue has failed because a shards queue was full.',
    );
    this.#add(this.#duration);
    this.#duration.touch(this.#labels);
    this.highest = one(
      'gauge',
      'queue_highest_timestamp_seconds',
      'Highest timestamp that was enqueued, in seconds since epoch. Initialized to 0 when no data has been received yet.',
    );
    this.highestSent = one(
      'gauge',
      'queue_highest_sent_timestamp_seconds',
      'Highest timestamp successfully sent by this queue, in seconds since epoch. Initialized to 0 when no data has been sent yet.',
    );
    this.shardCapacity = one(
      'gauge',
      'shard_capacity',
      'The capacity of each shard of the queue used for parallel sending to the remote storage.',
    );
    this.shards = one('gauge', 'shards', 'The number of shards used for parallel sending to the remote storage.');
    this.shardsMax = one('gauge', 'shards_max', 'The maximum number of shards that the queue is allowed to run.');
    this.shardsMin = one('gauge', 'shards_min', 'The minimum number of shards that the queue is allowed to run.');
    this.shardsDesired = one(
      'gauge',
      'shards_desired',
      'The number of shards that the queues shard calculation wants to run based on the rate of samples in vs. samples out.',
    );
    this.bytes = one(
      'counter',
      'bytes_total',
      'The total number of bytes of data sent by the queue after compression. For Remote Write 2.0, this includes metadata. Note that when exemplars over remote write is enabled the exemplars included in a remote write request count towards this metric.',
    );
    this.maxSamplesPerSend = one(
      'gauge',
      'max_samples_per_send',
      'The maximum number of samples to be sent, in a single request, to the remote storage. Note that, when sending of exemplars over remote write is enabled, exemplars count towards this limit.',
    );
    const before = this.#all.length;
    const entries = 'Total number of metadata entries';
    this.metadata = one('counter', 'metadata_total', `${entries} sent to remote storage. ${FOR_1}`);
    this.metadataFailed = one('counter', 'metadata_failed_total', `${entries} ${FAILED} ${FOR_1}`);
    this.metadataRetried = one('counter', 'metadata_retried_total', `${entries} ${RETRIED} ${FOR_1}`);
    this.metadataBytes = one(
      'counter',
      'metadata_bytes_total',
      `The total number of bytes of metadata sent by the queue after compression. ${FOR_1}`,
    );
    if (!isV1) this.#all.length = before;
    const watcher = (type: 'counter' | 'gauge', short: string, help: string): QueueValue => {
      const value = new QueueValue(this.#add(new Value(type, WATCHER + short, help, ['consumer'])), this.#consumer);
      value.inc(0);
      return value;
    };
    this.recordsRead = new QueueValue(
      this.#add(
        new Value(
          'counter',
          `${WATCHER}records_read_total`,
          'Number of records read by the WAL watcher from the WAL.',
          ['consumer', 'type'],
        ),
      ),
      this.#consumer,
    );
    this.decodeFailures = watcher(
      'counter',
      'record_decode_failures_total',
      'Number of records read by the WAL watcher that resulted in an error when decoding.',
    );
    this.segment = watcher('gauge', 'current_segment', 'Current segment the WAL watcher is reading records from.');
    // Nothing is sent while the log is only read for its series, and nobody is notified: the log is looked at.
    watcher(
      'counter',
      'samples_sent_pre_tailing_total',
      'Number of sample records read by the WAL watcher and sent to remote write during replay of existing WAL.',
    );
    watcher(
      'counter',
      'notifications_skipped_total',
      'The number of WAL write notifications that the Watcher has skipped due to already being in a WAL read routine.',
    );
  }

  /** A call to the other side took so long. */
  observeSend(seconds: number): void {
    this.#duration.observe(this.#labels, seconds);
  }

  families(): MetricFamily[] {
    return this.#all.map((metric) => metric.family());
  }

  #byKind(values: Record<Kind, Value>): Record<Kind, QueueValue> {
    const of = (kind: Kind): QueueValue => new QueueValue(values[kind], this.#labels);
    return { samples: of('samples'), histograms: of('histograms'), exemplars: of('exemplars') };
  }

  #add<T extends Value | Histogram>(metric: T): T {
    this.#all.push(metric);
    return metric;
  }
}

/** The families of several queues as one list: each name once. */
export function mergeFamilies(all: readonly QueueMetrics[]): MetricFamily[] {
  const merged = new Map<string, MetricFamily>();
  for (const family of all.flatMap((metrics) => metrics.families())) {
    const there = merged.get(family.name);
    if (there) there.samples.push(...family.samples);
    else merged.set(family.name, family);
  }
  // A family of which nothing was counted yet is not shown.
  return [...merged.values()].filter(({ samples }) => samples.length > 0);
}
