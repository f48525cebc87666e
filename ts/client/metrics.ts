/** The four kinds of metric. Each holds its children by rendered labels and yields its own lines. */

import { renderLabels, renderValue, type SampleLine, withLabel } from './exposition.ts';

/** Values of a metric's labels, in the order in which its label names were declared. */
export type LabelValues = readonly string[];

abstract class Metric<Child> {
  readonly #labelNames: readonly string[];
  readonly #children = new Map<string, Child>();

  constructor(labelNames: readonly string[]) {
    this.#labelNames = labelNames;
  }

  /** Forgets all children; for metrics whose label values come and go. */
  reset(): void {
    this.#children.clear();
  }

  /** The lines of all children. */
  abstract lines(): Iterable<SampleLine>;

  protected abstract makeChild(): Child;

  protected child(labels: LabelValues): Child {
    if (labels.length !== this.#labelNames.length) {
      throw new RangeError(`expected ${this.#labelNames.length} label values, got ${labels.length}`);
    }
    const key = renderLabels(this.#labelNames, labels);
    let child = this.#children.get(key);
    if (child === undefined) {
      child = this.makeChild();
      this.#children.set(key, child);
    }
    return child;
  }

  protected children(): Iterable<[labels: string, child: Child]> {
    return this.#children;
  }
}

interface Cell {
  value: number;
}

abstract class CellMetric extends Metric<Cell> {
  protected override makeChild(): Cell {
    return { value: 0 };
  }

  /** The present value; 0 where nothing was recorded. */
  value(labels: LabelValues = []): number {
    return this.child(labels).value;
  }

  override *lines(): Iterable<SampleLine> {
    for (const [labels, cell] of this.children()) yield { suffix: '', labels, value: cell.value };
  }
}

/** A number that only rises. */
export class Counter extends CellMetric {
  inc(labels: LabelValues = [], by = 1): void {
    if (!(by >= 0)) throw new RangeError('a counter cannot decrease');
    this.child(labels).value += by;
  }

  /** Takes over a total that is counted elsewhere, e.g. by the operating system. */
  setTotal(value: number, labels: LabelValues = []): void {
    this.child(labels).value = value;
  }
}

/** A number that rises and falls. */
export class Gauge extends CellMetric {
  set(value: number, labels: LabelValues = []): void {
    this.child(labels).value = value;
  }

  inc(labels: LabelValues = [], by = 1): void {
    this.child(labels).value += by;
  }
}

export interface HistogramOptions {
  /** Upper bounds, rising, without `+Inf`. */
  buckets: readonly number[];
}

interface HistogramChild {
  /** One more than there are bounds: the last counts what is above them all. */
  counts: number[];
  sum: number;
}

/** Counts observations by size, in classic buckets. */
export class Histogram extends Metric<HistogramChild> {
  readonly #buckets: readonly number[];

  constructor(labelNames: readonly string[], options: HistogramOptions) {
    super(labelNames);
    this.#buckets = options.buckets;
  }

  observe(value: number, labels: LabelValues = []): void {
    const child = this.child(labels);
    let bucket = 0;
    while (bucket < this.#buckets.length && value > (this.#buckets[bucket] ?? Number.POSITIVE_INFINITY)) bucket++;
    child.counts[bucket] = (child.counts[bucket] ?? 0) + 1;
    child.sum += value;
  }

  override *lines(): Iterable<SampleLine> {
    for (const [labels, child] of this.children()) {
      let count = 0;
      for (const [i, n] of child.counts.entries()) {
        count += n;
        const bound = renderValue(this.#buckets[i] ?? Number.POSITIVE_INFINITY);
        yield { suffix: '_bucket', labels: withLabel(labels, 'le', bound), value: count };
      }
      yield { suffix: '_sum', labels, value: child.sum };
      yield { suffix: '_count', labels, value: count };
    }
  }

  protected override makeChild(): HistogramChild {
    return { counts: new Array<number>(this.#buckets.length + 1).fill(0), sum: 0 };
  }
}

interface SummaryChild {
  sum: number;
  count: number;
}

/** Sum and count of observations, without quantiles. */
export class Summary extends Metric<SummaryChild> {
  observe(value: number, labels: LabelValues = []): void {
    const child = this.child(labels);
    child.sum += value;
    child.count++;
  }

  override *lines(): Iterable<SampleLine> {
    for (const [labels, child] of this.children()) {
      yield { suffix: '_sum', labels, value: child.sum };
      yield { suffix: '_count', labels, value: child.count };
    }
  }

  protected override makeChild(): SummaryChild {
    return { sum: 0, count: 0 };
  }
}
