/** What scraping counts about itself, under Prometheus' names. */

import type { ScrapeReport } from '../core/engine.ts';
import { Histogram, type MetricFamily, Summary, Value } from '../util/index.ts';
import type { ScrapeTarget } from './scrape-target.ts';

const QUANTILES = [0.01, 0.05, 0.5, 0.9, 0.99];
const BOUNDS = [0.01, 0.1, 1, 10];
const JOB = ['scrape_job'];
const NONE: readonly string[] = [];

const counter = (name: string, help: string, labels?: string[]): Value => new Value('counter', name, help, labels);
const gauge = (name: string, help: string, labels?: string[]): Value => new Value('gauge', name, help, labels);
const summary = (name: string, help: string, label: string): Summary => new Summary(name, help, QUANTILES, [label]);

/** Errors of the core that have a counter of their own, by how they begin. */
const LIMITS = [
  ['sample limit exceeded', 'sampleLimit'],
  ['histogram bucket limit exceeded', 'bucketLimit'],
  ['body size limit exceeded', 'bodySizeLimit'],
  ['label_limit exceeded', 'labelLimits'],
  ['label_name_length_limit exceeded', 'labelLimits'],
  ['label_value_length_limit exceeded', 'labelLimits'],
] as const;

export class ScrapeMetrics {
  readonly pools = counter('prometheus_target_scrape_pools_total', 'Total number of scrape pool creation attempts.');
  readonly poolsFailed = counter(
    'prometheus_target_scrape_pools_failed_total',
    'Total number of scrape pool creations that failed.',
  );
  readonly reloads = counter('prometheus_target_scrape_pool_reloads_total', 'Total number of scrape pool reloads.');
  readonly reloadsFailed = counter(
    'prometheus_target_scrape_pool_reloads_failed_total',
    'Total number of failed scrape pool reloads.',
  );
  readonly reloadSeconds = summary(
    'prometheus_target_reload_length_seconds',
    'Actual interval to reload the scrape pool with a given configuration.',
    'interval',
  );
  readonly targetLimitExceeded = counter(
    'prometheus_target_scrape_pool_exceeded_target_limit_total',
    'Total number of times scrape pools hit the target limit, during sync or config reload.',
  );
  readonly targetLimit = gauge(
    'prometheus_target_scrape_pool_target_limit',
    'Maximum number of targets allowed in this scrape pool.',
    JOB,
  );
  readonly targets = gauge(
    'prometheus_target_scrape_pool_targets',
    'Current number of targets in this scrape pool.',
    JOB,
  );
  readonly syncs = counter(
    'prometheus_target_scrape_pool_sync_total',
    'Total number of syncs that were executed on a scrape pool.',
    JOB,
  );
  readonly syncFailed = counter('prometheus_target_sync_failed_total', 'Total number of target sync failures.', JOB);
  readonly syncSeconds = summary(
    'prometheus_target_sync_length_seconds',
    'Actual interval to sync the scrape pool.',
    'scrape_job',
  );
  readonly syncHistogram = new Histogram(
    'prometheus_target_sync_length_histogram_seconds',
    'Actual interval to sync the scrape pool.',
    BOUNDS,
    JOB,
  );
  readonly intervalHistogram = new Histogram(
    'prometheus_target_interval_length_histogram_seconds',
    'Actual intervals between scrapes.',
    BOUNDS,
    ['interval'],
  );
  readonly intervalSeconds = summary(
    'prometheus_target_interval_length_seconds',
    'Actual intervals between scrapes.',
    'interval',
  );
  readonly bodySizeLimit = counter(
    'prometheus_target_scrapes_exceeded_body_size_limit_total',
    'Total number of scrapes that hit the body size limit',
  );
  readonly sampleLimit = counter(
    'prometheus_target_scrapes_exceeded_sample_limit_total',
    'Total number of scrapes that hit the sample limit and were rejected.',
  );
  readonly bucketLimit = counter(
    'prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total',
    'Total number of scrapes that hit the native histogram bucket limit and were rejected.',
  );
  readonly labelLimits = counter(
    'prometheus_target_scrape_pool_exceeded_label_limits_total',
    'Total number of times scrape pools hit the label limits, during sync or config reload.',
  );
  readonly duplicates = counter(
    'prometheus_target_scrapes_sample_duplicate_timestamp_total',
    'Total number of samples rejected due to duplicate timestamps but different values.',
  );
  readonly outOfOrder = counter(
    'prometheus_target_scrapes_sample_out_of_order_total',
    'Total number of samples rejected due to not being out of the expected order.',
  );
  readonly outOfBounds = counter(
    'prometheus_target_scrapes_sample_out_of_bounds_total',
    'Total number of samples rejected due to timestamp falling outside of the time bounds.',
  );
  readonly exemplarsOutOfOrder = counter(
    'prometheus_target_scrapes_exemplar_out_of_order_total',
    'Total number of exemplar rejected due to not being out of the expected order.',
  );
  readonly cacheFlushForced = counter(
    'prometheus_target_scrapes_cache_flush_forced_total',
    'How many times a scrape cache was flushed due to getting big while scrapes are failing.',
  );
  readonly scrapeDuration = new Histogram(
    'prometheus_target_scrape_duration_seconds',
    'Total duration of the scrape from start to commit completion in seconds.',
    [],
  );
  readonly metadataEntries = gauge(
    'prometheus_target_metadata_cache_entries',
    'Total number of metric metadata entries in the cache',
    JOB,
  );
  readonly metadataBytes = gauge(
    'prometheus_target_metadata_cache_bytes',
    'The number of bytes that are currently used for storing metric metadata in the cache',
    JOB,
  );
  readonly missed = counter(
    'narthex_target_missed_scrapes_total',
    'Total number of scrapes that were due while the one before was still under way, or that the store had no room for.',
  );

  /** Notes how long a pool's sync took. */
  synced(job: string, seconds: number): void {
    this.syncs.inc([job]);
    this.syncSeconds.observe([job], seconds);
    this.syncHistogram.observe([job], seconds);
  }

  /** Notes how much a job's targets said of their metrics. */
  described(job: string, targets: readonly ScrapeTarget[]): void {
    let entries = 0;
    let bytes = 0;
    for (const target of targets) {
      const [families = 0, size = 0] = target.metadataSize();
      entries += families;
      bytes += size;
    }
    this.metadataEntries.set([job], entries);
    this.metadataBytes.set([job], bytes);
  }

  /** Notes the time between the starts of two scrapes of a target; `interval` is in Go's notation. */
  repeated(interval: string, seconds: number): void {
    const labels = [interval];
    this.intervalSeconds.observe(labels, seconds);
    this.intervalHistogram.observe(labels, seconds);
  }

  /** Counts what a scrape ran into. */
  count(report: ScrapeReport, error: string): void {
    const { outOfOrder, duplicates, outOfBounds, exemplarsOutOfOrder } = report;
    if (outOfOrder > 0) this.outOfOrder.inc(NONE, outOfOrder);
    if (duplicates > 0) this.duplicates.inc(NONE, duplicates);
    if (outOfBounds > 0) this.outOfBounds.inc(NONE, outOfBounds);
    if (exemplarsOutOfOrder > 0) this.exemplarsOutOfOrder.inc(NONE, exemplarsOutOfOrder);
    if (error === '') return;
    for (const [start, metric] of LIMITS) if (error.startsWith(start)) this[metric].inc();
  }

  /** Forgets a pool. */
  forget(job: string): void {
    const metadata = [this.metadataEntries, this.metadataBytes];
    const metrics = [
      ...metadata,
      this.targetLimit,
      this.targets,
      this.syncs,
      this.syncFailed,
      this.syncSeconds,
      this.syncHistogram,
    ];
    for (const metric of metrics) metric.delete([job]);
  }

  families(): MetricFamily[] {
    const all: (Value | Summary | Histogram)[] = Object.values(this);
    return all.map((metric) => metric.family());
  }
}
