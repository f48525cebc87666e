import { describe, expect, test } from 'vitest';
import { blockDurationMs, goDuration, integer, label, time } from './tsdb-values.ts';

const HOUR_MS = 3_600_000;

describe('values of the tsdb tools', () => {
  test.each<[(text: string) => unknown, string, unknown]>([
    [integer, '-12', -12],
    [goDuration, '0', 0],
    [goDuration, '1h30m', 1.5 * HOUR_MS],
    [goDuration, '1.5s', 1500],
    [goDuration, '-.5ms', -0.5],
    [time, '1767225600', 1_767_225_600_000],
    [time, '1767225600.5', 1_767_225_600_500],
    [time, '2026-01-01T00:00:00Z', 1_767_225_600_000],
    [time, '2026-01-01T02:00:00.25+02:00', 1_767_225_600_250],
    [label, 'a=b', ['a', 'b']],
    [label, 'a:b=c', ['a', 'b=c']],
    [label, 'a=', ['a', '']],
  ])('%o reads %s', (read, text, want) => {
    expect(read(text)).toEqual(want);
  });

  test.each<[(text: string) => unknown, string, string]>([
    [integer, '1.5', 'strconv.ParseInt: parsing "1.5": invalid syntax'],
    [goDuration, '1d', 'time: invalid duration "1d"'],
    [goDuration, '', 'time: invalid duration ""'],
    [time, 'yesterday', 'cannot parse "yesterday" to a valid timestamp'],
    [time, '2026-01-01', 'cannot parse "2026-01-01" to a valid timestamp'],
    [label, 'a', "expected KEY=VALUE got 'a'"],
  ])('%o refuses %s', (read, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test.each([
    [0, false, 2],
    [5, false, 2],
    [6, false, 6],
    [30, false, 18],
    [1e9, false, 2 * 3 ** 9],
    [5, true, 5],
    [0, true, 2],
  ])('at most %d h, as it is: %s, makes blocks of %d h', (max, asItIs, hours) => {
    expect(blockDurationMs(max * HOUR_MS, asItIs)).toBe(hours * HOUR_MS);
  });
});
