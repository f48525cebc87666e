/**
 * Preloaded into our server by `NODE_OPTIONS=--require`: how late its event loop is. SIGUSR2 begins a measurement, the
 * next one ends it and writes `{ count, p50Ms, p99Ms, maxMs }` into the file that the environment names.
 */
const { renameSync, writeFileSync } = require('node:fs');
const { monitorEventLoopDelay } = require('node:perf_hooks');

const file = process.env.NARTHEX_BENCH_DELAY_FILE;
/** A timer fires so often; what it is late is the delay. */
const RESOLUTION_MS = 10;

let delay;

process.on('SIGUSR2', () => {
  if (delay === undefined) {
    delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    delay.enable();
    return;
  }
  delay.disable();
  const late = (ns) => Math.max(0, ns / 1e6 - RESOLUTION_MS);
  const [p50Ms, p99Ms, maxMs] = [delay.percentile(50), delay.percentile(99), delay.max].map(late);
  // Whole as soon as it is there.
  writeFileSync(`${file}.new`, JSON.stringify({ count: delay.count, p50Ms, p99Ms, maxMs }));
  renameSync(`${file}.new`, file);
  delay = undefined;
});
