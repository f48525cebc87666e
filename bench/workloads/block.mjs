/**
 * Workload `block`: 24 M samples of 50,000 series fill two hours; one sample an hour later makes their block due. The
 * figures: bytes of the block's chunks for each sample, with XOR and with XOR2, and the CPU seconds that the whole server
 * spends from then until it is idle again, less what it spends idle. Each server is loaded once and killed; a run begins
 * with a start over a copy of its directory. `--encoding=xor|xor2` picks one.
 */
import { cpSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { cpuSeconds, sleep } from '../lib/process.mjs';
import { finishedBlock, load, record, Site, scratchDir, servers } from '../lib/storage.mjs';
import { median } from '../lib/table.mjs';

const SERIES = 50_000;
const SAMPLES = 480;
const INTERVAL_MS = 15_000;
const RANGE_MS = 2 * 3_600_000;
const SETTLE_SECONDS = 5;
const IDLE_SECONDS = 5;
/** In two seconds; more than this is work. */
const BUSY_CPU_SECONDS = 0.1;
const COMPACTION_FLOOR = 2;

export const runs = 5;

export async function compare({ runs, only, flags }) {
  const wanted = flags.find((f) => f.startsWith('--encoding='))?.slice('--encoding='.length);
  let code = 0;
  for (const encoding of ['xor', 'xor2']) {
    if (wanted === undefined || wanted === encoding) code |= await compareEncoding(encoding, runs, only);
  }
  return code;
}

async function compareEncoding(encoding, runs, only) {
  const contestants = servers(only ?? ['narthex', 'prometheus']);
  const scratch = scratchDir();
  const results = Object.fromEntries(contestants.map(({ name }) => [name, []]));
  const config = `storage: {tsdb: {chunk_encoding: {floats: ${encoding}}}}\n`;
  // The same samples for all: the last two-hour range that ended an hour and a bit ago.
  const startMs = (Math.floor((Date.now() - 70 * 60_000) / RANGE_MS) - 1) * RANGE_MS;
  const loaded = contestants.map((server) => new Site(server, scratch, config));
  try {
    for (const site of loaded) {
      await site.start();
      await load(site, { series: SERIES, samples: SAMPLES, startMs, intervalMs: INTERVAL_MS });
      await site.kill();
      console.log(`  ${encoding}, ${site.name}: loaded in ${site.program.cpuSecondsEnd.toFixed(1)} CPU s`);
    }
    for (let run = 1; run <= runs; run++) {
      for (const site of loaded) {
        const result = await measure(site, scratch, config, startMs);
        results[site.name].push(result);
        console.log(
          `  run ${run}, ${encoding}, ${site.name}: ${result.bytesPerSample.toFixed(4)} bytes/sample, ${result.cpuSeconds.toFixed(2)} CPU s`,
        );
      }
    }
  } finally {
    for (const site of loaded) await site.remove();
  }
  return report(encoding, results, runs);
}

async function measure(loaded, scratch, config, startMs) {
  const site = new Site(loaded.server, scratch, config);
  try {
    cpSync(loaded.dir, site.dir, { recursive: true });
    await site.start();
    const { pid } = site.program;
    await sleep(SETTLE_SECONDS * 1000);
    const before = cpuSeconds(pid);
    const started = Date.now();
    await load(site, { series: 1, samples: 1, startMs: startMs + 1.5 * RANGE_MS + 1000, intervalMs: INTERVAL_MS });
    const perSample = bytesPerSample(site, await finishedBlock(site, SERIES * SAMPLES));
    // The log is cut behind the block: until next to nothing more is done.
    let last = cpuSeconds(pid);
    for (;;) {
      await sleep(2000);
      const now = cpuSeconds(pid);
      if (now - last <= BUSY_CPU_SECONDS) break;
      last = now;
    }
    const seconds = (Date.now() - started) / 1000;
    const used = last - before;
    // What it costs to do nothing is measured once all is done: before, the start may still be worked off.
    const idleFrom = cpuSeconds(pid);
    await sleep(IDLE_SECONDS * 1000);
    const idle = ((cpuSeconds(pid) - idleFrom) / IDLE_SECONDS) * seconds;
    return { bytesPerSample: perSample, cpuSeconds: used - idle };
  } finally {
    await site.remove();
  }
}

/** Bytes of the block's chunks for each sample. */
function bytesPerSample(site, name) {
  const chunks = join(site.dir, name, 'chunks');
  const bytes = readdirSync(chunks).reduce((sum, file) => sum + statSync(join(chunks, file)).size, 0);
  return bytes / (SERIES * SAMPLES);
}

function report(encoding, results, runs) {
  const medians = (field) =>
    Object.fromEntries(Object.entries(results).map(([name, all]) => [name, median(all.map((r) => r[field]))]));
  const cells = (values, digits, unit) =>
    Object.fromEntries(Object.entries(values).map(([name, v]) => [name, `${v.toFixed(digits)}${unit}`]));
  const bytes = medians('bytesPerSample');
  const sizeReached = bytes.narthex <= bytes.prometheus * 1.0001;
  record({
    figure: `bytes per sample of a block's chunks, ${encoding.toUpperCase()}`,
    cells: cells(bytes, 4, ''),
    ratio: (bytes.prometheus / bytes.narthex).toFixed(4),
    floor: 'equal',
    reached: sizeReached,
    runs,
  });
  const cpu = medians('cpuSeconds');
  const ratio = cpu.prometheus / cpu.narthex;
  record({
    figure: `compaction of 2 h × ${SERIES} series, ${encoding.toUpperCase()}`,
    cells: cells(cpu, 2, ' CPU s'),
    ratio: ratio.toFixed(2),
    floor: `${COMPACTION_FLOOR} × less`,
    reached: ratio >= COMPACTION_FLOOR,
    runs,
  });
  return sizeReached && ratio >= COMPACTION_FLOOR ? 0 : 1;
}
