/** What the manager counts. */

import { type MetricFamily, Value } from '../util/index.ts';

/** The manager's metrics carry the name of what it discovers for. */
const NAME = ['name'];

export class DiscoveryMetrics {
  readonly #name: string;
  readonly #failedConfigs = new Value(
    'gauge',
    'prometheus_sd_failed_configs',
    'Current number of service discovery configurations that failed to load.',
    NAME,
  );
  readonly #targets = new Value('gauge', 'prometheus_sd_discovered_targets', 'Current number of discovered targets.', [
    'config',
    'name',
  ]);
  readonly #received = new Value(
    'counter',
    'prometheus_sd_received_updates_total',
    'Total number of update events received from the SD providers.',
    NAME,
  );
  readonly #delayed = new Value(
    'counter',
    'prometheus_sd_updates_delayed_total',
    "Total number of update events that couldn't be sent immediately.",
    NAME,
  );
  readonly #sent = new Value(
    'counter',
    'prometheus_sd_updates_total',
    'Total number of update events sent to the SD consumers.',
    NAME,
  );
  readonly #updated = new Value(
    'gauge',
    'prometheus_sd_last_update_timestamp_seconds',
    'Timestamp of the last update sent to the SD consumers.',
    ['config', 'name'],
  );

  constructor(name: string) {
    this.#name = name;
    for (const counter of [this.#received, this.#delayed, this.#sent]) counter.inc([name], 0);
    this.#failedConfigs.set([name], 0);
  }

  received(): void {
    this.#received.inc([this.#name]);
  }

  delayed(): void {
    this.#delayed.inc([this.#name]);
  }

  sent(): void {
    this.#sent.inc([this.#name]);
  }

  /** A job's targets as they were handed on. */
  handedOn(job: string, targets: number, nowMs: number): void {
    this.#targets.set([job, this.#name], targets);
    this.#updated.set([job, this.#name], nowMs / 1000);
  }

  forget(job: string): void {
    this.#targets.delete([job, this.#name]);
    this.#updated.delete([job, this.#name]);
  }

  families(): MetricFamily[] {
    const metrics = [this.#failedConfigs, this.#targets, this.#received, this.#delayed, this.#sent, this.#updated];
    return metrics.map((metric) => metric.family());
  }
}
