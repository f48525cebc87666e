/** What the readers of remote read count, under Prometheus' names. */

import { Histogram, type MetricFamily, Value } from '../util/index.ts';

const PREFIX = 'prometheus_remote_read_client_';
const LABELS = ['remote_name', 'url'];
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60];

export class ReadMetrics {
  readonly queriesTotal = new Value('counter', `${PREFIX}queries_total`, 'The total number of remote read queries.', [
    ...LABELS,
    'response_type',
    'code',
  ]);
  readonly queries = new Value('gauge', `${PREFIX}queries`, 'The number of in-flight remote read queries.', LABELS);
  readonly duration = new Histogram(
    `${PREFIX}request_duration_seconds`,
    'Histogram of the latency for remote read requests, their bodies included.',
    BUCKETS,
    [...LABELS, 'response_type'],
  );

  families(): MetricFamily[] {
    return [this.queriesTotal, this.queries, this.duration].map((metric) => metric.family());
  }
}
