/**
 * Data of the query benches: every server is loaded once with the same samples by remote write, and the directory that
 * it wrote is kept in the user's cache, so that a bench begins with a start over a copy of it. Prometheus and we have
 * two forms: `head`, all samples in the log and the head's chunks, and `block`, all of them in a block and nothing else.
 * VictoriaMetrics has a storage of its own, which serves for both.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { cpuSeconds, sleep } from './process.mjs';
import { INTERVAL_MS, SAMPLES, SERIES } from './queries.mjs';
import { finishedBlock, load, Site, scratchDir, servers } from './storage.mjs';

const HOUR_MS = 3_600_000;
const RANGE_MS = 2 * HOUR_MS;
/** In a second; more than this is work. */
const BUSY_CPU_SECONDS = 0.03;
const IDLE_SECONDS_MAX = 30;
/** Another description of the samples makes the cache void. */
const DATA = { version: 1, series: SERIES, samples: SAMPLES, intervalMs: INTERVAL_MS };

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'narthex', 'bench', 'query');

/** Removes what is kept. */
export function cleanCache() {
  rmSync(cache, { recursive: true, force: true });
}

/** When the samples begin: the same for all servers as long as the cache stands. */
export function startMsOfData() {
  const path = join(cache, 'data.json');
  if (existsSync(path)) {
    const { startMs, ...data } = JSON.parse(readFileSync(path, 'utf8'));
    if (JSON.stringify(data) === JSON.stringify(DATA)) return startMs;
  }
  cleanCache();
  mkdirSync(cache, { recursive: true });
  // The last two-hour range that ended an hour and a bit ago.
  const startMs = (Math.floor((Date.now() - HOUR_MS - 600_000) / RANGE_MS) - 1) * RANGE_MS;
  writeFileSync(path, JSON.stringify({ ...DATA, startMs }));
  return startMs;
}

/** A server that is running over the samples in the form `head` or `block`, and idle. */
export async function startSite(server, form, scratch) {
  const kept = await keptDir(server, form, scratch);
  const site = new Site(server, scratch);
  try {
    cpSync(kept, site.dir, { recursive: true });
    await site.start();
    await untilIdle(site);
    return site;
  } catch (error) {
    await site.remove();
    throw error;
  }
}

/** Starts every server of `names` that is there; `close` stops them. */
export async function startSites(names, form) {
  const scratch = scratchDir();
  const sites = [];
  for (const server of servers(names)) sites.push(await startSite(server, form, scratch));
  return sites;
}

/** The directory with the samples in the given form, written by the server now where it is not there yet. */
export async function keptDir(server, form, scratch) {
  if (server.name === 'victoria-metrics') return keep(server, 'own', (dir) => loadInto(server, dir, scratch));
  const head = await keep(server, 'head', (dir) => loadInto(server, dir, scratch));
  return form === 'head' ? head : keep(server, 'block', (dir) => cutBlock(server, head, dir, scratch));
}

async function keep(server, form, make) {
  const startMs = startMsOfData();
  const dir = join(cache, `${server.name}-${form}`);
  if (!existsSync(dir)) {
    console.log(`  ${server.name}: writing the samples (${form}) …`);
    rmSync(`${dir}.new`, { recursive: true, force: true });
    mkdirSync(`${dir}.new`);
    await make(`${dir}.new`, startMs);
    renameSync(`${dir}.new`, dir);
  }
  return dir;
}

async function loadInto(server, dir, scratch) {
  const site = new Site(server, scratch);
  try {
    await site.start();
    const startMs = startMsOfData();
    await load(site, { series: SERIES, samples: SAMPLES, startMs, intervalMs: INTERVAL_MS, names: 'query' });
    // VictoriaMetrics writes what it has when it is told to stop; we and Prometheus have it in the log.
    if (server.name === 'victoria-metrics') await site.program.stop();
    else await site.kill();
    cpSync(site.dir, dir, { recursive: true });
  } finally {
    await site.remove();
  }
}

/** One sample an hour later makes the block due; only the block is kept. */
async function cutBlock(server, head, dir, scratch) {
  const site = new Site(server, scratch);
  try {
    cpSync(head, site.dir, { recursive: true });
    await site.start();
    const startMs = startMsOfData() + RANGE_MS + HOUR_MS + 1000;
    await load(site, { series: 1, samples: 1, startMs, intervalMs: INTERVAL_MS, names: 'query' });
    const name = await finishedBlock(site, SERIES * SAMPLES);
    await site.kill();
    cpSync(join(site.dir, name), join(dir, name), { recursive: true });
  } finally {
    await site.remove();
  }
}

/** Waits until next to nothing is done any more. */
export async function untilIdle(site) {
  let last = cpuSeconds(site.program.pid);
  for (let second = 0; second < IDLE_SECONDS_MAX; second++) {
    await sleep(1000);
    const now = cpuSeconds(site.program.pid);
    if (now - last <= BUSY_CPU_SECONDS) return;
    last = now;
  }
}
