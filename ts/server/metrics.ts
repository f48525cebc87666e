/** The server's own metrics, under the names Prometheus uses for the same things. */

import type { RequestRecord } from '../api/index.ts';
import { Registry, registerProcessMetrics, renderFamily, renderLabels } from '../client/index.ts';
import type { MetricFamily, MetricsSource } from '../util/index.ts';
import { narthexVersion, PROMETHEUS_VERSION } from './version.ts';

const DURATION_BUCKETS = [0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120];
const SIZE_BUCKETS = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

export class ServerMetrics {
  readonly #registry = new Registry();
  readonly #stopProcessMetrics: () => void;
  readonly #sources: MetricsSource[] = [];

  readonly #requests = this.#registry.counter({
    name: 'prometheus_http_requests_total',
    help: 'Counter of HTTP requests.',
    labelNames: ['handler', 'code'],
  });
  readonly #durations = this.#registry.histogram({
    name: 'prometheus_http_request_duration_seconds',
    help: 'Histogram of latencies for HTTP requests.',
    labelNames: ['handler'],
    buckets: DURATION_BUCKETS,
  });
  readonly #sizes = this.#registry.histogram({
    name: 'prometheus_http_response_size_bytes',
    help: 'Histogram of response size for HTTP requests.',
    labelNames: ['handler'],
    buckets: SIZE_BUCKETS,
  });
  readonly ready = this.#registry.gauge({
    name: 'prometheus_ready',
    help: 'Whether startup was fully completed and the server is ready for normal operation.',
  });
  readonly reloadSuccessful = this.#registry.gauge({
    name: 'prometheus_config_last_reload_successful',
    help: 'Whether the last configuration reload attempt was successful.',
  });
  readonly reloadSuccessTime = this.#registry.gauge({
    name: 'prometheus_config_last_reload_success_timestamp_seconds',
    help: 'Timestamp of the last successful configuration reload.',
  });

  constructor() {
    this.#registry
      .gauge({
        name: 'prometheus_build_info',
        help: "A constant '1' value labeled by the version of Prometheus whose place is taken, and by our own.",
        labelNames: ['version', 'revision', 'branch', 'goversion', 'goos', 'goarch', 'narthex_version', 'node_version'],
      })
      .set(1, [PROMETHEUS_VERSION, '', '', '', process.platform, process.arch, narthexVersion(), process.version]);
    this.ready.set(0);
    this.reloadSuccessful.set(0);
    this.reloadSuccessTime.set(0);
    this.#stopProcessMetrics = registerProcessMetrics(this.#registry);
  }

  /** Adds the families of another part to every rendering. */
  addSource(source: MetricsSource): void {
    this.#sources.push(source);
  }

  /** Makes a handler's counter visible before its first request. */
  addHandler(handler: string): void {
    this.#requests.inc([handler, '200'], 0);
  }

  onAnswer(record: RequestRecord): void {
    this.#requests.inc([record.handler, String(record.code)]);
    this.#durations.observe(record.durationSeconds, [record.handler]);
    this.#sizes.observe(record.responseBytes, [record.handler]);
  }

  /** Everything in text format 0.0.4, the core's metrics included. */
  text(coreText: string): string {
    const families = this.#sources.flatMap((source) => source());
    return [this.#registry.text(), ...families.map(renderSourceFamily), coreText].join('');
  }

  stop(): void {
    this.#stopProcessMetrics();
  }
}

function renderSourceFamily(family: MetricFamily): string {
  const lines = family.samples.map(({ suffix, labels, value }) => ({
    suffix,
    labels: renderLabels(Object.keys(labels), Object.values(labels)),
    value,
  }));
  return renderFamily(family.name, family.help, family.type, lines);
}
