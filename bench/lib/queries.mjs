/** The queries of the query benches, the times that they are asked for, and whether two answers are the same. */

export const SERIES = 50_000;
export const SAMPLES = 480;
export const INTERVAL_MS = 15_000;
/** The first step: from here on a window of five minutes is full. */
const FIRST_STEP_MS = 300_000;

/** `steps` of `stepSeconds` reach from five minutes after the first sample to the last one. */
const FINE = { steps: 460, stepSeconds: 15 };
const COARSE = { steps: 115, stepSeconds: 60 };

/**
 * `series` is how many are read; `large` are the ones by which memory and parallel work are judged; `ranked` are those
 * whose number of series depends on values, which are not the same in VictoriaMetrics.
 */
export const QUERIES = [
  { number: 1, query: 'sum by (mode) (rate(m_003[5m]))', ...FINE, series: 400 },
  { number: 2, query: 'rate(m_003[5m])', ...FINE, series: 400 },
  { number: 3, query: 'sum by (job) ({__name__=~"m_0[2-5]."})', ...COARSE, series: 16_000, large: true },
  { number: 4, query: 'sum by (instance) ({job="node"})', ...COARSE, series: 50_000, large: true },
  { number: 5, query: 'max_over_time(m_009[1h])', ...COARSE, series: 400 },
  { number: 6, query: 'quantile by (instance) (0.9, m_009)', ...COARSE, series: 400 },
  { number: 7, query: 'topk(5, rate(m_013[5m]))', ...COARSE, series: 400, ranked: true },
  { number: 8, query: 'm_003 / on (instance, device) m_004', ...COARSE, series: 800 },
  { number: 9, query: 'sum by (instance) (sum_over_time(m_009[1h]))', ...COARSE, series: 400 },
  { number: 10, query: 'count({job="node"})', ...COARSE, series: 50_000, large: true },
];

/** When a query is asked for, over samples that begin at `startMs`; in milliseconds. */
export function timesOf({ steps, stepSeconds }, startMs) {
  const from = startMs + FIRST_STEP_MS;
  return { startMs: from, endMs: from + (steps - 1) * stepSeconds * 1000, stepMs: stepSeconds * 1000 };
}

/** The path of a query's request. */
export function pathOf(query, startMs, server) {
  const times = timesOf(query, startMs);
  const params = new URLSearchParams({
    query: query.query,
    start: String(times.startMs / 1000),
    end: String(times.endMs / 1000),
    step: String(query.stepSeconds),
  });
  // VictoriaMetrics keeps results: the second answer would not be computed.
  if (server === 'victoria-metrics') params.set('nocache', '1');
  return `/api/v1/query_range?${params}`;
}

const RELATIVE_MAX = 1e-12;

/** The first difference between two matrices, or `undefined`. */
export function differenceOf(found, expected) {
  if (found.length !== expected.length) return `${found.length} series instead of ${expected.length}`;
  const theirs = new Map(expected.map((series) => [keyOf(series.metric), series.values]));
  for (const { metric, values } of found) {
    const key = keyOf(metric);
    const others = theirs.get(key);
    if (others === undefined) return `${key} is not in the other answer`;
    if (others.length !== values.length) return `${key}: ${values.length} points instead of ${others.length}`;
    for (const [i, [t, v]] of values.entries()) {
      const [otherTime, other] = others[i];
      if (t !== otherTime || !isClose(v, other)) return `${key}: ${v} at ${t} instead of ${other} at ${otherTime}`;
    }
  }
  return undefined;
}

function keyOf(metric) {
  return JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isClose(a, b) {
  if (a === b) return true;
  const [x, y] = [Number(a), Number(b)];
  return Math.abs(x - y) <= RELATIVE_MAX * Math.max(Math.abs(x), Math.abs(y));
}

/** Series and points of a matrix. */
export function shapeOf(matrix) {
  return { series: matrix.length, points: matrix.reduce((sum, { values }) => sum + values.length, 0) };
}
