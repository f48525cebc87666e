/**
 * What real programs say of themselves, in every format they speak: recorded, served again, scraped by Prometheus 3.16
 * and by us, and compared series by series; and scraped from the programs themselves.
 */

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCRAPE_PROTOCOLS } from '../../ts/config/index.ts';
import { eventually, getJson, type QueryData, query } from '../e2e/client.ts';
import { withBoth } from '../support/both.ts';
import { type NodeExporter, nodeExporter, startNodeExporter } from '../support/node-exporter.ts';
import { freePort, narthex, type Running, startServer } from '../support/program.ts';
import { currentPeer } from '../support/require.ts';

const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-exporters-'));

interface Recorded {
  program: string;
  protocol: string;
  type: string;
  body: Buffer<ArrayBuffer>;
}

const PROTOCOLS = Object.entries(SCRAPE_PROTOCOLS).filter(([name]) => name !== 'OpenMetricsText2.0.0');

const programs: Record<string, string> = {};
const recorded: Recorded[] = [];
let exporter: NodeExporter | undefined;
let peer: Running | undefined;
let replay: Server | undefined;

async function startPrometheus(path: string): Promise<string> {
  const file = join(scratch, 'self.yml');
  const own = await freePort();
  const self = { job_name: 'self', static_configs: [{ targets: [`127.0.0.1:${own}`] }] };
  writeFileSync(file, JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: [self] }));
  peer = await startServer([path, `--config.file=${file}`, `--storage.tsdb.path=${join(scratch, 'self')}`], own);
  await eventually('a scrape of its own', async () => (await query(`http://127.0.0.1:${own}`, 'up == 1')).length === 1);
  return `127.0.0.1:${own}`;
}

/** Asks for a format as a scrape does; what comes may be another one. */
async function record(program: string, address: string): Promise<void> {
  for (const [protocol, media] of PROTOCOLS) {
    const names = protocol.endsWith('1.0.0') ? ';escaping=allow-utf-8' : '';
    const response = await fetch(`http://${address}/metrics`, { headers: { accept: media + names } });
    const type = response.headers.get('content-type') ?? '';
    const body = Buffer.from(await response.arrayBuffer());
    if (!recorded.some((one) => one.program === program && one.type === type)) {
      recorded.push({ program, protocol, type, body });
    }
  }
}

beforeAll(async () => {
  if (nodeExporter !== undefined) {
    exporter = await startNodeExporter(nodeExporter);
    programs.node = exporter.address;
  }
  if (prometheus !== undefined) programs.prometheus = await startPrometheus(prometheus);
  for (const [program, address] of Object.entries(programs)) await record(program, address);
  replay = createServer(({ url }, response) => {
    const found = recorded.find(({ program, protocol }) => url === `/${program}/${protocol}`);
    response.setHeader('content-type', found?.type ?? 'text/plain').end(found?.body);
  });
  replay.listen(0, '127.0.0.1');
  await once(replay, 'listening');
}, 60_000);

afterAll(async () => {
  await exporter?.close();
  await peer?.stop();
  replay?.closeAllConnections();
  replay?.close();
  rmSync(scratch, { recursive: true, force: true });
});

interface Found {
  metric: string;
  value: string | undefined;
  histogram: object | undefined;
}

/** All series of a job, with their values and native histograms. */
async function seriesOf(url: string, job: string): Promise<Found[]> {
  const text = `{job="${job}", __name__!~"scrape_duration_seconds|scrape_series_added"}`;
  const search = new URLSearchParams({ query: text });
  const { data } = await getJson<QueryData>(`${url}/api/v1/query?${search}`);
  return data.result
    .map(({ metric, value, ...more }) => {
      const { histogram } = more as { histogram?: [number, object] };
      return { metric: JSON.stringify(Object.entries(metric).sort()), value: value?.[1], histogram: histogram?.[1] };
    })
    .toSorted((a, b) => (a.metric < b.metric ? -1 : 1));
}

interface Metadata {
  metric: string;
  target: { job: string };
}

async function metadataOf(url: string): Promise<string[]> {
  const { data } = await getJson<Metadata[]>(`${url}/api/v1/targets/metadata`);
  return data
    .map((each) => JSON.stringify(each, Object.keys(each).concat(Object.keys(each.target)).toSorted()))
    .toSorted();
}

describe.skipIf(prometheus === undefined)('recorded bodies', () => {
  const scrapes = {
    plain: {},
    native: { scrape_native_histograms: true, always_scrape_classic_histograms: true },
    nhcb: { convert_classic_histograms_to_nhcb: true, scrape_native_histograms: true },
    escaped: { metric_name_validation_scheme: 'legacy', metric_name_escaping_scheme: 'underscores' },
  };

  test('mean the same to Prometheus and to us', { timeout: 180_000 }, async () => {
    const port = (replay?.address() as AddressInfo | undefined)?.port ?? 0;
    expect(recorded.length).toBeGreaterThanOrEqual(4);
    const jobs = recorded.flatMap(({ program, protocol }) =>
      Object.entries(scrapes).map(([how, settings]) => ({
        job_name: `${program} ${protocol} ${how}`,
        metrics_path: `/${program}/${protocol}`,
        static_configs: [{ targets: [`127.0.0.1:${port}`] }],
        ...settings,
      })),
    );
    const config = {
      global: { scrape_interval: '2s', scrape_timeout: '2s', extra_scrape_metrics: true },
      scrape_configs: jobs,
    };
    await withBoth({ prometheus: prometheus ?? '', scratch, config, flags: [] }, async (ours, theirs) => {
      for (const { url } of [ours, theirs]) {
        await eventually('all up', async () => (await query(url, 'up == 1')).length === jobs.length, 60_000);
      }
      for (const { job_name: job } of jobs) {
        const mine = await seriesOf(ours.url, job);
        expect([job, mine.length > 50]).toEqual([job, true]);
        expect([job, mine]).toEqual([job, await seriesOf(theirs.url, job)]);
      }
      const native = await seriesOf(ours.url, 'prometheus PrometheusProto native');
      expect(native.filter(({ histogram }) => histogram !== undefined).length).toBeGreaterThan(5);
      expect(await metadataOf(ours.url)).toEqual(await metadataOf(theirs.url));
    });
  });
});

describe.skipIf(nodeExporter === undefined && prometheus === undefined)('running programs', () => {
  test('are scraped in each format they speak', { timeout: 60_000 }, async () => {
    const jobs = recorded.map(({ program, protocol }) => ({
      job_name: `${program} ${protocol}`,
      scrape_protocols: [protocol],
      static_configs: [{ targets: [programs[program] ?? ''] }],
    }));
    const file = join(scratch, 'live.yml');
    writeFileSync(file, JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: jobs }));
    const server = await startServer([
      ...narthex,
      'server',
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(scratch, 'live')}`,
    ]);
    try {
      await eventually('all up', async () => (await query(server.url, 'up == 1')).length === jobs.length);
      const counts = await query(server.url, 'scrape_samples_scraped > 100');
      expect(counts.map(({ metric }) => metric.job).toSorted()).toEqual(jobs.map((job) => job.job_name).toSorted());
    } finally {
      await server.stop();
    }
  });
});
