/** The benches in which samples are scraped: every server reads the same bodies, encoded before, in gzip. */
import { NAMES, report, row, units } from './ingest-results.mjs';
import { buildLoad } from './load.mjs';
import { cpuSeconds, Program, peakBytes, queryNumber, sleep } from './process.mjs';
import { allServers, makeVisible, Site, scratchDir } from './storage.mjs';
import { median, short } from './table.mjs';

/** How long after the end what was scraped then is asked for. */
const SETTLE_MS = 2000;
/** Of the samples that are due; the rest may be late by a scrape. */
const TAKEN_MIN = 0.9;
/** A series is part of so many scrapes where they come and go; that of bench/load. */
const LIFE_SCRAPES = 10;
const ALL = '{__name__=~"bench_metric_.+"}';

function scrapers(names) {
  return allServers(names).map((server) => ({
    ...server,
    flags: (config, ...args) => [
      ...server.flags(config, ...args),
      ...(server.name === 'victoria-metrics'
        ? // What was just scraped can be asked for, and a query may read all series.
          [`-promscrape.config=${config}`, '-search.latencyOffset=0s', '-search.maxUniqueTimeseries=10000000']
        : []),
    ],
  }));
}

/**
 * Measures `load` on every server of `only`, reports rows that begin with `title`, and returns the exit code.
 *
 * @param load `{ targets, series, variants, churn, intervalSeconds, warmUpSeconds, measuredSeconds }`
 * @param floor of samples per CPU-second, as in `row`
 */
export async function compareScrapes({ title, load, floor, runs, only, whole }) {
  const contestants = scrapers(only ?? NAMES);
  console.log(`${title}, for ${load.measuredSeconds} s; medians of ${runs} interleaved runs`);
  for (const { name, version } of contestants) console.log(`  ${name}: ${version}`);
  const scratch = scratchDir();
  const exporter = await startExporter(load);
  const results = new Map(contestants.map(({ name }) => [name, []]));
  try {
    for (let run = 1; run <= runs; run++) {
      for (const server of contestants) {
        const result = await measure(server, load, exporter.port, scratch);
        results.get(server.name).push(result);
        console.log(`  run ${run}, ${server.name}: ${sentence(result)}`);
      }
    }
  } finally {
    await exporter.program.stop();
  }
  return reportScrapes({ title, results, floor, runs, whole: whole && NAMES.every((name) => results.has(name)) });
}

function sentence({ rate, cpu, peak, anonymous, samples, lost }) {
  return (
    `${short(rate)} samples per CPU-second, ${short(samples)} in ${cpu.toFixed(2)} CPU s, ` +
    `${units.megabytes(peak)} (${units.megabytes(anonymous)} anonymous)${lost && `; ${lost}`}`
  );
}

function reportScrapes({ title, results, floor, runs, whole }) {
  const rows = [
    ['samples per CPU-second', 'rate', { more: true, unit: units.rate, floor }],
    ['peak memory', 'peak', { more: false, unit: units.megabytes }],
    ['peak memory, without mapped files', 'anonymous', { more: false, unit: units.megabytes }],
  ];
  let code = 0;
  for (const [what, pick, options] of rows) {
    const figures = Object.fromEntries([...results].map(([name, list]) => [name, median(list.map((r) => r[pick]))]));
    const one = row({ figure: `${title}: ${what}`, figures, runs, ...options });
    report(one, whole);
    if (one.reached === false) code = 1;
  }
  return code;
}

async function startExporter({ targets, series, variants, churn }) {
  const words = ['exporter', targets, series, variants, ...(churn ? ['churn'] : [])].map(String);
  const program = new Program(buildLoad(), words, { stdin: 'pipe', name: 'load exporter' });
  process.once('exit', () => program.child.kill());
  await program.until('port', async () => program.output.includes('port'), 300);
  return { program, port: JSON.parse(program.output).port };
}

function configuration({ targets, intervalSeconds }, port) {
  const groups = Array.from(
    { length: targets },
    (_, i) =>
      `      - targets: ['127.0.0.1:${port}']\n        labels: {__metrics_path__: /metrics/${i}, instance: node-${i}}\n`,
  );
  const seconds = `  scrape_interval: ${intervalSeconds}s\n  scrape_timeout: ${intervalSeconds}s\n`;
  return `global:\n${seconds}scrape_configs:\n  - job_name: node\n    static_configs:\n${groups.join('')}`;
}

async function measure(server, load, port, scratch) {
  const { targets, series, intervalSeconds, warmUpSeconds, measuredSeconds, churn } = load;
  await fetch(`http://127.0.0.1:${port}/reset`);
  const site = new Site(server, scratch, configuration(load, port));
  try {
    await site.start();
    const { program, base } = site;
    const up = async () => (await queryNumber(base, 'sum(up)')) === targets;
    await program.until('scrapes', up, 60 + 2 * intervalSeconds);
    await sleep(warmUpSeconds * 1000);
    const before = cpuSeconds(program.pid);
    await sleep(measuredSeconds * 1000);
    const cpu = cpuSeconds(program.pid) - before;
    const end = Date.now() / 1000;
    const peak = peakBytes(program.pid);
    program.look();
    const anonymous = program.memoryBytesMax;
    await sleep(SETTLE_MS);
    await makeVisible(site);
    const window = `[${measuredSeconds}s] @ ${end}`;
    const samples = await queryNumber(base, `sum(sum_over_time(scrape_samples_scraped${window}))`);
    const failed = await queryNumber(base, `count(min_over_time(up${window}) == 0) or vector(0)`);
    const due = (targets * series * measuredSeconds) / intervalSeconds;
    const lost =
      failed > 0 || samples < TAKEN_MIN * due ? `${short(due)} were due, ${failed} targets down at times` : '';
    // A peer that does not keep up is measured by what it took in; we must.
    if (lost && site.name === 'narthex') throw new Error(`${site.name} took in ${samples} samples: ${lost}`);
    const scrapes = samples / (targets * series);
    if (!lost) await checkSeries(site, window, { targets, series, scrapes, churn });
    return { samples, cpu, rate: samples / cpu, peak, anonymous, lost };
  } finally {
    await site.remove();
  }
}

/** As many series as the bodies had must be there. */
async function checkSeries(site, window, { targets, series, scrapes, churn }) {
  const expected = targets * series * (churn ? 1 + (scrapes - 1) / LIFE_SCRAPES : 1);
  const found = await queryNumber(site.base, `count(last_over_time(${ALL}${window}))`);
  // A target may have had a scrape more or less than the mean.
  const spread = churn ? (targets * series) / LIFE_SCRAPES : 0;
  if (Math.abs(found - expected) > spread) throw new Error(`${site.name} has ${found} series, not ${expected}`);
}
