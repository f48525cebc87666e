/**
 * Workload `churn`: 50 targets of 2,000 series every second, of which every scrape replaces a tenth: 10,000 new series a
 * second, for half a minute. The figures are samples per CPU-second of the server, and its memory; there is no floor.
 * `--only=NAME,…`, `--runs=N`, `--seconds=N` for a shorter look, which is not recorded.
 */
import { compareScrapes } from '../lib/scrape.mjs';

/** No series comes back: there are more bodies than a run scrapes. */
const LOAD = {
  targets: 50,
  series: 2000,
  variants: 52,
  churn: true,
  intervalSeconds: 1,
  warmUpSeconds: 6,
  measuredSeconds: 30,
};

export const runs = 3;

export function compare({ runs, only, flags }) {
  const seconds = flags.find((f) => f.startsWith('--seconds='))?.slice('--seconds='.length);
  const load = seconds === undefined ? LOAD : { ...LOAD, measuredSeconds: Number(seconds) };
  const title = 'churn, 50 targets × 2,000 series every second, a tenth of them new';
  return compareScrapes({ title, load, floor: undefined, runs, only, whole: seconds === undefined });
}
