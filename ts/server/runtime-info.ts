/** What GET /api/v1/status/runtimeinfo tells of the process, and the retention in force. */

import { availableParallelism, hostname } from 'node:os';
import type { RuntimeInfo } from '../api/index.ts';
import type { Config } from '../config/index.ts';
import { formatBytes, formatDuration } from '../util/index.ts';
import type { StorageOptions } from './options.ts';

/** Where neither flags nor file say anything: 15 days. */
const DEFAULT_RETENTION_MS = 15 * 86_400_000;

export interface Retention {
  /** 0: for ever. */
  retentionMs: number;
  /** 0: any size. */
  retentionBytes: number;
}

/** The configuration file's retention where it has one, else the flags', else the default. */
export function retention(config: Config, flags: StorageOptions): Retention {
  const fromFile = config.storage.tsdb?.retention;
  const retentionMs = fromFile?.time ?? flags.retentionMs ?? 0;
  const retentionBytes = fromFile?.size ?? flags.retentionBytes ?? 0;
  const isUnset = retentionMs === 0 && retentionBytes === 0 && fromFile == null;
  return { retentionMs: isUnset ? DEFAULT_RETENTION_MS : retentionMs, retentionBytes };
}

/** `15d`, `15d or 512MiB`; '' where nothing is ever deleted. */
export function showRetention({ retentionMs, retentionBytes }: Retention): string {
  const limits = [
    ...(retentionMs > 0 ? [formatDuration(retentionMs)] : []),
    ...(retentionBytes > 0 ? [formatBytes(retentionBytes)] : []),
  ];
  return limits.join(' or ');
}

/** What changes while the server runs. */
export interface RuntimeState {
  startMs: number;
  nowMs: number;
  reloadSuccessful: boolean;
  lastConfigMs: number;
  corruptions: number;
  storageRetention: string;
}

export function runtimeInfo(state: RuntimeState): RuntimeInfo {
  return {
    startTime: new Date(state.startMs).toISOString(),
    CWD: process.cwd(),
    hostname: hostname(),
    serverTime: new Date(state.nowMs).toISOString(),
    reloadConfigSuccess: state.reloadSuccessful,
    lastConfigTime: new Date(Math.floor(state.lastConfigMs / 1000) * 1000).toISOString(),
    corruptionCount: state.corruptions,
    goroutineCount: 0,
    GOMAXPROCS: availableParallelism(),
    GOMEMLIMIT: 0,
    GOGC: '',
    GODEBUG: '',
    storageRetention: state.storageRetention,
  };
}
