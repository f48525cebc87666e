import { describe, expect, it } from 'vitest';
import { MAX_TIME_MS, MIN_TIME_MS, parseDuration, parseTime } from './time.ts';

describe('parseTime', () => {
  const good: [string, number][] = [
    ['0', 0],
    ['1795367933.057', 1795367933057],
    ['1e3', 1_000_000],
    ['-1.5', -1500],
    ['.5', 500],
    ['1_000', 1_000_000],
    ['-0x1p4', -16_000],
    ['0x_1.8P+1', 3000],
    ['0.0014', 1],
    ['0.0015', 2],
    ['1e30', MAX_TIME_MS],
    ['-Inf', MIN_TIME_MS],
    ['2026-01-01T00:00:00Z', 1767225600000],
    ['2026-01-01T01:00:00.123456789+01:00', 1767225600123],
    ['2024-02-29T12:00:00-00:30', 1709209800000],
    ['-292273086-05-16T16:47:06Z', MIN_TIME_MS],
  ];
  it.each(good)('reads %s', (text, ms) => {
    expect(parseTime(text)).toBe(ms);
  });

  it.each([
    '',
    'x',
    '1e400',
    '2026-02-29T00:00:00Z',
    '2026-01-01',
    '2026-01-01T24:00:00Z',
    '0x',
    '0x10',
    '0xp1',
    '1__0',
    '_1',
    '1_',
    '1_.5',
    '+NaN',
  ])('refuses %j', (text) => {
    expect(() => parseTime(text)).toThrow(`cannot parse "${text}" to a valid timestamp`);
  });
});

describe('parseDuration', () => {
  const good: [string, number][] = [
    ['15', 15_000],
    ['0.25', 250],
    ['1h30m', 5_400_000],
    ['500ms', 500],
    ['-3', -3000],
    ['1y1w', 372 * 86_400_000],
  ];
  it.each(good)('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  const bad: [string, string][] = [
    ['', 'cannot parse "" to a valid duration'],
    ['-1s', 'cannot parse "-1s" to a valid duration'],
    ['1m1h', 'cannot parse "1m1h" to a valid duration'],
    ['1e300', 'cannot parse "1e300" to a valid duration. It overflows int64'],
    ['NaN', 'cannot parse "NaN" to a valid duration. It overflows int64'],
  ];
  it.each(bad)('refuses %j', (text, message) => {
    expect(() => parseDuration(text)).toThrow(new RangeError(message));
  });
});
