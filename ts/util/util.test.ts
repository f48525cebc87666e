import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatDuration,
  goDuration,
  Histogram,
  ManualClock,
  parseBytes,
  parseDuration,
  quote,
  Summary,
  sleep,
  systemClock,
  Value,
} from './index.ts';

describe('durations', () => {
  it.each([
    ['0', 0, '0s'],
    ['1ms', 1, '1ms'],
    ['90s', 90_000, '1m30s'],
    ['1h30m', 5_400_000, '1h30m'],
    ['90d', 7_776_000_000, '90d'],
    ['2w', 1_209_600_000, '2w'],
    ['1y1d', 31_622_400_000, '366d'],
    ['365d', 31_536_000_000, '1y'],
  ])('%s', (text, ms, printed) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(ms)).toBe(printed);
  });

  it.each([
    ['', 'empty duration string'],
    ['5', 'not a valid duration string: "5"'],
    ['-1s', 'not a valid duration string: "-1s"'],
    ['1s1m', 'not a valid duration string: "1s1m"'],
    ['1.5h', 'not a valid duration string: "1.5h"'],
    ['1000000y', 'duration out of range'],
  ])('refuses %j', (text, message) => {
    expect(() => parseDuration(text)).toThrow(message);
  });
});

describe('sizes', () => {
  it.each([
    ['0', 0, '0B'],
    ['15MB', 15_728_640, '15MiB'],
    ['1.5KiB', 1536, '1KiB512B'],
    ['1GiB512MiB', 1_610_612_736, '1GiB512MiB'],
    ['-1GiB', -1_073_741_824, '-1GiB'],
  ])('%s', (text, size, printed) => {
    expect(parseBytes(text)).toBe(size);
    expect(formatBytes(size)).toBe(printed);
  });

  it.each([
    ['100', 'units: unknown unit  in 100'],
    ['1kB', 'units: unknown unit kB in 1kB'],
    ['MB', 'units: invalid MB'],
    ['', 'units: invalid '],
  ])('refuses %j', (text, message) => {
    expect(() => parseBytes(text)).toThrow(message);
  });
});

describe('quoting', () => {
  it.each([
    ['a"b\\c', String.raw`"a\"b\\c"`],
    ['\n\t\x07\x00', String.raw`"\n\t\a\x00"`],
    ['żółw 🐢', '"żółw 🐢"'],
    ['\u00a0\u200b', String.raw`"\u00a0\u200b"`],
    ['\udcff', String.raw`"\xff"`],
  ])('%j', (text, quoted) => {
    expect(quote(text)).toBe(quoted);
  });
});

describe('clocks', () => {
  it('fires timers in the order they are due, and follows up what they settle', async () => {
    const clock = new ManualClock(1000);
    const seen: string[] = [];
    clock.setTimer(20, () => seen.push(`b@${clock.nowMs()}`));
    clock.setTimer(10, () => seen.push(`a@${clock.nowMs()}`));
    const cancelled = clock.setTimer(15, () => seen.push('never'));
    cancelled();
    const chained = sleep(clock, 5).then(() => sleep(clock, 10).then(() => seen.push(`c@${clock.nowMs()}`)));
    expect(clock.nextDueMs).toBe(1005);
    await clock.advance(30);
    await chained;
    expect(seen).toEqual(['a@1010', 'c@1015', 'b@1020']);
    expect([clock.nowMs(), clock.monotonicMs(), clock.pending]).toEqual([1030, 30, 0]);
  });

  it('wakes a sleeper whose signal aborts and leaves no timer behind', async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    const sleeping = sleep(clock, 1e9, abort.signal);
    abort.abort();
    expect(await sleeping).toBe(false);
    expect(await sleep(clock, 1, abort.signal)).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it('reads the machine’s time', async () => {
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(50);
    const before = systemClock.monotonicMs();
    expect(await sleep(systemClock, 1)).toBe(true);
    expect(systemClock.monotonicMs()).toBeGreaterThan(before);
  });
});

describe('metrics', () => {
  it('lists children by label values', () => {
    const value = new Value('counter', 'a_total', 'Help.', ['job']);
    value.inc(['x']);
    value.inc(['x'], 2);
    value.inc(['y'], 0);
    value.delete(['y']);
    expect(value.family().samples).toEqual([{ suffix: '', labels: { job: 'x' }, value: 3 }]);
    expect(new Value('gauge', 'b', 'Help.').family().samples).toEqual([{ suffix: '', labels: {}, value: 0 }]);
  });

  it('counts observations up to each bound', () => {
    const histogram = new Histogram('h', 'Help.', [1, 10]);
    for (const value of [0.5, 1, 2, 20]) histogram.observe([], value);
    expect(histogram.family().samples.map(({ suffix, labels, value }) => [suffix, labels.le, value])).toEqual([
      ['_bucket', '1', 2],
      ['_bucket', '10', 3],
      ['_bucket', '+Inf', 4],
      ['_sum', undefined, 23.5],
      ['_count', undefined, 4],
    ]);
  });

  it('takes quantiles from the newest observations', () => {
    const summary = new Summary('s', 'Help.', [0.5, 0.99], ['interval']);
    for (let i = 1; i <= 1000; i++) summary.observe(['1s'], i);
    expect(summary.family().samples).toEqual([
      { suffix: '', labels: { interval: '1s', quantile: '0.5' }, value: 744 },
      { suffix: '', labels: { interval: '1s', quantile: '0.99' }, value: 995 },
      { suffix: '_sum', labels: { interval: '1s' }, value: 500_500 },
      { suffix: '_count', labels: { interval: '1s' }, value: 1000 },
    ]);
  });
});

describe('goDuration', () => {
  const printed: [number, string][] = [
    [0, '0s'],
    [-1000, '-1s'],
    [90_500, '1m30.5s'],
    [3_600_000, '1h0m0s'],
    [250, '250ms'],
    [0.5, '500µs'],
  ];
  it.each(printed)('prints %d ms', (ms, text) => {
    expect(goDuration(ms)).toBe(text);
  });
});
