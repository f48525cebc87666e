/**
 * Workload `query`: ten queries over 24 M samples of 50,000 series, in blocks and in the head. The figure is the time
 * from a request to the last byte of its answer. Results are compared with Prometheus', series counts with
 * VictoriaMetrics'.
 *
 * Flags: `--form=block|head`, `--queries=3,4`, `--only=narthex,prometheus`, `--runs=N`; `--clean` removes the servers'
 * directories, which are kept in the user's cache, after the run. Only a run of everything is recorded.
 */
import { cpuSeconds } from '../lib/process.mjs';
import { differenceOf, pathOf, QUERIES, shapeOf } from '../lib/queries.mjs';
import { QueryClient } from '../lib/query-client.mjs';
import { geometricMean, recordQuery } from '../lib/query-results.mjs';
import { cleanCache, startMsOfData, startSites } from '../lib/query-sites.mjs';
import { median, printTable } from '../lib/table.mjs';

const NAMES = ['narthex', 'prometheus', 'victoria-metrics'];
const FORMS = ['block', 'head'];
/** Small requests before all else: a server that is up for a minute has compiled what each request runs through. */
const FIRST_REQUESTS = 1000;
const WARM_UPS = 2;
/** Geometric means over the queries, times faster. */
const FLOORS = { prometheus: 5, 'victoria-metrics': 1.5 };
/** No query may take longer than VictoriaMetrics' time by more than this factor. */
const SLOWER_MAX = 1.05;

export const runs = 20;

export async function compare({ runs, only, flags }) {
  const flag = (name) => flags.find((f) => f.startsWith(`--${name}=`))?.slice(name.length + 3);
  const numbers = flag('queries')?.split(',').map(Number);
  const queries = QUERIES.filter(({ number }) => numbers === undefined || numbers.includes(number));
  const forms = FORMS.filter((form) => (flag('form') ?? form) === form);
  if (queries.length === 0 || forms.length === 0) throw new Error('no query of that number, or no form of that name');
  let code = 0;
  for (const form of forms) code |= await compareForm({ form, queries, runs, names: only ?? NAMES });
  if (flags.includes('--clean')) cleanCache();
  return code;
}

async function compareForm({ form, queries, runs, names }) {
  const sites = await startSites(names, form);
  const client = new QueryClient();
  const startMs = startMsOfData();
  const results = [];
  try {
    for (const site of sites) await warmUp(site, client, startMs);
    console.log(`${form}: ${sites.map(({ name, server }) => `${name} (${server.version})`).join(', ')}; ${runs} runs`);
    for (const query of queries) {
      const differences = await check(sites, query, startMs);
      results.push({ query, differences, figures: await measure(sites, client, query, startMs, runs) });
    }
  } finally {
    await client.close();
    for (const site of sites) await site.remove();
  }
  print(form, results);
  return judge(form, results, runs, queries.length === QUERIES.length && sites.length === NAMES.length);
}

async function warmUp(site, client, startMs) {
  const path = pathOf({ query: 'vector(1)', steps: 115, stepSeconds: 60 }, startMs, site.name);
  for (let i = 0; i < FIRST_REQUESTS; i++) await client.ask(site, path);
}

/** How the answers differ, a sentence each. */
async function check(sites, query, startMs) {
  const answers = new Map();
  for (const site of sites) {
    const response = await fetch(site.base + pathOf(query, startMs, site.name));
    const text = await response.text();
    if (!response.ok) throw new Error(`${site.name}: ${text.slice(0, 500)}`);
    answers.set(site.name, JSON.parse(text).data.result);
  }
  const ours = answers.get('narthex');
  const differences = [];
  if (ours === undefined) return differences;
  if (ours.length === 0) differences.push('the answer is empty');
  const expected = answers.get('prometheus');
  const difference = expected && differenceOf(ours, expected);
  if (difference) differences.push(`not Prometheus' answer: ${difference}`);
  const victoria = answers.get('victoria-metrics');
  if (victoria && !query.ranked && shapeOf(victoria).series !== shapeOf(ours).series) {
    differences.push(`VictoriaMetrics has ${shapeOf(victoria).series} series, we have ${shapeOf(ours).series}`);
  }
  return differences;
}

/** Medians of the time, bytes of the answer and mean CPU time of the server, for each site. */
async function measure(sites, client, query, startMs, runs) {
  const paths = new Map(sites.map(({ name }) => [name, pathOf(query, startMs, name)]));
  const times = new Map(sites.map(({ name }) => [name, []]));
  for (const site of sites) {
    for (let i = 0; i < WARM_UPS; i++) await client.ask(site, paths.get(site.name));
  }
  const before = sites.map(({ program }) => cpuSeconds(program.pid));
  let bytes = new Map();
  for (let run = 0; run < runs; run++) {
    // Each begins a round in its turn.
    for (let i = 0; i < sites.length; i++) {
      const site = sites[(run + i) % sites.length];
      const answer = await client.ask(site, paths.get(site.name));
      times.get(site.name).push(answer.ms);
      bytes = bytes.set(site.name, answer.bytes);
    }
  }
  const figures = sites.map(({ name, program }, i) => {
    const cpuMs = ((cpuSeconds(program.pid) - before[i]) / runs) * 1000;
    return [name, { ms: median(times.get(name)), cpuMs, bytes: bytes.get(name) }];
  });
  return Object.fromEntries(figures);
}

function print(form, results) {
  const names = Object.keys(results[0].figures);
  const peers = names.filter((name) => name !== 'narthex');
  const headings = names.flatMap((name) => [`${name} ms`, 'CPU ms']);
  const rows = results.map(({ query, figures }) => [
    `${query.number} ${query.query}`,
    ...names.flatMap((name) => [figures[name].ms.toFixed(2), figures[name].cpuMs.toFixed(1)]),
    ...(figures.narthex ? peers.map((peer) => `${(figures[peer].ms / figures.narthex.ms).toFixed(2)} ×`) : []),
    `${(figures[names[0]].bytes / 1e6).toFixed(2)} MB`,
  ]);
  const ratios = names.includes('narthex') ? peers.map((peer) => `vs ${peer}`) : [];
  printTable([form, ...headings, ...ratios, 'answer'], rows);
  for (const { query, differences } of results) {
    for (const difference of differences) console.log(`query ${query.number}: ${difference}`);
  }
}

/** Prints what was reached, records it where the run was `whole`, and returns the exit code. */
function judge(form, results, runs, whole) {
  const figures = results.map((result) => result.figures);
  let code = results.some(({ differences }) => differences.length > 0) ? 1 : 0;
  if (!figures[0].narthex) return code;
  for (const { query, figures: one } of results) {
    const victoria = one['victoria-metrics'];
    const reached = victoria ? one.narthex.ms <= victoria.ms * SLOWER_MAX : undefined;
    if (reached === false) code = 1;
    if (whole) recordQuery(queryRow(form, query, one, reached, runs));
    else if (reached === false) console.log(`query ${query.number}: slower than VictoriaMetrics`);
  }
  const means = {};
  for (const [peer, floor] of Object.entries(FLOORS)) {
    if (!figures[0][peer]) continue;
    means[peer] = geometricMean(figures.map((one) => one[peer].ms / one.narthex.ms));
    if (means[peer] < floor) code = 1;
    if (!whole) console.log(`${form}, geometric mean: ${means[peer].toFixed(2)} × ${peer}, floor ${floor} ×`);
  }
  if (whole) {
    recordQuery({
      figure: `${form}: geometric mean of the ten`,
      cells: {},
      ratio: means.prometheus.toFixed(2),
      ratioVictoria: means['victoria-metrics'].toFixed(2),
      floor: `${FLOORS.prometheus} × and ${FLOORS['victoria-metrics']} ×`,
      reached: Object.entries(FLOORS).every(([peer, floor]) => means[peer] >= floor),
      runs,
    });
  }
  return code;
}

function queryRow(form, { query }, figures, reached, runs) {
  const cells = Object.entries(figures).map(([name, { ms }]) => [name, `${ms.toFixed(1)} ms`]);
  return {
    // A bar would end the cell.
    figure: `${form}: \`${query.replaceAll('|', '\\|')}\``,
    cells: Object.fromEntries(cells),
    ratio: (figures.prometheus.ms / figures.narthex.ms).toFixed(2),
    ratioVictoria: (figures['victoria-metrics'].ms / figures.narthex.ms).toFixed(2),
    floor: 'VictoriaMetrics + 5 %',
    reached,
    runs,
  };
}
