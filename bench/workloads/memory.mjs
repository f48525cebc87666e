/** Workload `memory`: peak anonymous memory of the whole server at 1,000,000 active series × 20 samples by remote write. */
import { load, record, Site, scratchDir, servers } from '../lib/storage.mjs';
import { median } from '../lib/table.mjs';

const SERIES = 1_000_000;
const SAMPLES = 20;
const INTERVAL_MS = 15_000;
const FLOOR_BYTES = 0.8e9;

export const runs = 5;

export async function compare({ runs, only }) {
  const contestants = servers(only ?? ['narthex', 'prometheus', 'victoria-metrics']);
  const scratch = scratchDir();
  const peaks = Object.fromEntries(contestants.map(({ name }) => [name, []]));
  for (let run = 1; run <= runs; run++) {
    for (const server of contestants) {
      const site = new Site(server, scratch);
      try {
        await site.start();
        const startMs = Date.now() - SAMPLES * INTERVAL_MS;
        const sent = await load(site, { series: SERIES, samples: SAMPLES, startMs, intervalMs: INTERVAL_MS });
        site.program.look();
        peaks[server.name].push(site.program.memoryBytesMax);
        const { memoryBytesMax, cpuSecondsEnd } = site.program;
        console.log(
          `  run ${run}, ${server.name}: ${gigabytes(memoryBytesMax)}, ${cpuSecondsEnd.toFixed(1)} CPU s, loaded in ${sent.wallSeconds.toFixed(1)} s`,
        );
      } finally {
        await site.remove();
      }
    }
  }
  const medians = Object.fromEntries(Object.entries(peaks).map(([name, all]) => [name, median(all)]));
  const reached = medians.narthex <= FLOOR_BYTES;
  record({
    figure: 'peak memory at 1 M active series',
    cells: Object.fromEntries(Object.entries(medians).map(([name, bytes]) => [name, gigabytes(bytes)])),
    ratio: medians.prometheus ? (medians.prometheus / medians.narthex).toFixed(2) : '–',
    floor: 'at most 0.80 GB',
    reached,
    runs,
  });
  return reached ? 0 : 1;
}

function gigabytes(bytes) {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
