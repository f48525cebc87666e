/**
 * Workload `remote-write`: samples by remote write 1.0, 50,000 series × 480, or with `--series=1m` 1,000,000 × 20. The
 * figures are samples per CPU-second of the server, its peak memory, and how late our event loop is meanwhile. Node's HTTP
 * layer alone gets the same requests: more than that no server on it can reach.
 *
 * Flags: `--series=50k|1m`, `--only=NAME,…` (`http-only` among them), `--runs=N`, `--samples=N` for less of each series.
 * Only a run of everything is recorded.
 */
import { NAMES, timesFloor, units } from '../lib/ingest-results.mjs';
import { comparePushes, httpLayer, isWhole, receivers, reportPushes } from '../lib/push.mjs';

const PATH = '/api/v1/write';
const FORMAT = 'remote-write';
const CASES = {
  '50k': { title: 'remote write 1.0, 50,000 series × 480', series: 50_000, samples: 480, memoryBytesMax: 250e6 },
  '1m': { title: 'remote write 1.0, 1 M series × 20', series: 1_000_000, samples: 20 },
};
const DELAY_MS_MAX = 20;

export const runs = 5;

export async function compare({ runs, only, flags }) {
  const flag = (name) => flags.find((f) => f.startsWith(`--${name}=`))?.slice(name.length + 3);
  const which = CASES[flag('series') ?? '50k'];
  if (which === undefined) throw new Error(`--series=${Object.keys(CASES).join('|')}`);
  const names = only ?? [...NAMES, httpLayer.name];
  const servers = [
    ...receivers(names.filter((name) => name !== httpLayer.name)),
    ...(names.includes(httpLayer.name) ? [httpLayer] : []),
  ];
  const samples = Number(flag('samples') ?? which.samples);
  const { title, series, memoryBytesMax } = which;
  console.log(`${title}; medians of ${runs} interleaved runs`);
  for (const { name, version } of servers) console.log(`  ${name}: ${version}`);
  const entrants = servers.map((server) => ({ server, format: FORMAT, path: PATH }));
  const found = await comparePushes({ entrants, series, samples, runs });
  const layer = found.get(httpLayer.name);
  const more = { more: true, unit: units.rate };
  const memory = { more: false, unit: units.megabytes };
  const memoryFloor = memoryBytesMax && {
    text: `at most ${units.megabytes(memoryBytesMax)}`,
    reached: (figures) => figures.narthex <= memoryBytesMax,
  };
  const delayFloor = { text: `under ${DELAY_MS_MAX} ms`, reached: (figures) => figures.narthex < DELAY_MS_MAX };
  const rows = [
    ['samples per CPU-second', 'rate', { ...more, floor: timesFloor(1.3, 'victoria-metrics', 'VictoriaMetrics') }],
    ['peak memory', 'peak', { ...memory, floor: memoryFloor || undefined }],
    ['peak memory, without mapped files', 'anonymous', memory],
    ['p99 of a request', 'p99Ms', { more: false, unit: units.milliseconds }],
    ['p99 delay of the event loop', 'delayP99Ms', { more: false, unit: units.milliseconds, floor: delayFloor }],
  ];
  const whole = isWhole(found, flag('samples') !== undefined);
  const ours = found.has('narthex') ? rows : [];
  let code = reportPushes({ title, found, rows: ours, runs, whole });
  if (layer) {
    const alone = new Map([['narthex', layer]]);
    const what = "Node's HTTP layer alone, samples per CPU-second";
    code |= reportPushes({ title, found: alone, rows: [[what, 'rate', more]], runs, whole });
  }
  return code;
}
