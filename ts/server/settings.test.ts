import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { createLogger } from './log.ts';
import { mergeTexts } from './metrics.ts';
import { retention, showRetention } from './runtime-info.ts';
import { corsPattern, externalUrl, routePrefix } from './web-address.ts';

describe('external URL and route prefix', () => {
  const cases: [given: string, prefix: string, href: string, routes: string][] = [
    ['http://example.org/', '', 'http://example.org/', '/'],
    ['https://example.org:8443/prom/', '', 'https://example.org:8443/prom', '/prom'],
    ['http://example.org/a/b', '/', 'http://example.org/a/b', '/'],
    ['http://example.org', 'x/', 'http://example.org/', '/x'],
  ];
  it.each(cases)('%s with prefix %j', (given, prefix, href, routes) => {
    const url = externalUrl(given, '0.0.0.0:9090');
    expect([url.href, routePrefix(prefix, url)]).toEqual([href, routes]);
  });

  it('is made of the port where none is given', () => {
    expect(externalUrl('', '[::1]:1234').port).toBe('1234');
  });

  it.each(['"http://x"', 'no url'])('refuses %s', (given) => {
    expect(() => externalUrl(given, ':1')).toThrow('--web.external-url');
  });

  it('anchors the pattern of origins', () => {
    expect(corsPattern('a|b').test('ab')).toBe(false);
    expect(() => corsPattern('(')).toThrow('--web.cors.origin');
  });
});

describe('retention', () => {
  const DAY = 86_400_000;
  const cases: [yaml: string, flags: { retentionMs?: number; retentionBytes?: number }, shown: string][] = [
    ['', {}, '15d'],
    ['', { retentionMs: 0, retentionBytes: 0 }, '15d'],
    ['', { retentionMs: DAY }, '1d'],
    ['', { retentionMs: 0, retentionBytes: 1024 }, '1KiB'],
    ['', { retentionMs: DAY, retentionBytes: 1024 }, '1d or 1KiB'],
    ['storage: {tsdb: {retention: {time: 3d}}}', { retentionMs: DAY }, '3d'],
  ];
  it.each(cases)('%j with %j', (yaml, flags, shown) => {
    const { config } = parseConfig(yaml, 'x.yml');
    expect(showRetention(retention(config, { dir: 'x', ...flags }))).toBe(shown);
  });
});

it('merges texts of metrics, the first to name a family wins', () => {
  const family = (name: string, value: number) => `# HELP ${name} H.\n# TYPE ${name} gauge\n${name} ${value}\n`;
  expect(mergeTexts([family('a', 1), family('b', 2) + family('a', 3), family('c', 4)])).toBe(
    family('a', 1) + family('b', 2) + family('c', 4),
  );
});

describe('log', () => {
  const lines = (format: 'logfmt' | 'json', log: (logger: ReturnType<typeof createLogger>) => void) => {
    const written: string[] = [];
    log(createLogger(format, 'info', (line) => written.push(line)));
    return written.map((line) => line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, 'T'));
  };

  it('writes logfmt as Prometheus does', () => {
    const written = lines('logfmt', (logger) => {
      logger.debug({}, 'not shown');
      logger.info({ address: '127.0.0.1:9090', n: 1, empty: '' }, 'Start listening');
      logger.error({ err: new Error('no "good"\nat all') }, 'Failed');
    });
    expect(written).toEqual([
      'time=T level=INFO msg="Start listening" address=127.0.0.1:9090 n=1 empty=""\n',
      'time=T level=ERROR msg=Failed err="no \\"good\\"\\nat all"\n',
    ]);
  });

  it('writes JSON', () => {
    const [line = ''] = lines('json', (logger) => logger.warn({ flag: '--x' }, 'No effect'));
    expect(JSON.parse(line)).toEqual({ level: 'WARN', time: 'T', flag: '--x', msg: 'No effect' });
  });
});
