/** What GET /api/v1/status/runtimeinfo tells of the process. */

import { availableParallelism, hostname } from 'node:os';
import type { RuntimeInfo } from '../api/index.ts';

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
