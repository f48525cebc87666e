/** A set of metric families that are rendered together. */

import { type MetricKind, renderFamily, type SampleLine } from './exposition.ts';
import { Counter, Gauge, Histogram, type HistogramOptions, Summary } from './metrics.ts';

export interface MetricOptions {
  name: string;
  help: string;
  labelNames?: readonly string[];
}

interface Family {
  name: string;
  help: string;
  kind: MetricKind;
  metric: { lines(): Iterable<SampleLine> };
}

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Metric families by name; a name can be registered once. */
export class Registry {
  readonly #families = new Map<string, Family>();
  readonly #collectors: (() => void)[] = [];

  counter(options: MetricOptions): Counter {
    return this.#add('counter', options, new Counter(options.labelNames ?? []));
  }

  gauge(options: MetricOptions): Gauge {
    return this.#add('gauge', options, new Gauge(options.labelNames ?? []));
  }

  histogram(options: MetricOptions & HistogramOptions): Histogram {
    return this.#add('histogram', options, new Histogram(options.labelNames ?? [], options));
  }

  summary(options: MetricOptions): Summary {
    return this.#add('summary', options, new Summary(options.labelNames ?? []));
  }

  /** Calls `collector` before each rendering, to set what is only known by asking. */
  onCollect(collector: () => void): void {
    this.#collectors.push(collector);
  }

  /** All families in text format 0.0.4, by name. */
  text(): string {
    for (const collect of this.#collectors) collect();
    const families = [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return families.map((f) => renderFamily(f.name, f.help, f.kind, f.metric.lines())).join('');
  }

  #add<M extends Family['metric']>(kind: MetricKind, options: MetricOptions, metric: M): M {
    const { name, help, labelNames = [] } = options;
    if (!METRIC_NAME.test(name)) throw new RangeError(`invalid metric name ${JSON.stringify(name)}`);
    for (const label of labelNames) {
      if (!LABEL_NAME.test(label)) throw new RangeError(`invalid label name ${JSON.stringify(label)}`);
    }
    if (this.#families.has(name)) throw new RangeError(`metric ${name} is registered twice`);
    this.#families.set(name, { name, help, kind, metric });
    return metric;
  }
}
