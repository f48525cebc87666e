/** Values on the command line of `narthex tsdb`, read as promtool reads them. */

import { EngineError } from '../core/index.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DEFAULT_BLOCK_MS = 2 * HOUR_MS;
/** Blocks grow threefold from one range to the next; there are so many ranges. */
const BLOCK_RANGES = 10;

/** Prometheus' units of Go's durations, in milliseconds. */
const GO_UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: MINUTE_MS,
  h: HOUR_MS,
};

/** A value that is not what its flag wants; promtool's exit code for it is 1. */
export function wrongValue(message: string): EngineError {
  return new EngineError('INVALID_ARGUMENT', message);
}

/** A whole number. @throws EngineError */
export function integer(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw wrongValue(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  return Number(text);
}

/** A duration as Go writes it (`1h30m`, `1.5s`), in milliseconds. @throws EngineError */
export function goDuration(text: string): number {
  if (text === '0') return 0;
  const match = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.exec(text);
  if (!match) throw wrongValue(`time: invalid duration "${text}"`);
  let ms = 0;
  for (const [, number, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(number) * (GO_UNITS[unit ?? ''] ?? 0);
  }
  return match[1] === '-' ? -ms : ms;
}

/** A time, in milliseconds: seconds since 1970, or RFC 3339. @throws EngineError */
export function time(text: string): number {
  const seconds = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isFinite(seconds)) return seconds * 1000;
  const date = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(date)) throw wrongValue(`cannot parse "${text}" to a valid timestamp`);
  return date;
}

/** A label, `name=value` or `name:value`. @throws EngineError */
export function label(text: string): [name: string, value: string] {
  const at = text.search(/[:=]/);
  if (at < 0) throw wrongValue(`expected KEY=VALUE got '${text}'`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** How long blocks become: the longest of Prometheus' ranges that is not longer than `maxMs`, 2 h at least. */
export function blockDurationMs(maxMs: number, asItIs: boolean): number {
  if (asItIs && maxMs >= 1) return Math.trunc(maxMs);
  let duration = DEFAULT_BLOCK_MS;
  for (let i = 1; i < BLOCK_RANGES && duration * 3 <= maxMs; i++) duration *= 3;
  return duration;
}
