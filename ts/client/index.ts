/**
 * A small client library for metrics: a registry of counters, gauges, histograms and summaries, and
 * the text format 0.0.4 they are read in. The server instruments itself with it. Knows no HTTP and
 * no other part of Narthex.
 */
export { type MetricKind, renderFamily, renderLabels, type SampleLine } from './exposition.ts';
export { Counter, Gauge, Histogram, type HistogramOptions, type LabelValues, Summary } from './metrics.ts';
export { registerProcessMetrics } from './process-metrics.ts';
export { type MetricOptions, Registry } from './registry.ts';
