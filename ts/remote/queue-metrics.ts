/** What the queues of remote write count, under Prometheus' names. */

import { Histogram, type MetricFamily, Value } from '../util/metrics.ts';

const PREFIX = 'prometheus_remote_storage_';
const LABELS = ['remote_name', 'url'];
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300];

const counter = (name: string, help: string, more: string[] = []): Value =>
  new Value('counter', PREFIX + name, help, [...LABELS, ...more]);
const gauge = (name: string, help: string): Value => new Value('gauge', PREFIX + name, help, LABELS);

/** The kinds of what is sent. */
export const KINDS = ['samples', 'histograms', 'exemplars'] as const;

const each = <T>(make: (kind: (typeof KINDS)[number]) => T) => ({
  samples: make('samples'),
  histograms: make('histograms'),
  exemplars: make('exemplars'),
});

export class QueueMetrics {
  readonly sent = each((kind) => counter(`${kind}_total`, `Total number of ${kind} sent to remote storage.`));
  readonly failed = each((kind) =>
    counter(
      `${kind}_failed_total`,
      `Total number of ${kind} which failed on send to remote storage, non-recoverable errors.`,
    ),
  );
  readonly retried = each((kind) =>
    counter(
      `${kind}_retried_total`,
      `Total number of ${kind} which failed on send to remote storage but were retried because the send error was recoverable.`,
    ),
  );
  readonly dropped = each((kind) =>
    counter(
      `${kind}_dropped_total`,
      `Total number of ${kind} which were dropped after being read from the WAL before being sent via remote write, by reason.`,
      ['reason'],
    ),
  );
  readonly pending = each((kind) =>
    gauge(`${kind}_pending`, `The number of ${kind} pending in the queues shards to be sent to the remote storage.`),
  );
  readonly metadata = counter('metadata_total', 'Total number of metadata entries sent to remote storage.');
  readonly metadataFailed = counter(
    'metadata_failed_total',
    'Total number of metadata entries which failed on send to remote storage, non-recoverable errors.',
  );
  readonly metadataRetried = counter(
    'metadata_retried_total',
    'Total number of metadata entries which failed on send to remote storage but were retried.',
  );
  readonly metadataBytes = counter(
    'metadata_bytes_total',
    'The total number of bytes of metadata sent by the queue after compression.',
  );
  readonly bytes = counter('bytes_total', 'The total number of bytes of data sent by the queue after compression.');
  readonly duration = new Histogram(
    `${PREFIX}sent_batch_duration_seconds`,
    'Duration of send calls to the remote storage.',
    BUCKETS,
    LABELS,
  );
  readonly highest = gauge(
    'queue_highest_timestamp_seconds',
    'Highest timestamp that was enqueued, in seconds since epoch.',
  );
  readonly highestSent = gauge(
    'queue_highest_sent_timestamp_seconds',
    'Highest timestamp successfully sent by this queue, in seconds since epoch.',
  );
  readonly shardCapacity = gauge(
    'shard_capacity',
    'The capacity of each shard of the queue used for parallel sending to the remote storage.',
  );
  readonly shards = gauge('shards', 'The number of shards used for parallel sending to the remote storage.');
  readonly shardsMax = gauge('shards_max', 'The maximum number of shards that the queue is allowed to run.');
  readonly shardsMin = gauge('shards_min', 'The minimum number of shards that the queue is allowed to run.');
  readonly shardsDesired = gauge(
    'shards_desired',
    'The number of shards that the queues shard calculation wants to run based on the rate of samples in vs. samples out.',
  );
  readonly maxSamplesPerSend = gauge(
    'max_samples_per_send',
    'The maximum number of samples to be sent, in a single request, to the remote storage.',
  );

  families(): MetricFamily[] {
    return this.#all().map((metric) => metric.family());
  }

  #all(): (Value | Histogram)[] {
    return Object.values(this).flatMap((value) =>
      value instanceof Value || value instanceof Histogram ? [value] : Object.values(value as Record<string, Value>),
    );
  }
}
