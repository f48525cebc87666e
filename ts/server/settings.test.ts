import { describe, expect, it } from 'vitest';
import { configToYaml, parseConfig } from '../config/index.ts';
import type { EngineFeature } from '../core/engine.ts';
import { createLogger } from './log.ts';
import { blockDurations, fillStorage, showRetention, storageSettings } from './storage-settings.ts';
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

describe('storage', () => {
  const DAY = 86_400_000;
  const settings = (yaml: string, flags: object = {}, features: EngineFeature[] = []) => {
    const { config } = parseConfig(yaml, 'x.yml');
    fillStorage(config, { dir: 'x', ...flags }, features);
    return { config, settings: storageSettings(config) };
  };
  const file = (retention: string) => `storage: {tsdb: {retention: ${retention}}}`;

  const retentions: [yaml: string, flags: { retentionMs?: number; retentionBytes?: number }, shown: string][] = [
    ['', {}, '15d'],
    ['', { retentionMs: 0, retentionBytes: 0 }, '15d'],
    ['', { retentionMs: DAY }, '1d'],
    ['', { retentionMs: 0, retentionBytes: 1024 }, '1KiB'],
    ['', { retentionMs: DAY, retentionBytes: 1024 }, '1d or 1KiB'],
    ['', { retentionBytes: -1 }, '15d'],
    ['storage: {tsdb: {out_of_order_time_window: 1h}}', { retentionMs: DAY }, '1d'],
    [file(''), { retentionMs: DAY }, '1d'],
    [file('{time: 3d}'), { retentionMs: DAY, retentionBytes: 1024 }, '3d'],
    [file('{size: 1GB}'), { retentionMs: DAY }, '1GiB'],
    [file('{time: 3d, size: 1GB, percentage: 12.5}'), {}, '3d or 1GiB or 12.5%'],
    [file('{}'), { retentionMs: DAY }, ''],
  ];
  it.each(retentions)('keeps by %j with %j: %s', (yaml, flags, shown) => {
    expect(showRetention(settings(yaml, flags).settings)).toBe(shown);
  });

  it('shows what is in force, and reads it again', () => {
    const { config } = settings('storage: {tsdb: {out_of_order_time_window: 30m}}', {}, ['exemplar-storage']);
    const yaml = configToYaml(config);
    expect(yaml).toContain(
      'storage:\n  tsdb:\n    outofordertimewindow: 1800000\n    out_of_order_time_window: 30m\n    retention:\n      time: 15d\n  exemplars:\n    max_exemplars: 100000\n',
    );
    expect(settings(yaml).settings).toEqual(storageSettings(config));
  });

  it('is what the file says', () => {
    const yaml =
      'storage: {tsdb: {out_of_order_time_window: 30m, stale_series_compaction_threshold: 0.5, chunk_encoding: {floats: xor2}, retention: {time: 1d, size: 1KB, percentage: 5}}, exemplars: {max_exemplars: 7}}';
    expect(settings(yaml).settings).toEqual({
      outOfOrderTimeWindowMs: 1_800_000,
      floatChunkEncoding: 'xor2',
      maxExemplars: 7,
      retentionMs: DAY,
      retentionBytes: 1024,
      retentionPercentage: 5,
      staleSeriesCompactionThreshold: 0.5,
    });
    expect(settings('').settings.floatChunkEncoding).toBeUndefined();
    expect(settings('', {}, ['exemplar-storage']).settings.maxExemplars).toBe(100_000);
  });

  const HOUR = 3_600_000;
  const durations: [flags: { min?: number; max?: number }, retention: number, spans: [number, number]][] = [
    [{}, 15 * DAY, [2 * HOUR, 36 * HOUR]],
    [{}, 0, [2 * HOUR, 31 * DAY]],
    [{}, 1000 * DAY, [2 * HOUR, 31 * DAY]],
    [{}, 5 * HOUR, [2 * HOUR, 2 * HOUR]],
    [{ min: 0, max: 0 }, 15 * DAY, [2 * HOUR, 36 * HOUR]],
    [{ min: 3 * HOUR, max: HOUR }, 15 * DAY, [3 * HOUR, 3 * HOUR]],
    [{ min: HOUR, max: 9 * HOUR }, 15 * DAY, [HOUR, 9 * HOUR]],
  ];
  it.each(durations)('cuts blocks for %j, %i', ({ min, max }, retentionMs, [shortest, longest]) => {
    const flags = {
      dir: 'x',
      ...(min === undefined ? {} : { minBlockDurationMs: min }),
      ...(max === undefined ? {} : { maxBlockDurationMs: max }),
    };
    expect(blockDurations(flags, { retentionMs })).toEqual({
      minBlockDurationMs: shortest,
      maxBlockDurationMs: longest,
    });
  });
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
