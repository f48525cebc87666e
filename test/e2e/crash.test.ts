/**
 * kill -9 while scraping: every sample that a query ever showed is there after the restart, none that
 * was never sent, and the gap is the time it was down. `NARTHEX_SOAK=1` runs it for two minutes.
 */
import { expect, test } from 'vitest';
import { eventually, query } from './client.ts';
import { startExporter } from './exporter.ts';
import { scrapeConfig, workspace } from './workspace.ts';

const isSoak = (process.env.NARTHEX_SOAK ?? '') !== '';
const INTERVAL_MS = isSoak ? 1000 : 200;
const RUN_MS = isSoak ? 120_000 : 5000;
const SERIES = 20;

const space = workspace();

/** All samples as `series time value`. */
async function stored(url: string): Promise<Set<string>> {
  const series = await query(url, 'sequence[1h]');
  return new Set(series.flatMap((each) => (each.values ?? []).map(([t, v]) => `${each.metric.series} ${t} ${v}`)));
}

test('kill -9 loses no acknowledged sample', { timeout: RUN_MS * 3 + 60_000 }, async () => {
  const exporter = await startExporter(SERIES);
  space.configure(scrapeConfig('seq', [exporter.address], `${INTERVAL_MS}ms`));
  const first = await space.start();
  const acknowledged = new Set<string>();
  const end = performance.now() + RUN_MS;
  await eventually(
    'the run',
    async () => {
      for (const sample of await stored(first.url)) acknowledged.add(sample);
      return performance.now() > end;
    },
    RUN_MS + 10_000,
  );
  await first.kill();
  const killedAt = Date.now() / 1000;

  const second = await space.start();
  const readyAt = Date.now() / 1000;
  const servedBefore = exporter.served();
  await eventually('scrapes after the restart', async () => exporter.served() >= servedBefore + 5);
  const kept = await stored(second.url);
  await second.stop();
  await exporter.close();

  expect(acknowledged.size).toBeGreaterThan((SERIES * RUN_MS) / INTERVAL_MS / 2);
  expect([...acknowledged].filter((sample) => !kept.has(sample))).toEqual([]);
  expectNothingInvented(kept, exporter.served());
  expectGap(kept, killedAt, readyAt);
});

/** Each number was served once, to all series at once: no series may hold another one, or one twice. */
function expectNothingInvented(kept: ReadonlySet<string>, served: number): void {
  const seen = new Set<string>();
  for (const sample of kept) {
    const [series, , value] = sample.split(' ');
    const number = Number(value);
    expect(Number.isInteger(number) && number >= 1 && number <= served).toBe(true);
    expect(seen.has(`${series} ${value}`)).toBe(false);
    seen.add(`${series} ${value}`);
  }
}

/** One gap only, and it lies around the time the server was down. */
function expectGap(kept: ReadonlySet<string>, killedAt: number, readyAt: number): void {
  const times = [...new Set([...kept].map((sample) => Number(sample.split(' ')[1])))].sort((a, b) => a - b);
  const slack = (INTERVAL_MS * 3) / 1000 + 1;
  const gaps = times.flatMap((t, i) => {
    const before = times[i - 1] ?? t;
    return t - before > slack ? [[before, t] as const] : [];
  });
  for (const [from, to] of gaps) {
    expect(from).toBeGreaterThan(killedAt - slack);
    expect(to).toBeLessThan(readyAt + slack);
  }
}
