/** The benches in which samples are pushed: one server after another gets the same requests, and is asked for them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { NAMES, report, row, units } from './ingest-results.mjs';
import { cpuSeconds, peakBytes, queryNumber, sleep } from './process.mjs';
import { Replay } from './replay.mjs';
import { allServers, makeVisible, Site, scratchDir } from './storage.mjs';
import { median, short } from './table.mjs';

const INTERVAL_MS = 15_000;
/** The last sample is so old that no server holds it back as too young. */
const AGE_MS = 120_000;
/** How often a peer is asked for all samples, a second apart, before some count as lost. */
const VISIBLE_TRIES = 15;
/** Sums are added in another order. */
const RELATIVE_MAX = 1e-9;
/** Names of metrics that the series have. */
const METRICS = 125;

const preload = fileURLToPath(new URL('./event-loop-delay.cjs', import.meta.url));
const httpOnly = fileURLToPath(new URL('./http-only.mjs', import.meta.url));

/** The servers of `names`, open for everything that is pushed. */
export function receivers(names) {
  const open = {
    narthex: ['--web.enable-otlp-receiver'],
    prometheus: ['--web.enable-otlp-receiver'],
    // A query may read all series.
    'victoria-metrics': ['-search.maxUniqueTimeseries=10000000'],
  };
  return allServers(names).map((server) => ({
    ...server,
    flags: (...args) => [...server.flags(...args), ...open[server.name]],
  }));
}

/** What is measured beside the servers: the same requests to Node's HTTP layer alone. */
export const httpLayer = {
  name: 'http-only',
  version: `Node ${process.version}`,
  program: [process.execPath, httpOnly],
  flags: (_config, _dir, port) => [String(port)],
};

/**
 * Sends `series` × `samples` to every entrant, `{ server, format, path }`, in each run. Returns the medians by the
 * server's name: samples per CPU-second, bytes of memory, milliseconds of a request, and the event loop's delay of ours.
 */
export async function comparePushes({ entrants, series, samples, runs }) {
  const scratch = scratchDir();
  const startMs = Math.floor((Date.now() - AGE_MS - samples * INTERVAL_MS) / 1000) * 1000;
  const replays = new Map();
  for (const { format } of entrants) {
    replays.set(
      format,
      replays.get(format) ?? new Replay({ format, series, samples, startMs, intervalMs: INTERVAL_MS }),
    );
  }
  const results = new Map(entrants.map(({ server }) => [server.name, []]));
  try {
    for (const [format, replay] of replays) {
      const { requests, bytes, samples: all } = await replay.ready();
      console.log(`  ${format}: ${short(all)} samples in ${requests} requests, ${(bytes / all).toFixed(1)} bytes each`);
    }
    for (let run = 1; run <= runs; run++) {
      for (const entrant of entrants) {
        const result = await measure(entrant, replays.get(entrant.format), scratch);
        results.get(entrant.server.name).push(result);
        console.log(`  run ${run}, ${entrant.server.name}: ${sentence(result)}`);
      }
    }
  } finally {
    for (const replay of replays.values()) await replay.close();
  }
  return new Map([...results].map(([name, list]) => [name, medians(list)]));
}

function sentence({ rate, cpu, wallSeconds, peak, anonymous, p99Ms, delay }) {
  const loop = delay ? `, event loop p99 ${delay.p99Ms.toFixed(1)} ms (max ${delay.maxMs.toFixed(1)})` : '';
  return (
    `${short(rate)} samples per CPU-second, ${cpu.toFixed(2)} CPU s in ${wallSeconds.toFixed(1)} s, ` +
    `${units.megabytes(peak)} (${units.megabytes(anonymous)} anonymous), p99 ${p99Ms.toFixed(1)} ms${loop}`
  );
}

function medians(list) {
  const of = (pick) => median(list.map(pick));
  const first = list[0];
  return {
    ...Object.fromEntries(['rate', 'peak', 'anonymous', 'p99Ms'].map((name) => [name, of((r) => r[name])])),
    ...(first.delay ? { delayP99Ms: of((r) => r.delay.p99Ms) } : {}),
  };
}

async function measure({ server, path }, replay, scratch) {
  const content = await replay.ready();
  const delayFile = join(scratch, `delay-${process.hrtime.bigint()}.json`);
  const isOurs = server.name === 'narthex';
  const env = isOurs
    ? { ...process.env, NODE_OPTIONS: `--require=${preload}`, NARTHEX_BENCH_DELAY_FILE: delayFile }
    : undefined;
  const site = new Site({ ...server, env }, scratch);
  try {
    await site.start();
    // What a start leaves to be done is not ingest.
    await sleep(1000);
    const { pid } = site.program;
    if (isOurs) process.kill(pid, 'SIGUSR2');
    const before = cpuSeconds(pid);
    const sent = await replay.send(site, path);
    const cpu = cpuSeconds(pid) - before;
    site.program.look();
    const peak = peakBytes(pid);
    const delay = isOurs ? await delayOf(site, delayFile) : undefined;
    if (server.name !== httpLayer.name) await check(site, replay.plan, content);
    return { ...sent, cpu, rate: sent.samples / cpu, peak, anonymous: site.program.memoryBytesMax, delay };
  } finally {
    await site.remove();
  }
}

async function delayOf(site, file) {
  process.kill(site.program.pid, 'SIGUSR2');
  let delay;
  await site.program.until('event loop delay', async () => (delay = JSON.parse(readFileSync(file, 'utf8'))));
  return delay;
}

/** Asks for what was sent; throws where it is not there. */
async function check(site, { series, samples, startMs, intervalMs }, { sumMiddle, sumLast }) {
  const at = (step) => (startMs + step * intervalMs) / 1000;
  const last = at(samples - 1);
  // From before the first sample on; of one metric at a time, because a count has no name.
  const window = `[${(samples * intervalMs) / 1000}s] @ ${last}`;
  const names = Array.from({ length: METRICS }, (_, i) => `bench_metric_${String(i).padStart(3, '0')}`);
  let found = 0;
  // VictoriaMetrics shows late what it has acknowledged; we must at once.
  for (
    let tries = site.name === 'victoria-metrics' ? VISIBLE_TRIES : 1;
    tries > 0 && found !== series * samples;
    tries--
  ) {
    await makeVisible(site);
    found = 0;
    for (const name of names) found += await queryNumber(site.base, `sum(count_over_time(${name}${window}))`);
    if (found !== series * samples) await sleep(1000);
  }
  if (found !== series * samples) throw new Error(`${site.name} has ${found} samples, not ${series * samples}`);
  for (const [time, expected] of [
    [last, sumLast],
    [at(Math.floor(samples / 2)), sumMiddle],
  ]) {
    const sum = await queryNumber(site.base, `sum({__name__=~"bench_metric_.+"} @ ${time})`);
    if (Math.abs(sum - expected) > RELATIVE_MAX * Math.abs(expected)) {
      throw new Error(`${site.name}: the sum at ${time} is ${sum}, not ${expected}`);
    }
  }
}

/**
 * Reports what was found, a row each, and returns the exit code: 1 where a floor is missed.
 *
 * @param rows `[what, pick, { more, unit, floor }][]`, `pick` naming a figure of {@link comparePushes}
 */
export function reportPushes({ title, found, rows, runs, whole }) {
  let code = 0;
  for (const [what, pick, options] of rows) {
    const figures = Object.fromEntries([...found].map(([name, figures]) => [name, figures[pick]]));
    const one = row({ figure: `${title}: ${what}`, figures, runs, ...options });
    report(one, whole);
    if (one.reached === false) code = 1;
  }
  return code;
}

/** Whether all servers were measured at full size. */
export function isWhole(found, scaled) {
  return !scaled && NAMES.every((name) => found.has(name));
}
