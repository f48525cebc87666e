// A time series database inside a Node service: open, append, query, close.
// Run it in a checkout after `npm install`: node examples/embed.mjs
import { open } from 'narthex';

const engine = await open({ dir: ':memory:' }); // or a directory: same format as Prometheus'

// A counter that rises by 3 every second, for ten minutes, in two series.
const endMs = Date.UTC(2026, 0, 1);
const timestamps = Float64Array.from({ length: 601 }, (_, second) => endMs - (600 - second) * 1000);
const values = Float64Array.from({ length: 601 }, (_, second) => second * 3);
const report = await engine.append(
  ['a', 'b'].map((shop) => ({ labels: { __name__: 'orders_total', shop }, timestamps, values })),
);
console.log(`appended ${report.appended} samples`);

const perSecond = await engine.queryRange({
  query: 'sum by (shop) (rate(orders_total[5m]))',
  startMs: endMs - 120_000,
  endMs,
  stepMs: 60_000,
});
for (const { labels, timestamps, values } of perSecond.series) {
  const points = Array.from(values, (value, i) => `${new Date(timestamps[i]).toISOString()} ${value}`);
  console.log(`${JSON.stringify(labels)}\n  ${points.join('\n  ')}`);
}

await engine.close();
