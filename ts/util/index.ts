/**
 * Small things that three or more folders share: the clock, durations and sizes, quoting, the
 * logger's shape, plain metrics. Imports nothing of ts/ and knows nothing of Prometheus' data.
 */

export { formatBytes, parseBytes } from './bytes.ts';
export { type CancelTimer, type Clock, ManualClock, sleep, systemClock } from './clock.ts';
export { formatDuration, goDuration, parseDuration, UnitError } from './duration.ts';
export { type Logger, messageOf, silentLogger } from './log.ts';
export {
  Histogram,
  type MetricFamily,
  type MetricLabels,
  type MetricSample,
  type MetricsSource,
  Summary,
  Value,
} from './metrics.ts';
export { quote } from './quote.ts';
