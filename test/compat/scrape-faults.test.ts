/** The same misbehaving targets scraped by Prometheus 3.16 and by us: the same errors, reports and samples. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { eventually, getJson, query } from '../e2e/client.ts';
import { BAD_TARGETS, startBadTargets, unused } from '../support/bad-targets.ts';
import { withBoth } from '../support/both.ts';
import type { Running } from '../support/program.ts';
import { currentPeer } from '../support/require.ts';

const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-faults-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Shown {
  scrapePool: string;
  lastError: string;
  health: string;
  lastScrape: string;
}

/** Errors by job, once every target was scraped twice: from then on connections are kept. */
async function errorsOf(server: Running): Promise<Record<string, string>> {
  const targets = async () =>
    (await getJson<{ activeTargets: Shown[] }>(`${server.url}/api/v1/targets`)).data.activeTargets;
  const first = new Map<string, string>();
  return eventually(
    'two scrapes of each',
    async () => {
      const all = await targets();
      for (const { scrapePool, lastScrape, health } of all) {
        if (health !== 'unknown' && !first.has(scrapePool)) first.set(scrapePool, lastScrape);
      }
      const ready =
        all.length > 0 &&
        all.every((target) => (first.get(target.scrapePool) ?? target.lastScrape) !== target.lastScrape);
      return ready && Object.fromEntries(all.map(({ scrapePool, lastError }) => [scrapePool, lastError]));
    },
    60_000,
  );
}

/** All series of now but what depends on time. */
async function seriesOf(server: Running): Promise<Record<string, string>> {
  const found = await query(server.url, '{job=~".+", __name__!~"scrape_duration_seconds|scrape_series_added"}');
  return Object.fromEntries(
    found.map(({ metric, value }) => [JSON.stringify(Object.entries(metric).sort()), value?.[1] ?? '']),
  );
}

/** What only Go can tell, and how it is told without. */
const ALIKE: readonly [RegExp, string][] = [
  [/(lookup \S+) on \S+:/g, '$1:'],
  [/ \(possibly because of .*\)/, ''],
  [/(malformed MIME header): missing colon: .*/, '$1'],
  [/(headers exceeded) \d+ bytes/, '$1'],
  [/(corrupt input) before offset \d+/, '$1'],
];

const plain = (text: string): string => ALIKE.reduce((told, [pattern, by]) => told.replace(pattern, by), text);

describe.skipIf(prometheus === undefined)('misbehaving targets', () => {
  test('cost Prometheus and us the same', { timeout: 180_000 }, async () => {
    const bad = await startBadTargets();
    const job = (name: string, address: string, more: object = {}) => ({
      job_name: name,
      metrics_path: `/${name}`,
      static_configs: [{ targets: [address] }],
      ...more,
    });
    const config = {
      global: {
        scrape_interval: '2s',
        scrape_timeout: '1s',
        body_size_limit: '10000B',
        sample_limit: 50,
        label_limit: 30,
        label_value_length_limit: 300,
        extra_scrape_metrics: true,
      },
      scrape_configs: [
        ...Object.keys(BAD_TARGETS).map((name) => job(name, bad.address)),
        job('html', bad.address, { job_name: 'html-fallback', fallback_scrape_protocol: 'PrometheusText0.0.4' }),
        job('redirect-to-good', bad.address, { job_name: 'redirect-not-followed', follow_redirects: false }),
        job('good', bad.address, { job_name: 'good-by-tls', scheme: 'https' }),
        job('good', await unused(), { job_name: 'refused' }),
        job('self-signed', bad.tls, { scheme: 'https' }),
        job('tls-by-http', bad.tls),
        job('no-file', bad.address, { authorization: { credentials_file: '/nonexistent/token' } }),
        job('no-header-file', bad.address, { http_headers: { 'x-a': { files: ['/nonexistent/header'] } } }),
        job('no-token', bad.address, {
          oauth2: { client_id: 'i', client_secret: 's', token_url: `http://${bad.address}/status-401` },
        }),
        job('no-token-json', bad.address, {
          oauth2: { client_id: 'i', client_secret: 's', token_url: `http://${bad.address}/html` },
        }),
        job('no-proxy', bad.address, { proxy_url: `http://${await unused()}` }),
        job('bad-proxy', bad.tls, { proxy_url: `http://${bad.address}`, scheme: 'https' }),
        job('no-socks', bad.address, { proxy_url: `socks5://${bad.address}` }),
        job('no-socket', bad.address, {
          relabel_configs: [{ target_label: '__unix_socket__', replacement: '/nonexistent/socket' }],
        }),
        job('too-many', bad.address, {
          target_limit: 1,
          metrics_path: '/good',
          static_configs: [{ targets: [bad.address, `${bad.address.replace('127.0.0.1', 'localhost')}`] }],
        }),
      ],
    };
    try {
      await withBoth({ prometheus: prometheus ?? '', scratch, config, flags: [] }, async (ours, theirs) => {
        const [mine, peers] = await Promise.all([errorsOf(ours), errorsOf(theirs)]);
        const differences = Object.keys({ ...mine, ...peers })
          .filter((name) => plain(mine[name] ?? '-') !== plain(peers[name] ?? '-'))
          .map((name) => ({ name, ours: mine[name], theirs: peers[name] }));
        expect.soft(differences).toEqual([]);
        const [samples, theirSamples] = await Promise.all([seriesOf(ours), seriesOf(theirs)]);
        expect(samples).toEqual(theirSamples);
      });
    } finally {
      await bad.close();
    }
  });
});
