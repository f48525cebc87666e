/** The settings of queries that the configuration may change while the server runs. */

import type { Config } from '../config/index.ts';
import type { EngineFeature, QuerySettings } from '../core/engine.ts';

export function querySettings({ global }: Config): QuerySettings {
  return {
    queryLogFile: global.query_log_file,
    queryMaxSeries: global.query_max_series,
    queryMaxSamplesRead: global.query_max_samples_read,
    queryMaxDurationMs: global.query_max_duration,
  };
}

/** What a query's own limits may not exceed, 0 for any; `undefined` without the feature `query-cost`. */
export function queryCeilings(
  { global }: Config,
  features: readonly EngineFeature[],
  timeoutMs: number,
): { maxSeries: number; maxSamplesRead: number; maxDurationMs: number } | undefined {
  if (!features.includes('query-cost')) return undefined;
  return {
    maxSeries: global.query_max_series,
    maxSamplesRead: global.query_max_samples_read,
    maxDurationMs: global.query_max_duration > 0 ? global.query_max_duration : timeoutMs,
  };
}
