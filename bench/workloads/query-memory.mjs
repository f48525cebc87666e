/**
 * Workload `query-memory`: the peak of the server's anonymous memory while it answers a query that reads all 50,000
 * series. Each run is a fresh server over the samples in blocks (and, for what it shows, in the head), idle before;
 * the query runs three times, and the highest peak counts. The floor is for the peak less what the idle server has.
 * In the head that difference says nothing: a server that has read its log keeps freed memory, and queries use that.
 * `--form=block|head`, `--only=NAME,…`, `--runs=N`.
 */
import { anonymousBytes } from '../lib/process.mjs';
import { pathOf, QUERIES, SERIES } from '../lib/queries.mjs';
import { QueryClient } from '../lib/query-client.mjs';
import { recordQuery } from '../lib/query-results.mjs';
import { startMsOfData, startSite } from '../lib/query-sites.mjs';
import { scratchDir, servers } from '../lib/storage.mjs';
import { median } from '../lib/table.mjs';

const NAMES = ['narthex', 'prometheus', 'victoria-metrics'];
const ASKED = 3;
/** Prometheus' peak above idle, divided by ours. */
const FLOOR = 3;

export const runs = 3;

export async function compare({ runs, only, flags }) {
  const wanted = flags.find((f) => f.startsWith('--form='))?.slice('--form='.length);
  let code = 0;
  for (const form of ['block', 'head']) {
    if (wanted === undefined || wanted === form) code |= await compareForm(form, runs, only ?? NAMES);
  }
  return code;
}

async function compareForm(form, runs, names) {
  const scratch = scratchDir();
  const contestants = servers(names);
  let code = 0;
  for (const query of QUERIES.filter(({ series }) => series === SERIES)) {
    const above = Object.fromEntries(contestants.map(({ name }) => [name, []]));
    const peaks = Object.fromEntries(contestants.map(({ name }) => [name, []]));
    for (let run = 1; run <= runs; run++) {
      for (const server of contestants) {
        const { idle, peak } = await measure(server, form, scratch, query);
        above[server.name].push(peak - idle);
        peaks[server.name].push(peak);
        console.log(
          `  run ${run}, ${form}, query ${query.number}, ${server.name}: ${mib(idle)} idle, ${mib(peak)} peak`,
        );
      }
    }
    code |= report(form, query, above, peaks, runs);
  }
  return code;
}

async function measure(server, form, scratch, query) {
  const site = await startSite(server, form, scratch);
  const client = new QueryClient();
  try {
    const idle = anonymousBytes(site.program.pid);
    const path = pathOf(query, startMsOfData(), server.name);
    let peak = idle;
    for (let i = 0; i < ASKED; i++) {
      const answer = await client.ask(site, path, { watch: true });
      peak = Math.max(peak, answer.peakBytes);
    }
    return { idle, peak };
  } finally {
    await client.close();
    await site.remove();
  }
}

function report(form, { query }, above, peaks, runs) {
  const aboveIdle = medians(above);
  const whole = medians(peaks);
  if (!(whole.narthex && whole.prometheus)) return 0;
  const ratio = aboveIdle.prometheus / aboveIdle.narthex;
  const judged = form === 'block';
  const row = (figure, values, floor, reached) => ({
    figure: `${form}: ${figure}, \`${query}\``,
    cells: Object.fromEntries(Object.entries(values).map(([name, bytes]) => [name, mib(bytes)])),
    ratio: (values.prometheus / values.narthex).toFixed(2),
    ratioVictoria: values['victoria-metrics'] && (values['victoria-metrics'] / values.narthex).toFixed(2),
    floor,
    reached,
    runs,
  });
  if (judged) recordQuery(row('peak memory above idle', aboveIdle, `a third of Prometheus'`, ratio >= FLOOR));
  recordQuery(row('peak memory of the server', whole, '–', undefined));
  return !judged || ratio >= FLOOR ? 0 : 1;
}

function medians(lists) {
  return Object.fromEntries(Object.entries(lists).map(([name, all]) => [name, median(all)]));
}

function mib(bytes) {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
