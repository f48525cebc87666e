/** Random PromQL over the metrics of data.mjs: well-typed by construction, of bounded depth. */

const metrics = [
  'cpu_seconds_total',
  'requests_total',
  'temperature',
  'build_info',
  'latency_seconds_bucket',
  'latency_seconds_count',
];
const values = { instance: ['a:1', 'b:2', 'c:3'], job: ['node', 'web'], mode: ['user', 'idle'], code: ['200', '500'] };
const groupings = ['instance', 'job', 'mode', 'code', 'dim', 'le', 'nothing'];
const ranges = ['30s', '1m', '95s', '5m', '7m30s', '20m', '1h'];
const overTime = ['sum', 'avg', 'min', 'max', 'count', 'stddev', 'stdvar', 'last', 'present', 'first'];
const windowed = ['rate', 'increase', 'delta', 'irate', 'idelta', 'changes', 'resets', 'deriv'];
const mathematical = [
  'abs',
  'ceil',
  'floor',
  'exp',
  'sqrt',
  'ln',
  'log2',
  'log10',
  'sgn',
  'deg',
  'rad',
  'sin',
  'cos',
  'tanh',
  'atan',
];
const timed = ['minute', 'hour', 'day_of_week', 'day_of_month', 'days_in_month', 'month', 'year', 'day_of_year'];
const aggregations = ['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar'];
const arithmetic = ['+', '-', '*', '/', '%', '^', 'atan2'];
const comparisons = ['==', '!=', '>', '<', '>=', '<='];

/** An expression whose value is an instant vector, or now and then a scalar. */
export function expression(random, depth = 3) {
  return random.chance(0.08) ? scalar(random, depth) : vector(random, depth);
}

function selector(random) {
  const metric = random.pick(metrics);
  const matchers = random.chance(0.4)
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
  return random.chance(0.03)
    ? `{__name__=~"${metric.slice(0, 4)}.*"}`
    : `${metric}${matchers.length ? `{${matchers}}` : ''}`;
}

function modifiers(random) {
  const offset = random.chance(0.15) ? ` offset ${random.pick(['1m', '17s', '-2m', '20m'])}` : '';
  const at = random.chance(0.08) ? ` @ ${random.pick(['start()', 'end()', '1767228000', '1767229999.5'])}` : '';
  return random.chance(0.5) ? offset + at : at + offset;
}

function matrix(random, depth) {
  const range = random.pick(ranges);
  if (depth > 1 && random.chance(0.15)) {
    const step = random.pick(['', '15s', '37s', '1m', '2m']);
    return `(${vector(random, depth - 2)})[${range}:${step}]${modifiers(random)}`;
  }
  return `${selector(random)}[${range}]${modifiers(random)}`;
}

function scalar(random, depth) {
  return random.pick([
    () => String(random.pick([0, 1, 2, -1, 0.5, 100, 1e9, 'NaN', 'Inf'])),
    () => 'time()',
    () => (depth > 0 ? `scalar(${vector(random, depth - 1)})` : 'pi()'),
    () => (depth > 0 ? `(${scalar(random, depth - 1)} ${random.pick(arithmetic)} ${scalar(random, depth - 1)})` : '7'),
  ])();
}

function labelList(random) {
  return `(${random.some(groupings, 0).slice(0, 3).join(', ')})`;
}

function grouping(random) {
  return random.chance(0.25) ? '' : ` ${random.pick(['by', 'without'])} ${labelList(random)}`;
}

function vector(random, depth) {
  if (depth <= 0) return selector(random) + modifiers(random);
  const inner = () => vector(random, depth - 1);
  return random.pick([
    () => selector(random) + modifiers(random),
    () => `${random.pick(windowed)}(${matrix(random, depth)})`,
    () => `${random.pick(windowed)}(${matrix(random, depth)})`,
    () => `${random.pick(overTime.slice(0, 9))}_over_time(${matrix(random, depth)})`,
    () => `quantile_over_time(${random.pick([0, 0.5, 0.9, 1, -1, 2])}, ${matrix(random, depth)})`,
    () => `predict_linear(${matrix(random, depth)}, ${random.pick([60, -60, 3600])})`,
    () => `${random.pick(aggregations)}${grouping(random)} (${inner()})`,
    () => `${random.pick(aggregations)}${grouping(random)} (${inner()})`,
    () =>
      `${random.pick(['topk', 'bottomk'])}${grouping(random)} (${random.pick([1, 2, 3, 0, 100])}, ${untied(random)})`,
    () => `quantile${grouping(random)} (${random.pick([0.1, 0.5, 0.99, 1.5])}, ${inner()})`,
    () => `count_values${grouping(random)} ("value", ${random.pick(['floor', 'round', 'sgn'])}(${inner()}))`,
    () => `${random.pick(mathematical)}(${inner()})`,
    () => `round(${inner()}, ${random.pick([1, 0.1, 5])})`,
    () => `clamp(${inner()}, ${random.pick([0, -5])}, ${random.pick([10, 1e6, -10])})`,
    () => `${random.pick(['clamp_min', 'clamp_max'])}(${inner()}, ${scalar(random, 0)})`,
    () => `${random.pick(timed)}(${inner()})`,
    () => `timestamp(${inner()})`,
    () => `${random.pick(['absent', 'sort', 'sort_desc'])}(${inner()})`,
    () => `absent_over_time(${matrix(random, depth)})`,
    () => `vector(${scalar(random, depth - 1)})`,
    () => `histogram_quantile(${random.pick([0.5, 0.9, 0, 1, 2])}, ${histogram(random)})`,
    () =>
      `label_replace(${inner()}, "${random.pick(['dst', 'job'])}", "${random.pick(['x-$1', ''])}", "instance", "(.):.*")`,
    () => `label_join(${inner()}, "dst", "-", "instance", "job")`,
    () => `-${inner()}`,
    () => `(${inner()} ${random.pick(arithmetic)} ${scalar(random, depth - 1)})`,
    () => `(${scalar(random, depth - 1)} ${random.pick(comparisons)}${random.chance(0.4) ? ' bool' : ''} ${inner()})`,
    () => binary(random, depth),
    () => binary(random, depth),
    () => binary(random, depth),
    () =>
      `(${inner()} ${random.pick(['and', 'or', 'unless'])}${random.chance(0.5) ? ` ${random.pick(['on', 'ignoring'])}${labelList(random)}` : ''} ${inner()})`,
  ])();
}

/** Values that differ from each other: which of several equal ones a ranking keeps is nobody's promise. */
function untied(random) {
  return random.pick(['cpu_seconds_total', 'temperature * 1.1', `avg_over_time(temperature[${random.pick(ranges)}])`]);
}

function histogram(random) {
  const buckets = `rate(latency_seconds_bucket[${random.pick(ranges)}])`;
  return random.pick([
    buckets,
    'latency_seconds_bucket',
    `sum by (le) (${buckets})`,
    `sum by (le, instance) (${buckets})`,
  ]);
}

function binary(random, depth) {
  const [left, right] = [vector(random, depth - 1), vector(random, depth - 1)];
  const op = random.chance(0.3)
    ? `${random.pick(comparisons)}${random.chance(0.3) ? ' bool' : ''}`
    : random.pick(arithmetic);
  const how = random.chance(0.6) ? ` ${random.pick(['on', 'ignoring'])}${labelList(random)}` : '';
  const group =
    how && random.chance(0.4)
      ? ` ${random.pick(['group_left', 'group_right'])}(${random.chance(0.3) ? 'version' : ''})`
      : '';
  return `(${left} ${op}${how}${group} ${right})`;
}
