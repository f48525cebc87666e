/** The storage's settings: what the file says, and what stands in for what it leaves out. */

import { type Config, tsdbType } from '../config/index.ts';
import type { EngineFeature, StorageSettings } from '../core/engine.ts';
import { formatBytes, formatDuration, type Logger } from '../util/index.ts';
import type { StorageOptions } from './options.ts';

const DAY_MS = 86_400_000;
/** Where neither flags nor file say anything. */
const RETENTION_DEFAULT_MS = 15 * DAY_MS;
const BLOCK_DURATION_DEFAULT_MS = 7_200_000;
const BLOCK_DURATION_MAX_MS = 31 * DAY_MS;
const EXEMPLARS_DEFAULT = 100_000;

/**
 * Fills in what the file leaves out, as Prometheus does, so that status/config shows what is in force: where it has
 * no `retention`, the flags' or 15 days; with the feature `exemplar-storage`, room for 100,000 exemplars.
 */
export function fillStorage({ storage }: Config, flags: StorageOptions, features: readonly EngineFeature[]): void {
  storage.tsdb ??= tsdbType.zero();
  const [time, size] = [flags.retentionMs ?? 0, Math.max(flags.retentionBytes ?? 0, 0)];
  const unset = time === 0 && size === 0;
  storage.tsdb.retention ??= { time: unset ? RETENTION_DEFAULT_MS : time, size, percentage: 0 };
  if (features.includes('exemplar-storage')) storage.exemplars ??= { max_exemplars: EXEMPLARS_DEFAULT };
}

/** What the engine is to do, from a configuration that is filled in. */
export function storageSettings({ storage }: Config): StorageSettings {
  const { tsdb, exemplars } = storage;
  const floats = tsdb?.chunk_encoding.floats;
  return {
    outOfOrderTimeWindowMs: tsdb?.out_of_order_time_window ?? 0,
    ...(floats === 'xor' || floats === 'xor2' ? { floatChunkEncoding: floats } : {}),
    maxExemplars: Math.max(exemplars?.max_exemplars ?? 0, 0),
    retentionMs: tsdb?.retention?.time ?? 0,
    retentionBytes: tsdb?.retention?.size ?? 0,
    retentionPercentage: tsdb?.retention?.percentage ?? 0,
    // Prometheus takes any number; one below 0 is never reached, like 0.
    staleSeriesCompactionThreshold: Math.max(tsdb?.stale_series_compaction_threshold ?? 0, 0),
  };
}

/** The spans of blocks, fixed for the life of the process: the longest follows from the retention at its start. */
export function blockDurations(
  flags: StorageOptions,
  { retentionMs = 0 }: StorageSettings,
): { minBlockDurationMs: number; maxBlockDurationMs: number } {
  const minBlockDurationMs = flags.minBlockDurationMs || BLOCK_DURATION_DEFAULT_MS;
  const tenth = retentionMs > 0 ? Math.floor(retentionMs / 10) : BLOCK_DURATION_MAX_MS;
  const longest = flags.maxBlockDurationMs || Math.min(tenth, BLOCK_DURATION_MAX_MS);
  return { minBlockDurationMs, maxBlockDurationMs: Math.max(longest, minBlockDurationMs) };
}

/** `15d`, `15d or 512MiB or 80%`; '' where nothing is ever deleted. */
export function showRetention({
  retentionMs = 0,
  retentionBytes = 0,
  retentionPercentage = 0,
}: StorageSettings): string {
  const limits = [
    ...(retentionMs > 0 ? [formatDuration(retentionMs)] : []),
    ...(retentionBytes > 0 ? [formatBytes(retentionBytes)] : []),
    ...(retentionPercentage > 0 ? [`${retentionPercentage}%`] : []),
  ];
  return limits.join(' or ');
}

/** Says what retention is in force from now on, where that is something else than `before`. */
export function logRetention(logger: Logger, settings: StorageSettings, before: StorageSettings | undefined): void {
  const shown = showRetention(settings);
  if (before !== undefined && showRetention(before) === shown) return;
  const { retentionMs = 0, retentionBytes = 0, retentionPercentage: percentage = 0 } = settings;
  if (retentionBytes > 0 && percentage > 0) {
    logger.warn({}, 'storage.tsdb.retention.size is ignored, because storage.tsdb.retention.percentage is specified');
  }
  const [duration, size] = [formatDuration(retentionMs), formatBytes(retentionBytes)];
  logger.info({ duration, size, percentage }, 'TSDB retention updated');
}
