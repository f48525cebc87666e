/** Brings the core's log lines into the process' log. */

import type { Engine } from '../core/index.ts';
import type { Clock, Logger } from '../util/index.ts';

const POLL_MS = 1000;

/** Forwards what the core says until the returned function is called, which forwards the rest. */
export function forwardLogs(engine: Engine, clock: Clock, logger: Logger): () => void {
  let cancel = clock.setTimer(POLL_MS, poll);
  function poll(): void {
    forward();
    cancel = clock.setTimer(POLL_MS, poll);
  }
  function forward(): void {
    for (const { level, text } of engine.takeLogs()) logger[level]({ component: 'tsdb' }, text);
  }
  forward();
  return () => {
    cancel();
    forward();
  };
}
