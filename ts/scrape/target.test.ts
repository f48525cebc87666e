/** A target's address and turn, and the hosts that need no proxy. */

import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { proxyExemptions } from '../http/index.ts';
import { ScrapeTarget, targetUrl } from './scrape-target.ts';

describe('a target’s URL', () => {
  const base = { __scheme__: 'http', __address__: 'h:1', __metrics_path__: '/metrics' };
  it.each<[string, Record<string, string>, Record<string, string[]>, string]>([
    ['plain', {}, {}, 'http://h:1/metrics'],
    ['parameters, sorted', {}, { b: ['2', '3'], a: ['x&y'] }, 'http://h:1/metrics?a=x%26y&b=2&b=3'],
    ['a label in place of the first value', { __param_b: '9' }, { b: ['2', '3'] }, 'http://h:1/metrics?b=9&b=3'],
    ['a path without its slash', { __metrics_path__: 'm' }, {}, 'http://h:1/m'],
    ['a path that must be escaped', { __metrics_path__: '/a b?c(d)' }, {}, 'http://h:1/a%20b%3Fc%28d%29'],
    ['IPv6', { __address__: '[::1]:9', __scheme__: 'https' }, {}, 'https://[::1]:9/metrics'],
  ])('%s', (_, labels, params, url) => {
    expect(targetUrl({ ...base, ...labels }, params)).toBe(url);
  });
});

describe('a target’s switches', () => {
  const [config] = parseConfig('scrape_configs: [{job_name: j}]\n', 'test.yml').scrapeConfigs;
  if (!config) throw new Error('no scrape configuration');
  it.each<[string, boolean, boolean]>([
    ['', true, true],
    ['', false, false],
    ['true', false, true],
    ['1', false, true],
    ['F', true, false],
    ['yes', true, true],
    ['tRUE', false, false],
  ])('%j where it is otherwise %j', (value, otherwise, expected) => {
    const labels = { __address__: 'a:1', __scrape_interval__: '10s', __scrape_timeout__: '10s', __switch__: value };
    expect(new ScrapeTarget(labels, {}, config).flag('__switch__', otherwise)).toBe(expected);
  });
});

describe('a target’s turn', () => {
  const [config] = parseConfig('scrape_configs: [{job_name: j}]\n', 'test.yml').scrapeConfigs;
  if (!config) throw new Error('no scrape configuration');
  const target = (address: string): ScrapeTarget =>
    new ScrapeTarget(
      { __address__: address, __scrape_interval__: '10s', __scrape_timeout__: '10s', instance: address },
      {},
      config,
    );

  it('stays the same from interval to interval and differs between targets and seeds', () => {
    const turn = (nowMs: number, address = 'a:1', seed = 7n): number =>
      Math.round((nowMs + target(address).offsetMs(nowMs, seed)) % 10_000);
    const turns = [0, 1, 4999, 5000, 123_456_789].map((nowMs) => turn(nowMs));
    expect(new Set(turns).size).toBe(1);
    expect(turn(0, 'b:1')).not.toBe(turns[0]);
    expect(turn(0, 'a:1', 8n)).not.toBe(turn(0, 'b:1', 7n));
    for (const nowMs of [0, 1, 4999.5, 9999.9]) {
      const offset = target('a:1').offsetMs(nowMs, 7n);
      expect(offset).toBeGreaterThan(0);
      expect(offset).toBeLessThanOrEqual(10_000);
    }
  });

  it('spreads targets over the interval', () => {
    const buckets = new Set(Array.from({ length: 200 }, (_, i) => Math.floor(target(`t:${i}`).offsetMs(0, 0n) / 1000)));
    expect(buckets.size).toBe(10);
  });
});

describe('no_proxy', () => {
  it.each<[string, string, boolean]>([
    ['example.com', 'example.com', true],
    ['example.com', 'a.example.com', true],
    ['.example.com', 'example.com', false],
    ['*.example.com', 'a.example.com', true],
    ['example.com:81', 'example.com', false],
    ['example.com:80', 'example.com', true],
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8, fd00::1', '[fd00::1]', true],
    ['[fd00::1]:80', '[fd00::1]', true],
    ['[fd00::1]:81', '[fd00::1]', false],
    ['10.0.0.1:80', '10.0.0.1', true],
    ['10.0.0.1:81', '10.0.0.1', false],
    ['other', 'localhost', true],
    ['other', '127.1.2.3', true],
    ['10.0.0.1', '10.0.0.2', false],
    ['*', 'anything', true],
    ['', 'anything', false],
  ])('%j and %s', (list, hostname, exempt) => {
    expect(proxyExemptions(list)(hostname, '80')).toBe(exempt);
  });
});
