/**
 * Random PromQL over the metrics of data.mjs, of bounded depth: mostly well-typed, and built so that both sides of an
 * operator often have something to match.
 */
import { START_SECONDS } from './data.mjs';

const floats = [
  ...['cpu_seconds_total', 'cpu_seconds_total', 'requests_total', 'requests_total', 'temperature', 'temperature'],
  ...['build_info', 'target_info', 'latency_seconds_bucket', 'latency_seconds_count', 'typed', 'tied', 'brief'],
  ...['cancelling', 'tiny', 'absent_metric'],
];
const natives = ['nh', 'nh', 'nh', 'nh_gauge', 'nhcb', 'nhcb', 'mixed'];
const values = {
  instance: ['a:1', 'b:2', 'c:3'],
  job: ['node', 'web'],
  mode: ['user', 'idle'],
  code: ['200', '500'],
  __type__: ['counter', 'gauge'],
};
const groupings = ['instance', 'job', 'mode', 'code', 'dim', 'le', 'nothing', '__name__', '__type__', '"http.method"'];
const ranges = ['30s', '1m', '95s', '5m', '5m', '7m30s', '20m', '1h', '10ms', '90'];
const overTime = [
  ...['sum', 'avg', 'min', 'max', 'count', 'stddev', 'stdvar', 'last', 'present', 'first'].map((f) => `${f}_over_time`),
];
const experimentalOverTime = ['mad_over_time', ...['first', 'last', 'max', 'min'].map((f) => `ts_of_${f}_over_time`)];
const windowed = ['rate', 'rate', 'increase', 'delta', 'irate', 'idelta', 'changes', 'resets', 'deriv'];
const extendable = ['rate', 'increase', 'delta'];
const anchorable = ['changes', 'resets'];
const mathematical = [
  ...['abs', 'ceil', 'floor', 'exp', 'sqrt', 'ln', 'log2', 'log10', 'sgn', 'deg', 'rad', 'sin', 'cos', 'tan', 'tanh'],
  ...['atan', 'asin', 'acos', 'sinh', 'cosh', 'asinh', 'acosh', 'atanh', 'round'],
];
const timed = ['minute', 'hour', 'day_of_week', 'day_of_month', 'days_in_month', 'month', 'year', 'day_of_year'];
const aggregations = ['sum', 'sum', 'avg', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar'];
const arithmetic = ['+', '-', '*', '/', '%', '^', 'atan2'];
const comparisons = ['==', '!=', '>', '<', '>=', '<='];
const numbers = [0, 1, 2, -1, 0.5, 100, 1e9, 'NaN', 'Inf', '-Inf', 1e-3, '1m'];

/** Makes expressions; `experimental` admits what stands behind Prometheus' feature flags. */
export class Expressions {
  constructor(random, { experimental = false } = {}) {
    this.random = random;
    this.experimental = experimental;
  }

  /** An expression whose value is mostly an instant vector. */
  next(depth = 3) {
    const { random } = this;
    if (random.chance(0.03)) return this.mistaken();
    if (random.chance(0.06)) return this.scalar(depth);
    return random.chance(0.3) ? this.histogramVector(depth) : this.vector(depth);
  }

  /** What the parser, the type check or the evaluation refuses. */
  mistaken() {
    const { random } = this;
    const v = () => this.vector(1);
    return random.pick([
      () => `rate(${v()})`,
      () => `${this.selector()}[5m]`,
      () => `sum(${this.scalar(0)})`,
      () => `${v()} and ${this.scalar(0)}`,
      () => `label_replace(${v()}, "${random.pick(['', 'a-b', 'ok'])}", "$1", "instance", "(")`,
      () => `label_join(${v()}, "${random.pick(['', 'ä b'])}", "-", "instance")`,
      () => `count_values("${random.pick(['', 'a b', '\\xff'])}", ${v()})`,
      () => `topk(${random.pick(['NaN', '1e30', '-1', 'Inf'])}, ${v()})`,
      () => `quantile("a", ${v()})`,
      () => `${this.selector()} offset 5m offset 5m`,
      () => `${this.selector()} @ NaN`,
      () => `1 ${random.pick(comparisons)} 2`,
      () => `${v()} * on (instance) group_left group_right ${v()}`,
      () => `${v()} + on (instance) group_left (instance) ${v()}`,
      () => `sum by (instance (${v()})`,
      () => `nonsense(${v()})`,
      () => `clamp(${v()}, 1)`,
      () => `-"text"`,
      () => `"text"`,
      () => `${v()} bool + ${v()}`,
      () => `{__name__=~".*"}`,
      () => `${v()} $ 1`,
      () => `histogram_quantiles(${v()}, "q", 0.5)`,
      () => `info(${v()})`,
      () => `limitk(1, ${this.selector()})`,
      () => `${v()} + fill(0) ${v()}`,
      () => `sum(rate(requests_total[5m]) anchored)`,
      () => `avg_over_time(temperature[5m] smoothed)`,
      () => `temperature anchored`,
      () => `round(${v()}, "x")`,
      () => `histogram_quantile(0.9, ${this.histogramVector(1)}, 3)`,
      () => `temperature[${random.pick(['0s', '-5m', '5m-5m', 'step()-1h'])}]`,
      () => `rate(temperature[${random.pick(['5m:0s', '5m:-1m', '5m-5m', '1h:step()-1d'])}])`,
    ])();
  }

  selector(from) {
    const { random } = this;
    const metric = random.pick(from ?? (random.chance(0.15) ? natives : floats));
    const matchers = random.chance(0.35)
      ? random
          .some(Object.keys(values), 1)
          .slice(0, 2)
          .map((label) => {
            const value = random.pick(values[label]);
            return random.pick([
              `${label}="${value}"`,
              `${label}!="${value}"`,
              `${label}=~"${value[0]}.*"`,
              `${label}!~"${value}|zzz"`,
              `${label}=~".*"`,
              `${label}=""`,
            ]);
          })
      : [];
    if (random.chance(0.03)) return `{__name__=~"${metric.slice(0, 4)}.*"}`;
    if (random.chance(0.03)) return `{"http.requests"${random.pick(['', ',"http.method"="get"', ',"größe"!="1"'])}}`;
    if (random.chance(0.03)) return `{"${metric}"}`;
    return `${metric}${matchers.length ? `{${matchers}}` : ''}`;
  }

  duration(least = 1) {
    const { random } = this;
    return random.pick([
      () => random.pick(ranges),
      () => `${random.pick(ranges)}*${random.pick([2, 1.5, '0.5'])}`,
      () => `(${random.pick(ranges)}+${random.pick(ranges)})`,
      () => 'step()+1s',
      () => `max_of(step(), ${random.pick(ranges)})`,
      () => `min_of(1h, ${random.pick(ranges)}+step())`,
      () => `range()+${random.pick(ranges)}`,
      () => `5m^${least}`,
      () => '1h/4',
      () => '10m%7m',
    ])();
  }

  modifiers() {
    const { random } = this;
    const plain = () => random.pick(['1m', '17s', '-2m', '20m', '0s']);
    const drawn = () => random.pick(['step()', '-step()', '(1m*2)', '-(2m+step())', 'max_of(step(),30s)', 'range()']);
    const offset = random.chance(0.15) ? ` offset ${random.chance(0.3) ? drawn() : plain()}` : '';
    const moment = START_SECONDS + 3600.5;
    const at = random.chance(0.08) ? ` @ ${random.pick(['start()', 'end()', START_SECONDS + 2400, moment])}` : '';
    return random.chance(0.5) ? offset + at : at + offset;
  }

  range() {
    return this.random.chance(0.12) ? this.duration() : this.random.pick(ranges);
  }

  /** A range vector. `extension`: what may stand behind its brackets. */
  matrix(depth, { from, extension = '' } = {}) {
    const { random } = this;
    if (depth > 1 && random.chance(0.18)) {
      const step = random.pick(['', '15s', '37s', '1m', '2m', '30s*2', 'step()']);
      const inner = from === undefined ? this.vector(depth - 2) : this.histogramVector(depth - 2);
      return `(${inner})[${this.range()}:${step}]${this.modifiers()}`;
    }
    return `${this.selector(from)}[${this.range()}]${extension}${this.modifiers()}`;
  }

  /** A function of a range vector. */
  windowFunction(depth, from) {
    const { random } = this;
    const extension = random.chance(0.2) ? random.pick([' anchored', ' smoothed']) : '';
    if (extension !== '') {
      const functions = extension === ' anchored' ? [...extendable, ...anchorable] : extendable;
      return `${random.pick(functions)}(${this.selector(from)}[${this.range()}]${extension}${this.modifiers()})`;
    }
    const m = () => this.matrix(depth, { from });
    return random.pick([
      () => `${random.pick(windowed)}(${m()})`,
      () => `${random.pick(windowed)}(${m()})`,
      () => `${random.pick(overTime)}(${m()})`,
      () => `${random.pick(overTime)}(${m()})`,
      () => `quantile_over_time(${random.pick([0, 0.5, 0.9, 1, -1, 2, 'NaN', this.scalar(1)])}, ${m()})`,
      () => `predict_linear(${m()}, ${random.pick([60, -60, 3600, this.scalar(1)])})`,
      () => (this.experimental ? `${random.pick(experimentalOverTime)}(${m()})` : `count_over_time(${m()})`),
      () =>
        this.experimental
          ? random.pick([
              () => `integral(${m()}${random.pick(['', ', 60', `, ${this.scalar(0)}`])})`,
              () =>
                `double_exponential_smoothing(${m()}, ${random.pick([0.3, 0.9, 1, 0])}, ${random.pick([0.1, 0.6])})`,
            ])()
          : `last_over_time(${m()})`,
    ])();
  }

  scalar(depth) {
    const { random } = this;
    const inner = () => this.scalar(depth - 1);
    return random.pick([
      () => String(random.pick(numbers)),
      () => 'time()',
      () => (depth > 0 ? `scalar(${this.vector(depth - 1)})` : 'pi()'),
      () => (depth > 0 ? `(${inner()} ${random.pick(arithmetic)} ${inner()})` : '7'),
      () => (depth > 0 ? `(${inner()} ${random.pick(comparisons)} bool ${inner()})` : '-3'),
      () => (depth > 0 ? `scalar(${this.selector()}{instance="a:1"})`.replaceAll('}{', ',') : '0.25'),
      () => (this.experimental ? random.pick(['step()', 'range()', 'start()', 'end()']) : '3'),
      () => (this.experimental && depth > 0 ? `${random.pick(['min_of', 'max_of'])}(${inner()}, ${inner()})` : '1e3'),
    ])();
  }

  labelList() {
    return `(${this.random.some(groupings, 0).slice(0, 3).join(', ')})`;
  }

  grouping() {
    const { random } = this;
    return random.chance(0.25) ? '' : ` ${random.pick(['by', 'without'])} ${this.labelList()}`;
  }

  /** An aggregation of `inner`. */
  aggregation(inner, untied) {
    const { random } = this;
    const by = this.grouping();
    return random.pick([
      () => `${random.pick(aggregations)}${by} (${inner()})`,
      () => `${random.pick(aggregations)}${by} (${inner()})`,
      () => `${random.pick(aggregations)}${by} (${inner()})`,
      () => `${random.pick(['topk', 'bottomk'])}${by} (${random.pick([1, 2, 3, 0, 100, this.scalar(1)])}, ${untied()})`,
      () => `quantile${by} (${random.pick([0.1, 0.5, 0.99, 1.5, this.scalar(1)])}, ${inner()})`,
      () => `count_values${by} ("${random.pick(['value', 'instance', 'ä'])}", ${inner()})`,
      () =>
        this.experimental
          ? random.pick([
              () => `limitk${by} (${random.pick([1, 2, 3, 0])}, ${this.selector()})`,
              () => `limit_ratio${by} (${random.pick([0.5, -0.5, 0.1, -0.9, 1, -1.5, 2, this.scalar(0)])}, ${inner()})`,
            ])()
          : `count${by} (${inner()})`,
    ])();
  }

  vector(depth) {
    const { random } = this;
    if (depth <= 0) return this.selector() + this.modifiers();
    const inner = () => this.vector(depth - 1);
    return random.pick([
      () => this.selector() + (random.chance(0.1) ? ' smoothed' : '') + this.modifiers(),
      () => this.windowFunction(depth),
      () => this.windowFunction(depth),
      () => this.windowFunction(depth),
      () => this.windowFunction(depth),
      () => this.aggregation(inner, () => this.untied()),
      () => this.aggregation(inner, () => this.untied()),
      () => this.aggregation(inner, () => this.untied()),
      () => `${random.pick(mathematical)}(${inner()})`,
      () => `round(${inner()}, ${random.pick([1, 0.1, 5, this.scalar(0)])})`,
      () => `clamp(${inner()}, ${random.pick([0, -5, 'NaN'])}, ${random.pick([10, 1e6, -10, this.scalar(1)])})`,
      () => `${random.pick(['clamp_min', 'clamp_max'])}(${inner()}, ${this.scalar(0)})`,
      () => `${random.pick(timed)}(${random.chance(0.2) ? '' : inner()})`,
      () => `timestamp(${inner()})`,
      () => `${random.pick(['absent', 'sort', 'sort_desc'])}(${inner()})`,
      () => `absent_over_time(${this.matrix(depth)})`,
      () => `vector(${this.scalar(depth - 1)})`,
      () => `histogram_quantile(${random.pick([0.5, 0.9, 0, 1, 2, this.scalar(1)])}, ${this.classic()})`,
      () => `histogram_fraction(${this.limits()}, ${this.classic()})`,
      () => this.histogramFunction(depth),
      () => this.labelFunction(inner),
      () => this.labelFunction(inner),
      () => `-${inner()}`,
      () => `(${inner()} ${random.pick(arithmetic)} ${this.scalar(depth - 1)})`,
      () => `(${this.scalar(depth - 1)} ${random.pick(comparisons)}${random.chance(0.4) ? ' bool' : ''} ${inner()})`,
      () => this.binary(depth),
      () => this.binary(depth),
      () => this.binary(depth),
      () => this.sets(inner),
      () =>
        this.experimental
          ? random.pick([
              () =>
                `info(${inner()}${random.pick(['', ', {version=~".+"}', ', {__name__="build_info"}', ', {zone="z"}'])})`,
              () => `${random.pick(['sort_by_label', 'sort_by_label_desc'])}(${inner()}, "instance", "mode")`,
              () => `start_timestamp(${random.pick(['cpu_seconds_total', 'nh', this.selector(), inner()])})`,
            ])()
          : this.sets(inner),
    ])();
  }

  labelFunction(inner) {
    const { random } = this;
    return random.pick([
      () =>
        `label_replace(${inner()}, "${random.pick(['dst', 'job', '__name__'])}", "${random.pick(['x-$1', '', '$0', 'c'])}", "${random.pick(['instance', 'nothing', '__name__'])}", "${random.pick(['(.):.*', '.*', '(a|b)(:.)', ''])}")`,
      () => `label_join(${inner()}, "${random.pick(['dst', 'job'])}", "-", "instance", "job")`,
    ])();
  }

  sets(inner) {
    const { random } = this;
    const how = random.chance(0.5) ? ` ${random.pick(['on', 'ignoring'])}${this.labelList()}` : '';
    return `(${inner()} ${random.pick(['and', 'or', 'unless'])}${how} ${inner()})`;
  }

  /** Values that differ from each other: which of several equal ones a ranking keeps is nobody's promise. */
  untied() {
    const { random } = this;
    const natives = 'mixed + 0';
    return random.pick([
      'cpu_seconds_total',
      'temperature * 1.1',
      `avg_over_time(temperature[${random.pick(ranges)}])`,
      natives,
    ]);
  }

  classic() {
    const { random } = this;
    const buckets = `rate(latency_seconds_bucket[${random.pick(ranges)}])`;
    return random.pick([
      buckets,
      'latency_seconds_bucket',
      `sum by (le) (${buckets})`,
      `sum by (le, instance) (${buckets})`,
      `(${buckets} or nh)`,
      `{__name__=~"latency_seconds_bucket|nh"}`,
    ]);
  }

  limits() {
    return this.random.pick(['0, 1', '-Inf, 0.2', '0.3, Inf', '2, 1', 'NaN, 1', '-1, 7', `${this.scalar(0)}, 5`]);
  }

  /** Floats out of native histograms. */
  histogramFunction(depth) {
    const { random } = this;
    const inner = () => this.histogramVector(depth - 1);
    return random.pick([
      () => `histogram_${random.pick(['count', 'sum', 'avg', 'stddev', 'stdvar'])}(${inner()})`,
      () => `histogram_${random.pick(['count', 'sum', 'avg'])}(${inner()})`,
      () => `histogram_quantile(${random.pick([0.5, 0.9, 0, 1, 2, -1, 'NaN', this.scalar(1)])}, ${inner()})`,
      () => `histogram_quantile(${random.pick([0.1, 0.75, 0.999])}, ${inner()})`,
      () => `histogram_fraction(${this.limits()}, ${inner()})`,
      () =>
        this.experimental
          ? `histogram_quantiles(${random.chance(0.3) ? this.classic() : inner()}, "${random.pick(['q', 'quantile', 'le'])}", ${random.pick(['0.5', '0.1, 0.9', '1, 0, 0.5', `2, ${this.scalar(0)}`])})`
          : `histogram_count(${inner()})`,
    ])();
  }

  /** Mostly native histograms. */
  histogramVector(depth) {
    const { random } = this;
    if (depth <= 0) return this.selector(natives) + this.modifiers();
    const inner = () => this.histogramVector(depth - 1);
    return random.pick([
      () => this.selector(natives) + (random.chance(0.1) ? ' smoothed' : '') + this.modifiers(),
      () => this.windowFunction(depth, natives),
      () => this.windowFunction(depth, natives),
      () => this.windowFunction(depth, natives),
      () => this.aggregation(inner, () => this.selector(natives)),
      () => this.aggregation(inner, () => this.selector(natives)),
      () => this.histogramFunction(depth),
      () => this.histogramFunction(depth),
      () =>
        `(${inner()} ${random.pick(['</', '>/'])} ${random.pick([0, 1, -1, 0.3, 7, 'Inf', '-Inf', 'NaN', this.scalar(1)])})`,
      () => `(${inner()} ${random.pick(['*', '/', '+', '-', '==', '!=', '^', '>'])} ${this.scalar(1)})`,
      () => `(${this.scalar(1)} ${random.pick(['*', '/', '-', '=='])} ${inner()})`,
      () => this.binary(depth, inner),
      () => this.binary(depth, inner),
      () => this.sets(inner),
      () => this.labelFunction(inner),
      () => `-${inner()}`,
      () =>
        `${random.pick(['abs', 'timestamp', 'sort', 'absent', 'round', 'scalar(1) + abs'].slice(0, 5))}(${inner()})`,
    ])();
  }

  binary(depth, of = () => this.vector(depth - 1)) {
    const { random } = this;
    const left = of();
    // Unrelated sides seldom match: now and then the same, or only part of it.
    const right = random.chance(0.3) ? left : random.chance(0.2) ? this.selector(['build_info', 'target_info']) : of();
    const bool = () => (random.chance(0.3) ? ' bool' : '');
    const op = random.pick([
      () => `${random.pick(comparisons)}${bool()}`,
      () => random.pick(arithmetic),
      () => random.pick(['+', '-', '*', '/', '</', '>/', '==', '!=']),
    ])();
    const how = random.chance(0.65) ? ` ${random.pick(['on', 'on', 'ignoring'])}${this.labelList()}` : '';
    const included = random.pick(['', '', 'version', 'cluster, version', 'job']);
    const group = how && random.chance(0.4) ? ` ${random.pick(['group_left', 'group_right'])}(${included})` : '';
    const fill = () => random.pick([0, 1, 'NaN', -2.5, '1m']);
    const fills = [
      () => ` fill(${fill()})`,
      () => ` fill_left(${fill()})`,
      () => ` fill_right(${fill()})`,
      () => ` fill_left(${fill()}) fill_right(${fill()})`,
    ];
    const filled = this.experimental && random.chance(0.2) ? random.pick(fills)() : '';
    return `(${left} ${op}${how}${group}${filled} ${right})`;
  }
}
