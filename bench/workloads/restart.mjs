/**
 * Workload `restart`: seconds from exec to ready after kill -9, page cache warm, each server over the directory that it
 * wrote itself: 24 M samples of 50,000 series in the log, and 1,000,000 series × 20 samples. `--case=samples|series`
 * picks one.
 */
import { load, record, Site, scratchDir, servers } from '../lib/storage.mjs';
import { median } from '../lib/table.mjs';

const INTERVAL_MS = 15_000;
const CASES = {
  samples: { figure: 'restart after kill -9, 24 M samples in the log', series: 50_000, samples: 480, floor: 2 },
  series: { figure: 'restart after kill -9, 1 M series × 20', series: 1_000_000, samples: 20, floor: 3 },
};

export const runs = 5;

export async function compare({ runs, only, flags }) {
  const wanted = flags.find((f) => f.startsWith('--case='))?.slice('--case='.length);
  let code = 0;
  for (const [name, one] of Object.entries(CASES)) {
    if (wanted === undefined || wanted === name) code |= await compareCase(one, runs, only);
  }
  return code;
}

async function compareCase({ figure, series, samples, floor }, runs, only) {
  const scratch = scratchDir();
  const sites = servers(only ?? ['narthex', 'prometheus']).map((server) => new Site(server, scratch));
  const seconds = Object.fromEntries(sites.map(({ name }) => [name, []]));
  try {
    for (const site of sites) {
      await site.start();
      const startMs = Date.now() - samples * INTERVAL_MS;
      await load(site, { series, samples, startMs, intervalMs: INTERVAL_MS });
      await site.kill();
    }
    for (let run = 1; run <= runs; run++) {
      for (const site of sites) {
        seconds[site.name].push(await site.start());
        site.program.look();
        console.log(
          `  run ${run}, ${site.name}: ${seconds[site.name].at(-1).toFixed(2)} s, ${site.program.cpuSecondsEnd.toFixed(2)} CPU s`,
        );
        await site.kill();
      }
    }
  } finally {
    for (const site of sites) await site.remove();
  }
  const medians = Object.fromEntries(Object.entries(seconds).map(([name, all]) => [name, median(all)]));
  const ratio = medians.prometheus / medians.narthex;
  const reached = ratio >= floor;
  record({
    figure,
    cells: Object.fromEntries(Object.entries(medians).map(([name, s]) => [name, `${s.toFixed(2)} s`])),
    ratio: ratio.toFixed(2),
    floor: `${floor} × faster`,
    reached,
    runs,
  });
  return reached ? 0 : 1;
}
