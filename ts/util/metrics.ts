/**
 * What a part of the server counts about itself. It holds numbers only; printing them is ts/client's
 * work, which sees them through `MetricsSource`.
 */

/** Labels of one sample. */
export type MetricLabels = Readonly<Record<string, string>>;

/** One line of a family. */
export interface MetricSample {
  /** Appended to the family's name: `''`, `_sum`, `_count`. */
  suffix: '' | '_sum' | '_count' | '_bucket';
  labels: MetricLabels;
  value: number;
}

/** A metric family with its samples at this moment. */
export interface MetricFamily {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'summary' | 'histogram';
  samples: MetricSample[];
}

/** Anything that can be asked for its metric families. */
export type MetricsSource = () => MetricFamily[];

interface Child<T> {
  labels: MetricLabels;
  state: T;
}

/** Children of a family by their label values. */
class Children<T> {
  readonly names: readonly string[];
  readonly #children = new Map<string, Child<T>>();
  readonly #make: () => T;

  constructor(names: readonly string[], make: () => T) {
    this.names = names;
    this.#make = make;
    if (names.length === 0) this.get([]);
  }

  get(values: readonly string[]): Child<T> {
    const key = keyOf(values);
    let child = this.#children.get(key);
    if (!child) {
      const labels = Object.fromEntries(this.names.map((name, i) => [name, values[i] ?? '']));
      child = { labels, state: this.#make() };
      this.#children.set(key, child);
    }
    return child;
  }

  delete(values: readonly string[]): void {
    this.#children.delete(keyOf(values));
  }

  all(): Child<T>[] {
    return [...this.#children.values()];
  }
}

/** Most families have no label, or one; all children of a family have as many. */
function keyOf(values: readonly string[]): string {
  return values.length > 1 ? JSON.stringify(values) : (values[0] ?? '');
}

/** A counter or gauge, with or without labels. Without any it exists, at 0, from the start. */
export class Value {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly #children: Children<{ value: number }>;

  constructor(type: 'counter' | 'gauge', name: string, help: string, labelNames: readonly string[] = []) {
    this.type = type;
    this.name = name;
    this.help = help;
    this.#children = new Children(labelNames, () => ({ value: 0 }));
  }

  /** Adds `by` to the child with these label values. */
  inc(values: readonly string[] = [], by = 1): void {
    this.#children.get(values).state.value += by;
  }

  set(values: readonly string[], value: number): void {
    this.#children.get(values).state.value = value;
  }

  get(values: readonly string[] = []): number {
    return this.#children.get(values).state.value;
  }

  delete(values: readonly string[]): void {
    this.#children.delete(values);
  }

  family(): MetricFamily {
    const samples = this.#children
      .all()
      .map(({ labels, state }): MetricSample => ({ suffix: '', labels, value: state.value }));
    return { name: this.name, help: this.help, type: this.type, samples };
  }
}

/** Newest observations a summary keeps per child for its quantiles. */
const WINDOW = 512;

interface SummaryState {
  window: number[];
  next: number;
  sum: number;
  count: number;
}

/** A summary whose quantiles come from the newest 512 observations. */
export class Summary {
  readonly name: string;
  readonly help: string;
  readonly #quantiles: readonly number[];
  readonly #children: Children<SummaryState>;

  constructor(name: string, help: string, quantiles: readonly number[], labelNames: readonly string[] = []) {
    this.name = name;
    this.help = help;
    this.#quantiles = quantiles;
    this.#children = new Children(labelNames, () => ({ window: [], next: 0, sum: 0, count: 0 }));
  }

  /** Makes the child exist before its first observation. */
  touch(values: readonly string[] = []): void {
    this.#children.get(values);
  }

  observe(values: readonly string[], value: number): void {
    const { state } = this.#children.get(values);
    state.window[state.next] = value;
    state.next = (state.next + 1) % WINDOW;
    state.sum += value;
    state.count++;
  }

  delete(values: readonly string[]): void {
    this.#children.delete(values);
  }

  family(): MetricFamily {
    const samples = this.#children.all().flatMap(({ labels, state }): MetricSample[] => {
      const sorted = state.window.toSorted((a, b) => a - b);
      const quantiles = this.#quantiles.map((q): MetricSample => {
        const value = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
        return { suffix: '', labels: { ...labels, quantile: String(q) }, value };
      });
      return [
        ...quantiles,
        { suffix: '_sum', labels, value: state.sum },
        { suffix: '_count', labels, value: state.count },
      ];
    });
    return { name: this.name, help: this.help, type: 'summary', samples };
  }
}

interface HistogramState {
  /** Observations up to each bound, and beyond the last. */
  counts: number[];
  sum: number;
}

/** A histogram with fixed upper bounds. */
export class Histogram {
  readonly name: string;
  readonly help: string;
  readonly #bounds: readonly number[];
  readonly #children: Children<HistogramState>;

  constructor(name: string, help: string, bounds: readonly number[], labelNames: readonly string[] = []) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    this.#children = new Children(labelNames, () => ({ counts: Array(bounds.length + 1).fill(0), sum: 0 }));
  }

  /** Makes the child exist before its first observation. */
  touch(values: readonly string[] = []): void {
    this.#children.get(values);
  }

  observe(values: readonly string[], value: number): void {
    const { state } = this.#children.get(values);
    const at = this.#bounds.findIndex((bound) => value <= bound);
    const i = at < 0 ? this.#bounds.length : at;
    state.counts[i] = (state.counts[i] ?? 0) + 1;
    state.sum += value;
  }

  delete(values: readonly string[]): void {
    this.#children.delete(values);
  }

  family(): MetricFamily {
    const samples = this.#children.all().flatMap(({ labels, state }): MetricSample[] => {
      let total = 0;
      const buckets = state.counts.map((count, i): MetricSample => {
        total += count;
        const le = i < this.#bounds.length ? String(this.#bounds[i]) : '+Inf';
        return { suffix: '_bucket', labels: { ...labels, le }, value: total };
      });
      return [...buckets, { suffix: '_sum', labels, value: state.sum }, { suffix: '_count', labels, value: total }];
    });
    return { name: this.name, help: this.help, type: 'histogram', samples };
  }
}
