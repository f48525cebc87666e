/**
 * Random texts of queries: every construct of the language, well-typed or not, and such texts broken in one to three
 * places. For parsers and printers; nothing here need have a value.
 */

const metrics = ['up', 'a:b', 'http_requests_total', 'sum', 'offset', 'by', 'start', 'fill', 'on', 'bool', 'x', 'rate'];
const labels = [
  'job',
  'le',
  'on',
  'by',
  '__name__',
  'sum',
  '"a b"',
  '"é"',
  "'x-y'",
  '`z`',
  'instance_with_a_long_name',
];
const strings = [
  '"a"',
  "'b'",
  '`c`',
  '""',
  '"a.*|b"',
  '"\\n\\x41\\u00e9"',
  '`\\d+`',
  '"é→𝄞"',
  '"<&>"',
  '"a \\"quoted\\" \\\\ one"',
];
const broken = ['"\\q"', '"', "'a", '`', '"a\nb"', '"\\u12"', '"("', '"[a"', '"\\ud800"'];
const numbers = [
  '0',
  '1',
  '-1',
  '1.5',
  '.5',
  '5.',
  '0x1f',
  '1e5',
  '1E-3',
  '1_000',
  'Inf',
  '-inf',
  'NaN',
  '0.1e-6',
  '017',
  '1e400',
  '123456789012345678',
];
const durations = [
  '5m',
  '1h30m',
  '1s',
  '100ms',
  '1y',
  '2w3d',
  '90s',
  '1.5',
  '300',
  '0',
  '0s',
  '1d1h1m1s1ms',
  '1m1h',
  '5x',
  '100000y',
];
const arithmetic = ['+', '-', '*', '/', '%', '^', 'atan2'];
const comparisons = ['==', '!=', '>', '<', '>=', '<='];
const operators = [...arithmetic, ...comparisons, '</', '>/', 'and', 'or', 'unless'];
const aggregations = ['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar', 'SUM', 'Avg'];
const ranked = ['topk', 'bottomk', 'quantile', 'count_values', 'limitk', 'limit_ratio'];
const ofMatrix = [
  'rate',
  'increase',
  'delta',
  'sum_over_time',
  'last_over_time',
  'mad_over_time',
  'ts_of_max_over_time',
];
const ofVector = [
  'abs',
  'ceil',
  'histogram_avg',
  'timestamp',
  'absent',
  'sort',
  'sort_desc',
  'scalar',
  'start_timestamp',
];
const odd = [
  '',
  ' ',
  '\n',
  '#',
  '# x\n',
  '\t',
  '\u00a0',
  'é',
  '𝄞',
  '\\',
  '$',
  ';',
  '!',
  '=',
  '~',
  '&',
  '|',
  '?',
  '.',
  '..',
  ':',
  '::',
  '@',
  "'",
  '"',
  '`',
];
const pieces = [
  ...'(){}[],:@',
  '=~',
  '!~',
  '{}',
  '[]',
  '[5m',
  '5m]',
  '()',
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'bool',
  'offset',
  'anchored',
  'smoothed',
  'fill',
  'fill_left(1)',
  'start()',
  'end',
  'step()',
  'range',
  'min_of(',
  'max_of',
  'nosuch',
  'nosuch(',
  'stale',
];

/** A text, broken in every third case. */
export function text(random) {
  if (random.chance(0.04)) return soup(random);
  const whole = random.chance(0.15) ? long(random) : expression(random, 1 + random.below(4));
  return random.chance(0.33) ? damage(random, whole) : whole;
}

/** Wider than a line. */
function long(random) {
  const parts = Array.from({ length: 2 + random.below(4) }, () => expression(random, 3));
  return parts.join(` ${random.pick(operators)} `);
}

function soup(random) {
  const all = [
    ...pieces,
    ...odd,
    ...metrics,
    ...numbers,
    ...durations,
    ...strings,
    ...broken,
    ...operators,
    ...ofVector,
  ];
  return Array.from({ length: 1 + random.below(8) }, () => random.pick(all)).join(random.pick(['', ' ']));
}

/** The text with some characters or words lost, doubled, exchanged or put in. */
export function damage(random, whole) {
  let result = whole;
  for (let n = 1 + random.below(3); n > 0; n--) {
    const tokens = result.match(/\w+|\s+|[^\w\s]/gu) ?? [];
    const at = random.below(tokens.length + 1);
    const kind = random.below(5);
    if (kind === 0) tokens.splice(at, 1);
    else if (kind === 1) tokens.splice(at, 0, random.pick(pieces));
    else if (kind === 2) tokens.splice(at, 1, random.pick([...odd, ...broken]));
    else if (kind === 3) tokens.splice(at, 0, tokens[random.below(tokens.length)] ?? '');
    else tokens.splice(at);
    result = tokens.join('');
  }
  return result;
}

function space(random) {
  return random.pick(['', ' ', ' ', ' ', '\n', ' # note\n', '\t']);
}

function some(random, make, most) {
  return Array.from({ length: random.below(most + 1) }, () => make(random));
}

function matcher(random) {
  const value = random.chance(0.02) ? random.pick(broken) : random.pick(strings);
  return `${random.pick(labels)}${space(random)}${random.pick(['=', '=', '!=', '=~', '!~'])}${space(random)}${value}`;
}

function selector(random) {
  const name = random.pick(metrics);
  if (random.chance(0.35)) return name;
  const inside = some(random, matcher, 3);
  if (random.chance(0.2)) inside.push(random.pick(['"a metric"', '"up"', '`é`']));
  if (random.chance(0.1)) inside.push('');
  return `${random.chance(0.75) ? name : ''}{${inside.join(',')}}`;
}

function duration(random, depth = 2) {
  if (depth === 0 || random.chance(0.7)) return random.pick(durations.slice(0, 11 + (random.chance(0.1) ? 4 : 0)));
  const inner = () => duration(random, depth - 1);
  return random.pick([
    () => `${inner()} ${random.pick(arithmetic.slice(0, 6))} ${inner()}`,
    () => `${inner()}${random.pick(arithmetic.slice(0, 6))}${inner()}`,
    () => `(${inner()})`,
    () => `-${inner()}`,
    () => `+${inner()}`,
    () => random.pick(['step()', 'range()', 'STEP()', 'step( )']),
    () => `${random.pick(['min_of', 'max_of'])}(${inner()}, ${inner()})`,
  ])();
}

function modifiers(random) {
  const offset = () => ` offset ${random.pick(['', '', '-', '+'])}${duration(random, 1)}`;
  const at = () =>
    ` @ ${random.pick(['start()', 'end()', '10', '-1.5', '1e9', '1609746000.123', 'NaN', '1e300', '5m'])}`;
  const window = () => ` ${random.pick(['anchored', 'smoothed'])}`;
  const all = [];
  if (random.chance(0.15)) all.push(offset());
  if (random.chance(0.1)) all.push(at());
  if (random.chance(0.08)) all.push(window());
  if (random.chance(0.01)) all.push(offset());
  return random.chance(0.5) ? all.join('') : all.reverse().join('');
}

function matrix(random, depth) {
  if (depth > 0 && random.chance(0.3)) {
    const step = random.chance(0.5) ? duration(random) : '';
    return `${operand(random, depth - 1)}[${duration(random)}:${step}]${modifiers(random)}`;
  }
  return `${selector(random)}${space(random)}[${duration(random)}]${modifiers(random)}`;
}

function labelList(random) {
  return `(${some(random, (r) => r.pick(labels), 3).join(', ')}${random.chance(0.05) ? ',' : ''})`;
}

function grouping(random) {
  return `${random.pick(['by', 'without', 'BY'])}${space(random)}${labelList(random)}`;
}

function matching(random) {
  const parts = [];
  if (random.chance(0.15)) parts.push('bool');
  if (random.chance(0.45)) parts.push(`${random.pick(['on', 'ignoring'])}${labelList(random)}`);
  if (random.chance(parts.length > 0 ? 0.4 : 0.03)) {
    parts.push(`${random.pick(['group_left', 'group_right'])}${random.chance(0.7) ? labelList(random) : ''}`);
  }
  if (random.chance(0.15)) parts.push(`${random.pick(['fill', 'fill_left', 'fill_right'])}(${random.pick(numbers)})`);
  if (random.chance(0.05)) parts.push('fill_right (2)');
  return parts.join(' ');
}

/** Something that needs no parentheses as an operand of a bracket. */
function operand(random, depth) {
  return random.chance(0.4) ? selector(random) : `(${expression(random, depth)})`;
}

/** An expression; in one of thirty cases it has another type than its place asks for. */
export function expression(random, depth) {
  if (depth <= 0) {
    return random.pick([
      () => selector(random) + modifiers(random),
      () => selector(random),
      () => selector(random),
      () => random.pick(numbers),
      () => random.pick(['5m', '1h30m', '1e3', '0x10']),
    ])();
  }
  const inner = () => (random.chance(0.03) ? matrix(random, depth - 1) : expression(random, depth - 1));
  const string = () => (random.chance(0.04) ? inner() : random.pick(strings));
  const call = (name, ...args) => `${name}${random.chance(0.1) ? ' ' : ''}(${args.join(random.pick([',', ', ']))})`;
  return random.pick([
    () => selector(random) + modifiers(random),
    () => call(random.pick(ofMatrix), matrix(random, depth)),
    () => call(random.pick(ofMatrix), matrix(random, depth)),
    () => call(random.pick(ofVector), inner()),
    () => `${random.pick(aggregations)} ${grouping(random)} (${inner()})`,
    () => `${random.pick(aggregations)}(${inner()})${random.chance(0.5) ? ` ${grouping(random)}` : ''}`,
    () =>
      `${random.pick(ranked)}${random.chance(0.5) ? grouping(random) : ''}(${random.pick(['3', '0.5', '"v"', '-1', 'x'])}, ${inner()})`,
    () => `${inner()}${space(random)} ${random.pick(operators)} ${matching(random)}${space(random)} ${inner()}`,
    () => `${inner()} ${random.pick(operators)} ${matching(random)} ${inner()}`,
    () => `(${space(random)}${inner()}${space(random)})`,
    () => `${random.pick(['-', '+', '- ', '--'])}${inner()}`,
    () => `-(${inner()})`,
    () => call('label_replace', inner(), string(), string(), string(), string()),
    () => call('label_join', inner(), string(), ...some(random, string, 3)),
    () => call('histogram_quantile', random.pick(numbers), inner()),
    () => call('histogram_quantiles', inner(), string(), ...some(random, (r) => r.pick(numbers), 12)),
    () => call('sort_by_label', inner(), ...some(random, string, 2)),
    () => call('info', inner(), ...some(random, selector, 1)),
    () =>
      call(
        random.pick(['round', 'clamp_min', 'integral', 'predict_linear']),
        inner(),
        ...some(random, (r) => r.pick(numbers), 1),
      ),
    () =>
      call(
        random.pick(['time', 'pi', 'start', 'end', 'range', 'step', 'hour', 'vector', 'max_of', 'min_of']),
        ...some(random, inner, 2),
      ),
    () => call('quantile_over_time', random.pick(numbers), matrix(random, depth)),
    () =>
      `${operand(random, depth - 1)}[${duration(random)}:${random.chance(0.5) ? duration(random) : ''}]${modifiers(random)}`,
  ])();
}
