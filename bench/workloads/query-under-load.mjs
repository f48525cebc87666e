/**
 * Workload `query-under-load`: `rate` over 400 of 50,000 series, asked ten times a second at the newest samples, while
 * remote write 1.0 comes in at half of what the server takes at full speed: each server at half of its own maximum, which
 * is found first. The figure is the 99th percentile of the query's time, counted from when it was due.
 *
 * Flags: `--only=NAME,…`, `--runs=N`, `--seconds=N` for a shorter look, which is not recorded.
 */
import { NAMES, report, row, units } from '../lib/ingest-results.mjs';
import { receivers } from '../lib/push.mjs';
import { differenceOf } from '../lib/queries.mjs';
import { Replay } from '../lib/replay.mjs';
import { Site, scratchDir } from '../lib/storage.mjs';
import { median, short } from '../lib/table.mjs';

const QUERY = 'rate(m_003[5m])';
const QUERY_SERIES = 400;
const SERIES = 50_000;
/** So short that no server has its head cut while it is measured, however fast it is. */
const INTERVAL_MS = 5000;
/** More than the fastest takes: enough for four million samples a second at full speed. */
const ROUNDS = 2000;
/** A round that every server has: the end of the first full window. */
const CHECKED_ROUND = 60;
const CALIBRATE_SECONDS = 8;
const SECONDS = 30;
const EVERY_MS = 100;
const TITLE = `query under load, \`${QUERY}\``;

export const runs = 3;

export async function compare({ runs, only, flags }) {
  const flag = flags.find((f) => f.startsWith('--seconds='))?.slice('--seconds='.length);
  const seconds = Number(flag ?? SECONDS);
  const contestants = receivers(only ?? NAMES);
  console.log(`${TITLE}, for ${seconds} s; medians of ${runs} interleaved runs`);
  for (const { name, version } of contestants) console.log(`  ${name}: ${version}`);
  const scratch = scratchDir();
  const startMs = Math.floor(Date.now() / 1000) * 1000 - ROUNDS * INTERVAL_MS;
  const replay = new Replay({
    format: 'remote-write',
    names: 'query',
    series: SERIES,
    samples: ROUNDS,
    startMs,
    intervalMs: INTERVAL_MS,
  });
  const results = new Map(contestants.map(({ name }) => [name, []]));
  try {
    for (let run = 1; run <= runs; run++) {
      const answers = new Map();
      for (const server of contestants) {
        const site = new Site(server, scratch);
        try {
          await site.start();
          const result = await replay.under(site, '/api/v1/write', {
            calibrateSeconds: CALIBRATE_SECONDS,
            seconds,
            everyMs: EVERY_MS,
            query: queryPath(server.name),
          });
          results.get(server.name).push(result);
          console.log(`  run ${run}, ${server.name}: ${sentence(result)}`);
          answers.set(server.name, await answerOf(site, startMs));
        } finally {
          await site.remove();
        }
      }
      check(answers);
    }
  } finally {
    await replay.close();
  }
  const whole = flag === undefined && NAMES.every((name) => results.has(name));
  return reportAll(results, runs, whole);
}

function queryPath(name) {
  // VictoriaMetrics keeps results: the second answer would not be computed.
  return `/api/v1/query?query=${encodeURIComponent(QUERY)}${name === 'victoria-metrics' ? '&nocache=1' : ''}`;
}

function sentence({ maximum, taken, queries, p50Ms, p99Ms, maxMs }) {
  return (
    `${short(maximum)} samples a second at most, ${short(taken)} while asked; ${queries} queries: ` +
    `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, at most ${maxMs.toFixed(1)} ms`
  );
}

async function answerOf(site, startMs) {
  const time = (startMs + CHECKED_ROUND * INTERVAL_MS) / 1000;
  const params = new URLSearchParams({ query: QUERY, start: String(time), end: String(time), step: '5' });
  const response = await fetch(`${site.base}/api/v1/query_range?${params}`);
  return (await response.json()).data.result;
}

/** As many series everywhere, and Prometheus' values in ours. */
function check(answers) {
  for (const [name, { length }] of answers) {
    if (length !== QUERY_SERIES) throw new Error(`${name} has ${length} series of ${QUERY_SERIES}`);
  }
  const [ours, theirs] = [answers.get('narthex'), answers.get('prometheus')];
  const difference = ours && theirs && differenceOf(ours, theirs);
  if (difference) throw new Error(`not Prometheus' answer: ${difference}`);
}

function reportAll(results, runs, whole) {
  const figures = (pick) => Object.fromEntries([...results].map(([name, list]) => [name, median(list.map(pick))]));
  const better = {
    text: 'better than both',
    reached: (p99) => NAMES.every((name) => name === 'narthex' || !(p99[name] <= p99.narthex)),
  };
  const rows = [
    ['p99', (r) => r.p99Ms, { more: false, unit: units.milliseconds, floor: better }],
    ['p50', (r) => r.p50Ms, { more: false, unit: units.milliseconds }],
    ['samples a second meanwhile', (r) => r.taken, { more: true, unit: units.rate }],
  ];
  let code = 0;
  for (const [what, pick, options] of rows) {
    const one = row({ figure: `${TITLE}: ${what}`, figures: figures(pick), runs, ...options });
    report(one, whole);
    if (one.reached === false) code = 1;
  }
  return code;
}
