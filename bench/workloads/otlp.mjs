/**
 * Workload `otlp`: 50,000 series × 480 as OTLP in protobuf, first as it is and then in gzip, to each server's own
 * receiver. All metrics are gauges; `job` and `instance` are attributes of the resource, the other labels of the point.
 *
 * Flags: `--encoding=plain|gzip`, `--only=NAME,…`, `--runs=N`, `--samples=N` for less of each series. Only a run of
 * everything is recorded.
 */
import { NAMES, units } from '../lib/ingest-results.mjs';
import { comparePushes, isWhole, receivers, reportPushes } from '../lib/push.mjs';

const SERIES = 50_000;
const SAMPLES = 480;
const ENCODINGS = {
  plain: { format: 'otlp', title: 'OTLP, 50,000 series × 480' },
  gzip: { format: 'otlp-gzip', title: 'OTLP in gzip, 50,000 series × 480' },
};
const PATHS = { 'victoria-metrics': '/opentelemetry/v1/metrics' };
const PATH = '/api/v1/otlp/v1/metrics';

export const runs = 3;

export async function compare({ runs, only, flags }) {
  const flag = (name) => flags.find((f) => f.startsWith(`--${name}=`))?.slice(name.length + 3);
  const scaled = flag('samples');
  let code = 0;
  for (const [name, { format, title }] of Object.entries(ENCODINGS)) {
    if ((flag('encoding') ?? name) !== name) continue;
    const entrants = receivers(only ?? NAMES).map((server) => ({ server, format, path: PATHS[server.name] ?? PATH }));
    console.log(`${title}; medians of ${runs} interleaved runs`);
    for (const { server } of entrants) console.log(`  ${server.name}: ${server.version}`);
    const found = await comparePushes({ entrants, series: SERIES, samples: Number(scaled ?? SAMPLES), runs });
    const rows = [
      ['samples per CPU-second', 'rate', { more: true, unit: units.rate }],
      ['peak memory', 'peak', { more: false, unit: units.megabytes }],
      ['p99 of a request', 'p99Ms', { more: false, unit: units.milliseconds }],
    ];
    code |= reportPushes({ title, found, rows, runs, whole: isWhole(found, scaled !== undefined) });
  }
  return code;
}
