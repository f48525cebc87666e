/**
 * Workload `scrape`: 50 targets of 2,000 series each every second, or with `--targets=1000` 1,000 targets of 1,000 series
 * every 15 seconds, in gzip. The figure is samples per CPU-second of the server while it scrapes, from the thirtieth second
 * on, when what compiles while it runs has been compiled; all contestants read the same bodies. `--only=NAME,…`, `--runs=N`,
 * `--seconds=N` for a shorter look, which is not recorded.
 */
import { timesFloor } from '../lib/ingest-results.mjs';
import { compareScrapes } from '../lib/scrape.mjs';

const CASES = {
  50: {
    title: 'scrape, 50 targets × 2,000 series every second',
    load: { targets: 50, series: 2000, variants: 8, intervalSeconds: 1, warmUpSeconds: 30, measuredSeconds: 20 },
  },
  // Measured for three intervals.
  1000: {
    title: 'scrape, 1,000 targets × 1,000 series every 15 s',
    load: { targets: 1000, series: 1000, variants: 4, intervalSeconds: 15, warmUpSeconds: 30, measuredSeconds: 45 },
  },
};

export const runs = 3;

export function compare({ runs, only, flags }) {
  const flag = (name) => flags.find((f) => f.startsWith(`--${name}=`))?.slice(name.length + 3);
  const which = CASES[flag('targets') ?? '50'];
  if (which === undefined) throw new Error(`--targets=${Object.keys(CASES).join('|')}`);
  const seconds = flag('seconds');
  const load = { ...which.load, ...(seconds === undefined ? {} : { measuredSeconds: Number(seconds) }) };
  const floor = timesFloor(2, 'prometheus', 'Prometheus');
  return compareScrapes({ title: which.title, load, floor, runs, only, whole: seconds === undefined });
}
