/**
 * Exports some metrics by OpenTelemetry's SDK: `node otel-exporter.mjs URL protobuf|json`. A process of its own, because
 * the runner of tests resolves the SDK to modules that plain Node cannot load.
 */
import { OTLPMetricExporter as Json } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as Protobuf } from '@opentelemetry/exporter-metrics-otlp-proto';
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';

const [, , url, transport] = process.argv;
const Exporter = transport === 'json' ? Json : Protobuf;
const exporter = new Exporter({ url });
const provider = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
  views: [{ instrumentName: 'exponential.*', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});
const meter = provider.getMeter('test', '1.0');
const labels = { transport };
meter.createCounter('requests', { unit: '1' }).add(3, labels);
meter.createUpDownCounter('in.flight').add(-2, labels);
const explicit = meter.createHistogram('explicit', { unit: 's', advice: { explicitBucketBoundaries: [1, 10] } });
const exponential = meter.createHistogram('exponential.latency', { unit: 's' });
for (const seconds of [0.5, 5, 50]) {
  explicit.record(seconds, labels);
  exponential.record(seconds, labels);
}
await provider.forceFlush();
await provider.shutdown();
