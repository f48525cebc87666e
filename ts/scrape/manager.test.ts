/** Scraping from end to end: real HTTP on loopback, the real engine in memory, time by hand. */

import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseConfig, type StaticConfig, toTargetGroup } from '../config/index.ts';
import { type Engine, open } from '../core/index.ts';
import { ManualClock, silentLogger } from '../util/index.ts';
import { ScrapeManager, type ScrapeTarget } from './index.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Waits for a condition, with a bound. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

class Setup {
  readonly clock = new ManualClock();
  readonly engine: Engine;
  readonly manager: ScrapeManager;

  constructor(engine: Engine) {
    this.engine = engine;
    const { clock } = this;
    this.manager = new ScrapeManager({ engine, clock, logger: silentLogger, userAgent: 'Narthex/test' });
  }

  static async open(): Promise<Setup> {
    const setup = new Setup(await open({ dir: ':memory:' }));
    cleanups.push(
      () => setup.engine.close(),
      () => setup.manager.stop(5000),
    );
    return setup;
  }

  /** Applies a configuration with one job `j` and gives it these targets. */
  apply(yaml: string, ...groups: StaticConfig[]): void {
    const text = `scrape_configs:\n- job_name: j\n  scrape_interval: 10s\n${yaml}`;
    this.manager.applyConfig(parseConfig(text, 'test.yml').scrapeConfigs, {});
    this.targets(...groups);
  }

  targets(...groups: StaticConfig[]): void {
    this.manager.syncTargets(new Map([['j', groups.map((group, i) => toTargetGroup(group, String(i)))]]));
  }

  get active(): readonly ScrapeTarget[] {
    return this.manager.active().get('j') ?? [];
  }

  /** The only target. */
  get target(): ScrapeTarget {
    const [target] = this.active;
    if (!target || this.active.length > 1) throw new Error(`${this.active.length} targets`);
    return target;
  }

  /** Moves time to the next timer, so that the next scrape begins. */
  async next(): Promise<void> {
    await until('a timer', () => this.clock.pending > 0);
    await this.clock.advance((this.clock.nextDueMs ?? this.clock.nowMs()) - this.clock.nowMs());
  }

  /** Moves time to the next scrape and waits until it is over. */
  async scrape(target = this.target): Promise<void> {
    const before = target.lastScrapeMs;
    await this.next();
    await until('a scrape', () => target.lastScrapeMs !== before);
    await until('the next timer', () => this.clock.pending > 0);
  }

  /** An instant query now: values by series. */
  async query(query: string, timeMs = this.clock.nowMs()): Promise<Record<string, number>> {
    const { series } = await this.engine.query({ query, timeMs: Math.floor(timeMs) });
    return Object.fromEntries(series.map(({ labels, values }) => [nameOf(labels), values.at(-1) ?? Number.NaN]));
  }

  metric(name: string): number {
    const family = this.manager.families().find((candidate) => candidate.name === name);
    return (family?.samples ?? []).reduce((sum, sample) => sum + sample.value, 0);
  }
}

function nameOf(labels: Record<string, string>): string {
  return Object.keys(labels)
    .toSorted()
    .filter((name) => name !== 'instance' && name !== 'job')
    .map((name) => (name === '__name__' ? labels[name] : `${name}=${labels[name]}`))
    .join(' ');
}

const group = (...targets: string[]): StaticConfig => ({ targets, labels: {} });

describe('a scrape', () => {
  it('brings samples, the report and the status', async () => {
    const setup = await Setup.open();
    const address = await serve((_, response) =>
      response.end('# TYPE a gauge\n# HELP a Some help.\na{x="1"} 1\na{x="2"} 2\n'),
    );
    setup.apply('', { targets: [address], labels: { extra: 'y' } });
    expect(setup.target).toMatchObject({ health: 'unknown', lastError: '', lastScrapeMs: undefined });
    await setup.scrape();
    expect(await setup.query('{__name__=~".+"}')).toMatchObject({
      'a extra=y x=1': 1,
      'a extra=y x=2': 2,
      'up extra=y': 1,
      'scrape_samples_scraped extra=y': 2,
      'scrape_series_added extra=y': 2,
    });
    const { target } = setup;
    expect(target).toMatchObject({
      health: 'up',
      lastError: '',
      labels: { extra: 'y', instance: address, job: 'j' },
      scrapeUrl: `http://${address}/metrics`,
      scrapeInterval: '10s',
      scrapeTimeout: '10s',
      lastScrapeMs: Math.floor(setup.clock.nowMs()),
    });
    expect(target.discoveredLabels).toMatchObject({ __address__: address, __scheme__: 'http', extra: 'y' });
    expect(target.metadata()).toContainEqual({ metric: 'a', type: 'gauge', help: 'Some help.', unit: '' });
  });

  it('keeps to its grid of timestamps', async () => {
    const setup = await Setup.open();
    const address = await serve((_, response) => response.end('a 1\n'));
    setup.apply('', group(address));
    const times: number[] = [];
    for (let i = 0; i < 4; i++) {
      await setup.scrape();
      times.push(setup.target.lastScrapeMs ?? 0);
      await setup.clock.advance(i);
    }
    const [first = 0] = times;
    expect(times.map((time) => time - first)).toEqual([0, 10_000, 20_000, 30_000]);
    expect(setup.metric('narthex_target_missed_scrapes_total')).toBe(0);
  });

  it('that fails makes the target’s series stale and says why', async () => {
    const setup = await Setup.open();
    let status = 200;
    const address = await serve((_, response) => response.writeHead(status).end('a 1\n'));
    setup.apply('', group(address));
    await setup.scrape();
    status = 503;
    await setup.scrape();
    expect(setup.target).toMatchObject({
      health: 'down',
      lastError: 'server returned HTTP status 503 Service Unavailable',
    });
    expect(await setup.query('{__name__=~"a|up"}')).toEqual({ up: 0 });
    status = 200;
    await setup.scrape();
    expect(await setup.query('{__name__=~"a|up"}')).toEqual({ up: 1, a: 1 });
  });

  it('with a malformed line keeps nothing of the body', async () => {
    const setup = await Setup.open();
    const address = await serve((_, response) => response.end('a 1\nb{ 2\nc 3\n'));
    setup.apply('', group(address));
    await setup.scrape();
    expect(await setup.query('{__name__=~"a|b|c|up"}')).toEqual({ up: 0 });
    expect(setup.target.health).toBe('down');
    expect(setup.target.lastError).not.toBe('');
  });

  it('that takes too long is given up', async () => {
    const setup = await Setup.open();
    let requests = 0;
    const address = await serve(() => {
      requests++;
    });
    setup.apply('  scrape_timeout: 3s\n', group(address));
    await setup.next();
    await until('the request', () => requests === 1);
    await setup.clock.advance(3000);
    await until('the failure', () => setup.target.health === 'down');
    expect(setup.target.lastError).toBe(`Get "http://${address}/metrics": context deadline exceeded`);
    expect(await setup.query('up')).toEqual({ up: 0 });
  });

  it('that was due while another was under way is counted as missed', async () => {
    const setup = await Setup.open();
    let requests = 0;
    const address = await serve(() => {
      requests++;
    });
    setup.apply('', group(address));
    await setup.next();
    await until('the request', () => requests === 1);
    setup.clock.jump(35_000);
    await setup.clock.advance(0);
    await until('the failure', () => setup.target.health === 'down');
    await until('the count', () => setup.metric('narthex_target_missed_scrapes_total') === 2);
  });

  it.each([
    ['sample_limit: 1', 'sample limit exceeded', 'prometheus_target_scrapes_exceeded_sample_limit_total'],
    ['body_size_limit: 4B', 'body size limit exceeded', 'prometheus_target_scrapes_exceeded_body_size_limit_total'],
    ['label_limit: 2', 'label_limit exceeded', 'prometheus_target_scrape_pool_exceeded_label_limits_total'],
  ])('beyond its %s fails', async (limit, error, metric) => {
    const setup = await Setup.open();
    const address = await serve((_, response) => response.end('a{x="1"} 1\nb{x="1"} 2\n'));
    setup.apply(`  ${limit}\n`, group(address));
    await setup.scrape();
    expect(setup.target.lastError).toContain(error);
    expect(setup.metric(metric)).toBe(1);
    expect(await setup.query('{__name__=~"a|b|up"}')).toEqual({ up: 0 });
  });

  it('through compression and relabelling', async () => {
    const setup = await Setup.open();
    const { gzipSync } = await import('node:zlib');
    const address = await serve((_, response) => {
      response.setHeader('content-encoding', 'gzip').end(gzipSync('a 1\nb 2\n'));
    });
    setup.apply(
      '  metric_relabel_configs:\n  - {source_labels: [__name__], regex: b, action: drop}\n  - {target_label: new, replacement: x}\n',
      group(address),
    );
    await setup.scrape();
    expect(await setup.query('{__name__=~"a|b"}')).toEqual({ 'a new=x': 1 });
  });
});

describe('targets', () => {
  it('are relabelled, dropped, refused and counted once', async () => {
    const setup = await Setup.open();
    setup.apply(
      '  keep_dropped_targets: 1\n  params: {p: [q]}\n  relabel_configs:\n  - {source_labels: [__address__], regex: "drop.*", action: drop}\n  - {source_labels: [__meta_path], regex: (.+), target_label: __metrics_path__}\n  - {source_labels: [__address__], regex: slow, replacement: 20s, target_label: __scrape_timeout__}\n',
      { targets: ['keep:1', 'keep:1', 'drop:1', 'drop:2', 'slow', 'http://x'], labels: { __meta_path: '/p q' } },
    );
    expect(setup.active.map((target) => [target.scrapeUrl, target.labels])).toEqual([
      ['http://keep:1/p%20q?p=q', { instance: 'keep:1', job: 'j' }],
    ]);
    expect(setup.active[0]?.discoveredLabels).toMatchObject({ __meta_path: '/p q', __param_p: 'q' });
    expect(
      setup.manager
        .dropped()
        .get('j')
        ?.map((target) => target.discoveredLabels.__address__),
    ).toEqual(['drop:1']);
    expect(setup.manager.droppedCounts()).toEqual({ j: 2 });
    expect(setup.metric('prometheus_target_sync_failed_total')).toBe(2);
  });

  it('beyond the limit are not scraped', async () => {
    const setup = await Setup.open();
    let requests = 0;
    const address = await serve((_, response) => {
      requests++;
      response.end();
    });
    setup.apply('  target_limit: 1\n', group(address, `${address}0`));
    const [first] = setup.active;
    if (!first) throw new Error('no target');
    await until('both loops', () => setup.clock.pending === 2);
    await setup.clock.advance(10_000);
    await until('both scrapes', () => setup.active.every((target) => target.health === 'down'));
    expect(first.lastError).toBe('target_limit exceeded (number of targets: 2, limit: 1)');
    expect(requests).toBe(0);
    setup.targets(group(address));
    await setup.clock.advance(10_000);
    await until('a scrape', () => setup.target.health === 'up');
  });

  it('that are gone become stale two intervals and a tenth later', async () => {
    const setup = await Setup.open();
    const address = await serve((_, response) => response.end('a 1\n'));
    setup.apply('', group(address));
    await setup.scrape();
    const lastMs = setup.target.lastScrapeMs ?? 0;
    setup.targets();
    expect(setup.active).toEqual([]);
    await until('the wait', () => setup.clock.pending === 1);
    await setup.clock.advance(20_900);
    expect(await setup.query('{__name__=~"a|up"}')).toEqual({ a: 1, up: 1 });
    await setup.clock.advance(200);
    await until('the markers', async () => Object.keys(await setup.query('{__name__=~"a|up"}')).length === 0);
    expect(await setup.query('{__name__=~"a|up"}', lastMs + 9_999)).toEqual({ a: 1, up: 1 });
    expect(await setup.query('{__name__=~"a|up"}', lastMs + 10_001)).toEqual({});
  });

  it('that come back meanwhile stay', async () => {
    const setup = await Setup.open();
    const address = await serve((_, response) => response.end('a 1\n'));
    setup.apply('', group(address));
    await setup.scrape();
    // From here on each step ends just after a scrape begins, long before it times out.
    await setup.clock.advance(1);
    setup.targets();
    await until('the wait', () => setup.clock.pending === 1);
    setup.targets(group(address));
    const { target } = setup;
    await until('the start', () => setup.clock.pending === 2);
    for (let i = 0; i < 3; i++) {
      const before = target.lastScrapeMs;
      await setup.clock.advance(10_000);
      await until('a scrape', () => target.lastScrapeMs !== before);
    }
    await until('the end of the wait', () => setup.clock.pending === 1);
    expect(await setup.query('{__name__=~"a|up"}')).toEqual({ a: 1, up: 1 });
  });
});

describe('the log of failed scrapes', () => {
  it('is shared by pools, and has what brought no body, not what was wrong in one', async () => {
    const setup = await Setup.open();
    const directory = await mkdtemp(join(tmpdir(), 'narthex-failures-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const file = join(directory, 'log');
    const address = await serve(({ url }, response) => {
      if (url === '/bad') response.end('this is no sample\n');
      else if (url === '/large') response.end(`a 1\n${'# '.repeat(5000)}\n`);
      else response.writeHead(url === '/gone' ? 404 : 200).end('a 1\n');
    });
    const jobs = ['good', 'bad', 'large', 'gone'];
    const yaml = jobs.map((job) => `- {job_name: ${job}, metrics_path: /${job}}\n`).join('');
    const text = `global: {scrape_interval: 10s, body_size_limit: 8KB, scrape_failure_log_file: ${file}}\nscrape_configs:\n${yaml}`;
    setup.manager.applyConfig(parseConfig(text, 'test.yml').scrapeConfigs, {});
    setup.manager.syncTargets(new Map(jobs.map((job) => [job, [toTargetGroup(group(address), '0')]])));
    await until('all turns', () => setup.clock.pending === jobs.length);
    await setup.clock.advance(9_999);
    const failures = async () => (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
    await until('both failures', async () => (await failures()).length === 2);
    await until('all scrapes', () =>
      [...setup.manager.active().values()].flat().every((target) => target.lastScrapeMs !== undefined),
    );
    expect(
      (await failures()).map((line) => JSON.parse(line)).toSorted((a, b) => (a.job_name < b.job_name ? -1 : 1)),
    ).toEqual(
      [
        ['gone', 'server returned HTTP status 404 Not Found'],
        ['large', 'body size limit exceeded'],
      ].map(([job, msg]) => ({
        time: expect.any(String),
        level: 'ERROR',
        source: 'scrape-loop.ts',
        msg,
        job_name: job,
        target: `http://${address}/${job}`,
      })),
    );
  });
});

describe('a new configuration', () => {
  it('leaves unchanged jobs alone', async () => {
    const setup = await Setup.open();
    const address = await serve((_, response) => response.end('a 1\n'));
    setup.apply('', group(address));
    await setup.scrape();
    const { target } = setup;
    setup.apply('', group(address));
    expect(setup.target).toBe(target);
    expect(setup.metric('prometheus_target_scrape_pool_reloads_total')).toBe(0);
  });

  it('keeps a target’s memory where nothing it depends on changed, else marks what is gone', async () => {
    const setup = await Setup.open();
    const address = await serve((_, response) => response.end('a 1\nb 2\n'));
    setup.apply('', group(address));
    await setup.scrape();
    expect(await setup.query('scrape_series_added')).toEqual({ scrape_series_added: 2 });
    await setup.clock.advance(1);
    setup.apply('  bearer_token: t\n', group(address));
    expect(setup.target.health).toBe('up');
    await setup.scrape();
    expect(await setup.query('scrape_series_added')).toEqual({ scrape_series_added: 0 });

    await setup.clock.advance(1);
    setup.apply('  metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]\n', group(address));
    const { target } = setup;
    await until('both waits', () => setup.clock.pending === 2);
    for (let i = 0; i < 3; i++) {
      const before = target.lastScrapeMs;
      await setup.clock.advance(10_000);
      await until('a scrape', () => target.lastScrapeMs !== before);
    }
    await until('the markers', async () => !('b' in (await setup.query('{__name__=~"a|b"}'))));
    expect(await setup.query('{__name__=~"a|b"}')).toEqual({ a: 1 });
    expect(setup.metric('prometheus_target_scrape_pool_reloads_total')).toBe(2);
  });

  it('without a job ends its pool', async () => {
    const setup = await Setup.open();
    setup.apply('', group('x:1'));
    expect(setup.manager.pools()).toEqual(['j']);
    setup.manager.applyConfig([], {});
    expect(setup.manager.pools()).toEqual([]);
    expect(setup.metric('prometheus_target_scrape_pool_targets')).toBe(0);
  });

  it('with a rule that does not compile is refused, and the old one goes on', async () => {
    const setup = await Setup.open();
    setup.apply('', group('x:1'));
    expect(() => setup.apply('  relabel_configs: [{regex: "a(", target_label: b}]\n', group('x:1'))).toThrow(
      /failed to apply the new configuration: j: .*missing closing \)/,
    );
    expect(setup.metric('prometheus_target_scrape_pool_reloads_failed_total')).toBe(1);
    expect(setup.active).toHaveLength(1);
  });
});

describe('stopping', () => {
  it('gives up a request under way and records nothing of it', async () => {
    const setup = await Setup.open();
    let hang = false;
    let requests = 0;
    const address = await serve((_, response) => {
      requests++;
      if (!hang) response.end('a 1\n');
    });
    setup.apply('', group(address));
    await setup.scrape();
    hang = true;
    await setup.next();
    await until('the request', () => requests === 2);
    await setup.manager.stop(60_000);
    expect(await setup.query('{__name__=~"a|up"}')).toEqual({ a: 1, up: 1 });
    expect(setup.clock.pending).toBe(0);
  });

  it('marks nothing as stale', async () => {
    const setup = await Setup.open();
    const address = await serve((_, response) => response.end('a 1\n'));
    setup.apply('', group(address));
    await setup.scrape();
    setup.targets();
    await until('the wait', () => setup.clock.pending === 1);
    await setup.manager.stop(60_000);
    await setup.clock.advance(60_000);
    expect(await setup.query('{__name__=~"a|up"}')).toEqual({ a: 1, up: 1 });
  });
});
