/** What discovery by files counts, over all its instances. */

import { type MetricFamily, Summary, Value } from '../../util/index.ts';

export class FileMetrics {
  readonly readErrors = new Value(
    'counter',
    'prometheus_sd_file_read_errors_total',
    'The number of File-SD read errors.',
  );
  readonly scanSeconds = new Summary(
    'prometheus_sd_file_scan_duration_seconds',
    'The duration of the File-SD scan in seconds.',
    [0.5, 0.9, 0.99],
  );
  readonly watcherErrors = new Value(
    'counter',
    'prometheus_sd_file_watcher_errors_total',
    'The number of File-SD errors caused by filesystem watch failures.',
  );
  readonly mtime = new Value(
    'gauge',
    'prometheus_sd_file_mtime_seconds',
    'Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.',
    ['filename'],
  );

  families(): MetricFamily[] {
    return [this.readErrors, this.scanSeconds, this.watcherErrors, this.mtime].map((metric) => metric.family());
  }
}
