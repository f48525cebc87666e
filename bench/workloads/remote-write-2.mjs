/**
 * Workload `remote-write-2`: 50,000 series × 480 by remote write 2.0, its metadata included, against Prometheus.
 * VictoriaMetrics does not take 2.0: it gets the same samples by 1.0, for orientation.
 *
 * Flags: `--only=NAME,…`, `--runs=N`, `--samples=N` for less of each series. Only a run of everything is recorded.
 */
import { NAMES, units } from '../lib/ingest-results.mjs';
import { comparePushes, isWhole, receivers, reportPushes } from '../lib/push.mjs';

const SERIES = 50_000;
const SAMPLES = 480;
const PATH = '/api/v1/write';

export const runs = 5;

export async function compare({ runs, only, flags }) {
  const scaled = flags.find((f) => f.startsWith('--samples='))?.slice('--samples='.length);
  const title = 'remote write 2.0 (VictoriaMetrics: 1.0), 50,000 series × 480';
  const entrants = receivers(only ?? NAMES).map((server) => ({
    server,
    format: server.name === 'victoria-metrics' ? 'remote-write' : 'remote-write-2',
    path: PATH,
  }));
  console.log(`${title}; medians of ${runs} interleaved runs`);
  for (const { server } of entrants) console.log(`  ${server.name}: ${server.version}`);
  const found = await comparePushes({ entrants, series: SERIES, samples: Number(scaled ?? SAMPLES), runs });
  const rows = [
    ['samples per CPU-second', 'rate', { more: true, unit: units.rate }],
    ['peak memory', 'peak', { more: false, unit: units.megabytes }],
    ['p99 of a request', 'p99Ms', { more: false, unit: units.milliseconds }],
  ];
  return reportPushes({ title, found, rows, runs, whole: isWhole(found, scaled !== undefined) });
}
