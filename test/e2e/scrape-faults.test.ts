/**
 * Targets that misbehave in every way beside targets that do not: each costs a timeout at most, and nothing else. And a
 * server that ends while they keep it waiting.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BAD_TARGETS, type BadTargets, startBadTargets } from '../support/bad-targets.ts';
import type { Running } from '../support/program.ts';
import { eventually, getJson, query } from './client.ts';
import { workspace } from './workspace.ts';

const MB = 1024 * 1024;
const INTERVAL_MS = 1000;
const GOOD = 20;

/** Those of the targets that are in order, though some look odd. */
const UP = new Set(
  'good redirect-to-good body-to-the-end old-http gzip-twice empty unknown-version no-newline'.split(' '),
);

/** The errors of those that cost a timeout, and of others that are met often, as Prometheus has them. */
const ERRORS: Record<string, string> = {
  hang: 'Get "URL": context deadline exceeded',
  'hang-in-headers': 'Get "URL": context deadline exceeded',
  'hang-in-body': 'context deadline exceeded',
  trickle: 'context deadline exceeded',
  'trickle-headers': 'Get "URL": context deadline exceeded',
  'redirect-for-ever': 'Get "/redirect-for-ever": stopped after 10 redirects',
  'close-at-once': 'Get "URL": EOF',
  'close-in-body': 'unexpected EOF',
  garbage: 'Get "URL": net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.2"',
  'status-404': 'server returned HTTP status 404 Not Found',
  'status-with-endless-body': 'server returned HTTP status 500 Internal Server Error',
  endless: 'body size limit exceeded',
  bomb: 'body size limit exceeded',
  'gzip-without-header': 'unexpected EOF',
  'gzip-checksum': 'gzip: invalid checksum',
};

interface Shown {
  scrapePool: string;
  scrapeUrl: string;
  health: string;
  lastError: string;
  lastScrapeDuration: number;
}

const space = workspace();
let bad: BadTargets;

beforeAll(async () => {
  bad = await startBadTargets();
});

afterAll(() => bad.close());

function configuration(jobs: readonly string[], timeoutMs = 500): string {
  const job = (name: string) => ({
    job_name: name,
    metrics_path: `/${name}`,
    static_configs: [
      { targets: name === 'good' ? Array.from({ length: GOOD }, (_, i) => `${bad.address}/?${i}`) : [bad.address] },
    ],
    ...(name === 'good' && {
      static_configs: Array.from({ length: GOOD }, (_, i) => ({ targets: [bad.address], labels: { number: `${i}` } })),
    }),
  });
  const global = { scrape_interval: `${INTERVAL_MS}ms`, scrape_timeout: `${timeoutMs}ms`, body_size_limit: '1MB' };
  return JSON.stringify({ global, scrape_configs: jobs.map(job) });
}

const residentBytes = ({ process: { pid } }: Running): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;

describe('misbehaving targets', () => {
  let server: Running;

  beforeAll(async () => {
    space.configure(configuration(Object.keys(BAD_TARGETS)));
    server = await space.start();
    await eventually(
      'the fifth scrape of each',
      async () => Object.keys(BAD_TARGETS).every((path) => bad.asked(path) >= 5),
      60_000,
    );
  }, 90_000);

  afterAll(() => server.stop());

  test('are down, with the error that Prometheus has, after a timeout at most', async () => {
    const { data } = await getJson<{ activeTargets: Shown[] }>(`${server.url}/api/v1/targets?state=active`);
    const shown = new Map(data.activeTargets.map((target) => [target.scrapePool, target]));
    const told = Object.keys(ERRORS).map((name) => {
      const { lastError = '-', scrapeUrl = '-' } = shown.get(name) ?? {};
      return [name, lastError.replace(scrapeUrl, 'URL')];
    });
    expect(Object.fromEntries(told)).toEqual(ERRORS);
    for (const { scrapePool, health, lastError, lastScrapeDuration } of data.activeTargets) {
      if (scrapePool === 'good') expect([scrapePool, health, lastError]).toEqual(['good', 'up', '']);
      else if (!UP.has(scrapePool)) expect([scrapePool, lastError === '']).toEqual([scrapePool, health === 'up']);
      // The timeout, and as much again because the machine that runs tests is busy.
      expect([scrapePool, lastScrapeDuration < 1]).toEqual([scrapePool, true]);
    }
    for (const [name] of told) expect([name, shown.get(name ?? '')?.health]).toEqual([name, 'down']);
    const down = await query(server.url, 'up == 0');
    expect(down.map(({ metric }) => metric.job)).toEqual(expect.arrayContaining(Object.keys(ERRORS)));
  });

  test('leave the others alone', async () => {
    const [first] = await query(server.url, 'min(min_over_time(up{job="good"}[1m]))');
    expect(first?.value?.[1]).toBe('1');
    const counts = await query(server.url, 'count_over_time(up{job="good"}[4s])');
    expect(counts).toHaveLength(GOOD);
    for (const { value } of counts) expect(Number(value?.[1])).toBeGreaterThanOrEqual(3);
  });

  test.skipIf(process.platform !== 'linux')('cost no memory that grows', { timeout: 70_000 }, async () => {
    const before = residentBytes(server);
    const asked = bad.asked('bomb');
    await eventually('five more scrapes', async () => bad.asked('bomb') >= asked + 5, 60_000);
    expect(before).toBeLessThan(500 * MB);
    expect(residentBytes(server) - before).toBeLessThan(50 * MB);
  });
});

describe('the end of a server', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s does not wait for targets that hang',
    { timeout: 30_000 },
    async (signal) => {
      const hanging = ['hang', 'hang-in-body', 'trickle', 'good'];
      space.configure(configuration(hanging, INTERVAL_MS));
      const server = await space.start();
      const before = hanging.map((path) => bad.asked(path));
      await eventually('scrapes', async () => hanging.every((path, i) => bad.asked(path) > (before[i] ?? 0)));
      const began = performance.now();
      const exited = once(server.process, 'exit');
      server.process.kill(signal);
      const [code] = await exited;
      expect(code).toBe(0);
      expect(performance.now() - began).toBeLessThan(5000);
      expect(server.output()).not.toContain('level=ERROR');
    },
  );
});
