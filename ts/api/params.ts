/**
 * Parameters of routes. A route declares its parameters as an object of readers; they are read in
 * the order declared, so that of several faults the one Prometheus names is named.
 */

import { goDuration, messageOf, quote } from '../util/index.ts';
import { ApiError } from './errors.ts';
import type { Form } from './form.ts';
import { MAX_TIME_MS, MIN_TIME_MS, parseDuration, parseTime } from './time.ts';

/** Reads one parameter of the given name; throws `ApiError`. */
export type Param<T> = (form: Form, name: string) => T;

/** What reading `Spec` gives. */
export type Params<Spec extends Record<string, Param<unknown>>> = { [Name in keyof Spec]: ReturnType<Spec[Name]> };

export function readParams<Spec extends Record<string, Param<unknown>>>(spec: Spec, form: Form): Params<Spec> {
  const values: Record<string, unknown> = {};
  for (const [name, read] of Object.entries(spec)) values[name] = read(form, name);
  return values as Params<Spec>;
}

/** Any text; '' where absent. */
export const text: Param<string> = (form, name) => form.get(name);

/** All values of a repeated parameter. */
export const list: Param<string[]> = (form, name) => [...form.all(name)];

/** A time that must be there. */
export const requiredTime: Param<number> = (form, name) => guarded(name, () => parseTime(form.get(name)));

/** A time with a default. */
export function time(fallback: () => number): Param<number> {
  return (form, name) => {
    const value = form.get(name);
    if (value === '') return fallback();
    return guarded(name, () => parseTime(value), `invalid time value for '${name}': `);
  };
}

/** Start and end of a time range that may be left open. */
export const openStart = time(() => MIN_TIME_MS);
export const openEnd = time(() => MAX_TIME_MS);

/** A resolution step, in milliseconds. */
export const step: Param<number> = (form, name) => {
  const ms = guarded(name, () => parseDuration(form.get(name)));
  if (ms > 0) return ms;
  throw ApiError.invalidParameter(
    name,
    'zero or negative query resolution step widths are not accepted. Try a positive integer',
  );
};

/** A timeout, in milliseconds; `undefined` where absent. */
export const timeout: Param<number | undefined> = (form, name) => {
  const value = form.get(name);
  if (value === '') return undefined;
  const ms = guarded(name, () => parseDuration(value));
  if (ms > 0) return ms;
  throw ApiError.invalidParameter(name, `timeout must be positive, got ${goDuration(ms)}`);
};

/** A lookback, in milliseconds; `undefined` where absent or zero. */
export const lookbackDelta: Param<number | undefined> = (form, name) => {
  const value = form.get(name);
  if (value === '') return undefined;
  try {
    const ms = parseDuration(value);
    return ms > 0 ? ms : undefined;
  } catch (error) {
    throw ApiError.badData(`error parsing lookback delta duration: ${messageOf(error)}`, error);
  }
};

/** How many items to answer at most; 0 for all. */
export const limit: Param<number> = (form, name) => {
  const value = form.get(name);
  if (value === '') return 0;
  const count = guarded(name, () => parseGoInt(value, 'Atoi'));
  if (count < 0) throw ApiError.invalidParameter(name, 'limit must be non-negative');
  return count;
};

/** A number whose fault is told in the given words; `undefined` where absent. */
export function plainNumber(fault: string): Param<number | undefined> {
  return (form, name) => {
    const value = form.get(name);
    if (value === '') return undefined;
    try {
      return parseGoInt(value, 'Atoi');
    } catch (error) {
      throw ApiError.badData(fault, error);
    }
  };
}

/** A whole number as Go's strconv reads it; throws `RangeError` in its words. */
export function parseGoInt(value: string, func: 'Atoi' | 'ParseInt'): number {
  if (!/^[+-]?\d+$/.test(value)) throw new RangeError(`strconv.${func}: parsing ${quote(value)}: invalid syntax`);
  const parsed = Number(value);
  if (Math.abs(parsed) >= 2 ** 63) throw new RangeError(`strconv.${func}: parsing ${quote(value)}: value out of range`);
  return Math.max(Math.min(parsed, Number.MAX_SAFE_INTEGER), Number.MIN_SAFE_INTEGER);
}

const GO_BOOLS: Record<string, boolean> = {
  1: true,
  t: true,
  T: true,
  TRUE: true,
  true: true,
  True: true,
  0: false,
  f: false,
  F: false,
  FALSE: false,
  false: false,
  False: false,
};

/** A truth value as Go's strconv reads it; throws `RangeError` in its words. */
export function parseGoBool(value: string): boolean {
  const parsed = Object.hasOwn(GO_BOOLS, value) ? GO_BOOLS[value] : undefined;
  if (parsed === undefined) throw new RangeError(`strconv.ParseBool: parsing ${quote(value)}: invalid syntax`);
  return parsed;
}

/** Turns a thrown error into Prometheus' words for a bad parameter. */
export function guarded<T>(name: string, read: () => T, prefix = ''): T {
  try {
    return read();
  } catch (error) {
    throw ApiError.invalidParameter(name, prefix + messageOf(error), error);
  }
}
