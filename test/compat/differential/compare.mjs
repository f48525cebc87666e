/** Compares two answers of the query API. */

/** How far values may lie apart, as a part of the larger one; results that only differ by more count as different. */
const EXACT = 1e-12;
/** Sums of squares lose digits in any order of adding. */
const SPREAD = 1e-9;
const SPREADING = /std(dev|var)|deriv|predict_linear|smoothing|integral/;

/**
 * How `found` differs from `expected`; `undefined` where it does not. `rounding` is called where values differ by no more
 * than the spread of sums of squares, though the query has none. `steps`: whether something is evaluated step by step.
 */
export function differenceOf(query, found, expected, rounding, steps = true) {
  if (found.status !== expected.status) return `${show(found)}\n  expected ${show(expected)}`;
  for (const part of ['errorType', 'error', 'warnings', 'infos']) {
    const [f, e] = [found[part], expected[part]].map(settled);
    if (f !== e && !(steps && countedAgain(f, e))) return `${part}: ${f}\n  expected ${e}`;
  }
  if (found.status === 'error') return undefined;
  const [a, b] = [found.data, expected.data];
  if (a.resultType !== b.resultType) return `${a.resultType}, expected ${b.resultType}`;
  const near = nearness(query, rounding);
  if (a.resultType === 'scalar' || a.resultType === 'string') {
    return near(a.result[1], b.result[1]) ? undefined : `${a.result[1]}, expected ${b.result[1]}`;
  }
  return (
    seriesDifference(near, byLabels(a), byLabels(b)) ?? (ordered(query, a, b) ? undefined : 'another order of series')
  );
}

/**
 * Prometheus adds up the samples that a remark on buckets stands for each time it passes the remark on, so that they double
 * from step to step, past 64 bits in the end. We count each sample once. Where there is one step the numbers are the same.
 */
function countedAgain(found, expected) {
  const counts = /over -?\d+ samples/g;
  return found?.replace(counts, '') === expected?.replace(counts, '');
}

/** Which of several duplicates an error names depends on the order of a Go map, and so do the ten remarks of more. */
function settled(text) {
  if (Array.isArray(text)) {
    const omitted = text.find((line) => / more .* annotations omitted$/.test(line));
    return JSON.stringify(omitted ? [text.length, omitted] : [...text].sort());
  }
  return text?.replace(/(found duplicate series for the match group) .*( on the (left|right) hand-side).*/s, '$1$2');
}

function byLabels({ result }) {
  return new Map(result.map((series) => [key(series.metric), pointsOf(series)]));
}

/** Floats and histograms, in order of time. */
function pointsOf({ values = [], value, histograms = [], histogram }) {
  const all = [...values, ...histograms, ...(value ? [value] : []), ...(histogram ? [histogram] : [])];
  return all.sort(([a], [b]) => a - b);
}

function key(metric) {
  return JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * A matrix is sorted by labels; a vector where the query sorts it by labels. Of an empty and another value Prometheus
 * calls neither the smaller (natsort), so where both occur the order is what its way of sorting makes of the input's.
 */
function ordered(query, a, b) {
  if (a.resultType !== 'matrix') {
    const [, names] = /^sort_by_label(?:_desc)?\(.*?((?:, "\w+")+)\)$/s.exec(query) ?? [];
    if (names === undefined) return true;
    const labels = names.slice(3, -1).split('", "');
    if (labels.some((l) => new Set(b.result.map(({ metric }) => l in metric)).size > 1)) return true;
  }
  return a.result.every((series, i) => key(series.metric) === key(b.result[i].metric));
}

function seriesDifference(near, found, expected) {
  for (const [labels, points] of expected) {
    const got = found.get(labels);
    if (!got) return `series ${labels} is missing; there are ${[...found.keys()].slice(0, 5)}`;
    if (got.length !== points.length) return `${labels} has ${got.length} points, expected ${points.length}`;
    for (const [i, [t, v]] of points.entries()) {
      if (got[i][0] !== t) return `${labels} has a point at ${got[i][0]}, expected ${t}`;
      if (!samePoint(near, got[i][1], v)) return `${labels} at ${t}: ${text(got[i][1])}, expected ${text(v)}`;
    }
  }
  for (const labels of found.keys()) if (!expected.has(labels)) return `series ${labels} should not be there`;
  return undefined;
}

function text(value) {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function samePoint(near, found, expected) {
  if (typeof expected === 'string' || typeof found === 'string') {
    return typeof expected === typeof found && near(found, expected);
  }
  const [a, b] = [found, expected].map(({ buckets = [], count, sum }) => [count, sum, ...buckets.flat()].map(String));
  return a.length === b.length && a.every((n, i) => near(n, b[i]));
}

function nearness(query, rounding) {
  const bound = SPREADING.test(query) ? SPREAD : EXACT;
  return (found, expected) => {
    if (found === expected) return true;
    const [a, b] = [Number(found), Number(expected)];
    const apart = Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b));
    if (apart <= bound) return true;
    if (!(apart <= SPREAD)) return false;
    rounding(apart);
    return true;
  };
}

function show(answer) {
  return JSON.stringify(answer).slice(0, 300);
}
