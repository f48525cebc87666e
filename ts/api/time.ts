/** Times and durations as Prometheus' API accepts and prints them. */

import { parseDuration as parseUnits, quote } from '../util/index.ts';

/** Earliest and latest time a query can name: what a double holds exactly, some 285,000 years. */
export const MIN_TIME_MS = Number.MIN_SAFE_INTEGER;
export const MAX_TIME_MS = Number.MAX_SAFE_INTEGER;

/** Prometheus' own bounds, which clients send back, and which are no RFC 3339. */
const BOUNDARY_TIMES: Record<string, number> = {
  '-292273086-05-16T16:47:06Z': MIN_TIME_MS,
  '+292277025-08-18T07:12:54.999999999Z': MAX_TIME_MS,
  '292277025-08-18T07:12:54.999999999Z': MAX_TIME_MS,
};

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
/** Sign, digits before and after the point, binary exponent. */
const HEXADECIMAL = /^([+-]?)0[xX](?=\.?[\da-fA-F])([\da-fA-F]*)\.?([\da-fA-F]*)[pP]([+-]?\d+)$/;
/** Go takes underscores between digits, and behind the 0x. */
const UNDERSCORE = { decimal: /(?<=\d)_(?=\d)/g, hexadecimal: /(?<=[\da-f]|0x)_(?=[\da-f])/gi };
const NOT_FINITE = /^[+-]?(inf|infinity|nan)$/i;
const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d+))?(Z|([+-])(\d{2}):(\d{2}))$/;

/** A number as Go's ParseFloat reads it; `undefined` for what is none or is out of range. */
export function parseGoFloat(text: string): number | undefined {
  if (NOT_FINITE.test(text)) {
    if (/nan/i.test(text)) return /^[+-]/.test(text) ? undefined : Number.NaN;
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  const isHexadecimal = /^[+-]?0x/i.test(text);
  const digits = text.replace(isHexadecimal ? UNDERSCORE.hexadecimal : UNDERSCORE.decimal, '');
  const value = DECIMAL.test(digits) ? Number(digits) : parseHexadecimal(digits);
  return Number.isFinite(value) ? value : undefined;
}

function parseHexadecimal(text: string): number {
  const [, sign, whole = '', fraction = '', exponent] = HEXADECIMAL.exec(text) ?? [];
  const size = Number.parseInt(whole + fraction, 16) * 2 ** (Number(exponent) - 4 * fraction.length);
  return sign === '-' ? -size : size;
}

/** Milliseconds of a time given as Unix seconds or RFC 3339; throws `RangeError`. */
export function parseTime(text: string): number {
  const seconds = parseGoFloat(text);
  if (seconds !== undefined) return secondsToMs(seconds);
  const ms = parseRfc3339(text) ?? BOUNDARY_TIMES[text];
  if (ms === undefined) throw new RangeError(`cannot parse ${quote(text)} to a valid timestamp`);
  return ms;
}

/** The fraction is rounded to milliseconds, then cut to nanoseconds, as Prometheus does. */
function secondsToMs(seconds: number): number {
  if (Number.isNaN(seconds)) return MIN_TIME_MS;
  const whole = Math.trunc(seconds);
  if (Math.abs(whole) >= MAX_TIME_MS / 1000) return whole < 0 ? MIN_TIME_MS : MAX_TIME_MS;
  const fraction = seconds - whole;
  const rounded = (Math.sign(fraction) * Math.round(Math.abs(fraction) * 1000)) / 1000;
  return whole * 1000 + Math.floor(Math.trunc(rounded * 1e9) / 1e6);
}

function parseRfc3339(text: string): number | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDate = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isDate || hour > 23 || minute > 59 || second > 59) return undefined;
  const [zoneHours, zoneMinutes] = [Number(match[10] ?? 0), Number(match[11] ?? 0)];
  if (zoneHours > 24 || zoneMinutes > 59) return undefined;
  const offset = (match[9] === '-' ? -1 : 1) * (zoneHours * 60 + zoneMinutes);
  const ms = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  return date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1000 + ms;
}

/** Largest duration Go can hold, some 292 years. */
const MAX_DURATION_MS = 2 ** 63 / 1e6;

/** Milliseconds, with fraction, of a duration given as seconds or as `1h30m`; throws `RangeError`. */
export function parseDuration(text: string): number {
  const seconds = parseGoFloat(text);
  if (seconds !== undefined) {
    const ms = seconds * 1000;
    if (Number.isNaN(ms) || ms >= MAX_DURATION_MS || ms < -MAX_DURATION_MS) {
      throw new RangeError(`cannot parse ${quote(text)} to a valid duration. It overflows int64`);
    }
    return Math.trunc(ms * 1e6) / 1e6;
  }
  try {
    return parseUnits(text);
  } catch (error) {
    throw new RangeError(`cannot parse ${quote(text)} to a valid duration`, { cause: error });
  }
}
