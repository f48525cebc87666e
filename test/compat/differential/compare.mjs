/** Compares two answers of the query API. */

/** Results that go through sums of squares lose digits in any order of adding. */
const RELATIVE = 1e-9;

/** How `found` differs from `expected`; `undefined` where it does not. */
export function differenceOf(found, expected) {
  if (found.status !== expected.status) return `${show(found)}\n  expected ${show(expected)}`;
  for (const part of ['errorType', 'error', 'warnings', 'infos']) {
    const [f, e] = [found[part], expected[part]].map(settled);
    if (f !== e) return `${part}: ${f}\n  expected ${e}`;
  }
  if (found.status === 'error') return undefined;
  const [a, b] = [found.data, expected.data];
  if (a.resultType !== b.resultType) return `${a.resultType}, expected ${b.resultType}`;
  if (a.resultType === 'scalar' || a.resultType === 'string') {
    return near(a.result[1], b.result[1]) ? undefined : `${a.result[1]}, expected ${b.result[1]}`;
  }
  return seriesDifference(byLabels(a), byLabels(b)) ?? (ordered(a, b) ? undefined : 'another order of series');
}

/** Which of several duplicates an error names depends on the order of a Go map. */
function settled(text) {
  if (Array.isArray(text)) return JSON.stringify([...text].sort());
  return text?.replace(/(found duplicate series for the match group) .*( on the (left|right) hand-side).*/s, '$1$2');
}

function byLabels({ result }) {
  return new Map(result.map((series) => [key(series.metric), series.values ?? [series.value]]));
}

function key(metric) {
  return JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A matrix is sorted by labels. */
function ordered(a, b) {
  return a.resultType !== 'matrix' || a.result.every((series, i) => key(series.metric) === key(b.result[i].metric));
}

function seriesDifference(found, expected) {
  for (const [labels, points] of expected) {
    const got = found.get(labels);
    if (!got) return `series ${labels} is missing; there are ${[...found.keys()].slice(0, 5)}`;
    if (got.length !== points.length) return `${labels} has ${got.length} points, expected ${points.length}`;
    for (const [i, [t, v]] of points.entries()) {
      if (got[i][0] !== t) return `${labels} has a point at ${got[i][0]}, expected ${t}`;
      if (!near(got[i][1], v)) return `${labels} at ${t}: ${got[i][1]}, expected ${v}`;
    }
  }
  for (const labels of found.keys()) if (!expected.has(labels)) return `series ${labels} should not be there`;
  return undefined;
}

function near(found, expected) {
  if (found === expected) return true;
  const [a, b] = [Number(found), Number(expected)];
  return Math.abs(a - b) <= RELATIVE * Math.max(Math.abs(a), Math.abs(b));
}

function show(answer) {
  return JSON.stringify(answer).slice(0, 300);
}
