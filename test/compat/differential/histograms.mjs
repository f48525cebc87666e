/** Native histograms that observe values, and what is sent of them. */

/** Observations in exponential buckets, or in custom ones where `bounds` are given. */
export class Observed {
  constructor({ schema = 0, zeroThreshold = 0.001, bounds, isFloat = false, isGauge = false }) {
    Object.assign(this, { schema: bounds ? -53 : schema, zeroThreshold, bounds, isFloat, isGauge });
    this.clear();
  }

  clear() {
    this.positive = new Map();
    this.negative = new Map();
    this.zeroCount = 0;
    this.sum = 0;
    this.count = 0;
  }

  observe(value, weight = 1) {
    this.count += weight;
    this.sum += value * weight;
    if (Number.isNaN(value)) return;
    if (this.bounds) {
      const at = this.bounds.findIndex((bound) => value <= bound);
      bump(this.positive, at < 0 ? this.bounds.length : at, weight);
    } else if (Math.abs(value) <= this.zeroThreshold) this.zeroCount += weight;
    else {
      const at = Math.ceil(Math.log2(Math.abs(value)) * 2 ** this.schema);
      bump(value > 0 ? this.positive : this.negative, at, weight);
    }
  }

  /** What remote write sends at `t`. */
  sent(t, st = 0) {
    const [positiveSpans, positive] = runs(this.positive);
    const [negativeSpans, negative] = runs(this.negative);
    return {
      ...{ t, st, isFloat: this.isFloat, isGauge: this.isGauge, count: this.count, sum: this.sum, schema: this.schema },
      ...(this.bounds ? { bounds: this.bounds } : { zeroThreshold: this.zeroThreshold, zeroCount: this.zeroCount }),
      ...{ positiveSpans, positive, negativeSpans, negative },
    };
  }
}

function bump(map, at, weight) {
  map.set(at, (map.get(at) ?? 0) + weight);
}

/** The buckets as spans with the counts in their order. */
function runs(map) {
  const places = [...map.keys()].sort((a, b) => a - b);
  const spans = [];
  let next = 0;
  for (const [i, at] of places.entries()) {
    if (i > 0 && at === next) spans.at(-1)[1]++;
    else spans.push([at - next, 1]);
    next = at + 1;
  }
  return [spans, places.map((at) => map.get(at))];
}
