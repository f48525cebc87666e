/**
 * A node exporter, or where there is none a small one of our own, scraped by the built program, which is then killed.
 * What a query has shown once is still there after the restart; nothing is there that was not sent; no scrape is there
 * in part; and only scrapes around the kill are missing.
 */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Exporter, startExporter } from '../e2e/exporter.ts';
import { type NodeExporter, nodeExporter, startNodeExporter } from '../support/node-exporter.ts';
import type { Running } from '../support/program.ts';
import { findProgram, orSkip } from '../support/require.ts';
import { canonical, type RecordingProxy, SEQUENCE, type Sent, startProxy, toNumber } from './recording-proxy.ts';
import { Victim } from './victim.ts';

const promtool = orSkip('promtool', findProgram('promtool'), 'Debian has it in prometheus; it is not asked');

/** How long to scrape before the kill. */
const SECONDS = Number(process.env.NARTHEX_ACCEPT_SECONDS ?? '6');

interface MatrixAnswer {
  data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
}

/** All samples of the node job that a server shows: time in ms → series → value. */
async function stored(url: string): Promise<Map<number, Sent>> {
  const query = '{job="node", __name__!~"up|scrape_.+"}[1h]';
  const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`);
  const { data } = (await answer.json()) as MatrixAnswer;
  const byTime = new Map<number, Sent>();
  for (const { metric, values } of data.result) {
    const { job: _job, instance: _instance, ...labels } = metric;
    const series = canonical(labels);
    for (const [seconds, value] of values) {
      const timeMs = Math.round(seconds * 1000);
      const scrape = byTime.get(timeMs) ?? new Map();
      byTime.set(timeMs, scrape.set(series, toNumber(value)));
    }
  }
  return byTime;
}

const sequenceSeries = canonical({ __name__: SEQUENCE });

/** The number of the body that a stored scrape came from. */
function numberOf(scrape: Sent): number {
  return scrape.get(sequenceSeries) ?? -1;
}

/** How a stored scrape differs from the body it came from; empty where it does not. */
function differences(scrape: Sent, body: Sent | undefined): string[] {
  if (body === undefined) return [`body ${numberOf(scrape)} was never sent`];
  const all = new Set([...scrape.keys(), ...body.keys()]);
  return [...all]
    .filter((series) => !Object.is(scrape.get(series), body.get(series)))
    .map((series) => `${series}: stored ${scrape.get(series)}, sent ${body.get(series)}`);
}

/** The rates that promtool is shown, where there are both it and CPUs to ask for. */
function expectRates(url: string): void {
  if (promtool === undefined || nodeExporter === undefined) return;
  for (const kind of ['instant', 'range']) {
    const args = ['query', kind, url, 'rate(node_cpu_seconds_total[1m])'];
    const lines = execFileSync(promtool, args, { encoding: 'utf8' }).trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(4);
  }
}

describe('killed while it scrapes', () => {
  let exporter: NodeExporter | Exporter | undefined;
  let proxy: RecordingProxy;
  let victim: Victim;
  let server: Running;

  /** Waits for bodies to be sent and to be visible to queries, and gives the last number seen. */
  const scrapeFor = async (bodies: number): Promise<number> => {
    for (let i = 0; i < bodies; i++) await proxy.nextSent();
    const last = Math.max(...proxy.sent.keys());
    for (;;) {
      const numbers = [...(await stored(server.url)).values()].map(numberOf);
      const seen = Math.max(...numbers);
      if (seen >= last) return seen;
      await sleep(50);
    }
  };

  /** Starts what is scraped; its address. */
  const startTarget = async (): Promise<string> => {
    exporter = await (nodeExporter === undefined ? startExporter(20) : startNodeExporter(nodeExporter));
    return exporter.address;
  };

  beforeAll(async () => {
    proxy = await startProxy(`http://${await startTarget()}/metrics`);
    victim = await Victim.create((port) =>
      [
        'global: { scrape_interval: 1s, scrape_timeout: 1s }',
        'scrape_configs:',
        `  - { job_name: node, static_configs: [{ targets: ['${proxy.address}'] }] }`,
        `  - { job_name: narthex, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }`,
      ].join('\n'),
    );
    server = await victim.start();
  }, 30_000);

  afterAll(async () => {
    await exporter?.close();
    await victim?.destroy();
    proxy?.close();
  });

  test('keeps every acknowledged scrape whole', { timeout: (SECONDS + 60) * 1000 }, async () => {
    const acknowledged = await scrapeFor(SECONDS);
    const before = await stored(server.url);
    expectRates(server.url);

    // As adversarial as it gets from outside: the moment a body is on its way into the core.
    await proxy.nextSent();
    await victim.kill();
    const lastBefore = Math.max(...proxy.sent.keys());
    server = await victim.start();
    await scrapeFor(3);
    const after = await stored(server.url);

    for (const [timeMs, scrape] of before) expect(after.get(timeMs), `the scrape at ${timeMs}`).toEqual(scrape);
    const wrong = [...after.values()].flatMap((scrape) => differences(scrape, proxy.sent.get(numberOf(scrape))));
    expect(wrong.slice(0, 10)).toEqual([]);

    const kept = new Set([...after.values()].map(numberOf));
    const lost = [...proxy.sent.keys()].filter((number) => !kept.has(number) && number < Math.max(...kept));
    expect(lost.filter((number) => number <= acknowledged || number > lastBefore)).toEqual([]);
    expect(lost.length, 'scrapes in flight at the kill').toBeLessThanOrEqual(2);
    expectRates(server.url);
  });
});
