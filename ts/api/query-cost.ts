/** Parameters of queries that the feature `query-cost` adds: limits of one query, and the comparison of costs. */

import type { QueryLimits } from '../core/engine.ts';
import { goDuration, messageOf, quote } from '../util/index.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import type { Form } from './form.ts';
import { guarded, parseGoBool } from './params.ts';
import { parseDuration } from './time.ts';

const UINT_MAX = 2n ** 64n - 1n;

/** What a query asks for itself; a limit above the server's is refused rather than lowered. */
export function costLimits(form: Form, context: ApiContext): Partial<QueryLimits> {
  const ceilings = context.queryCeilings();
  if (ceilings === undefined) return {};
  const maxSeries = unsigned(form, 'max_series');
  const maxSamplesRead = unsigned(form, 'max_samples_read');
  const maxDurationMs = duration(form, 'max_query_duration');
  below('max_series', maxSeries, ceilings.maxSeries, String);
  below('max_samples_read', maxSamplesRead, ceilings.maxSamplesRead, String);
  below('max_query_duration', maxDurationMs, ceilings.maxDurationMs, goDuration);
  return { maxSeries, maxSamplesRead, maxDurationMs };
}

/** Whether the answer is to compare the estimate with the cost. */
export function wantsCost(form: Form, context: ApiContext): boolean {
  const value = form.get('cost');
  if (context.queryCeilings() === undefined || value === '') return false;
  return guarded('cost', () => {
    try {
      return parseGoBool(value);
    } catch (cause) {
      throw new RangeError('must be a boolean', { cause });
    }
  });
}

function unsigned(form: Form, name: string): number {
  const value = form.get(name);
  if (value === '') return 0;
  const fault = (why: string): ApiError =>
    ApiError.badData(`error parsing ${name}: strconv.ParseUint: parsing ${quote(value)}: ${why}`);
  if (!/^\d+$/.test(value)) throw fault('invalid syntax');
  if (BigInt(value) > UINT_MAX) throw fault('value out of range');
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER);
}

function duration(form: Form, name: string): number {
  const value = form.get(name);
  if (value === '') return 0;
  let ms: number;
  try {
    ms = parseDuration(value);
  } catch (error) {
    throw ApiError.badData(`error parsing ${name}: ${messageOf(error)}`, error);
  }
  if (ms < 0) throw ApiError.badData(`error parsing ${name}: must not be negative, got ${goDuration(ms)}`);
  return Math.ceil(ms);
}

/** 0 is no limit on either side. */
function below(name: string, asked: number, ceiling: number, show: (value: number) => string): void {
  if (asked === 0 || ceiling === 0 || asked <= ceiling) return;
  throw ApiError.badData(`requested ${name} of ${show(asked)} exceeds the server limit of ${show(ceiling)}`);
}
