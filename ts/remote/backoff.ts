/** Trying a request again until it is done with: after how long, and what is asked to be waited for. */

import type { RemoteWriteConfig } from '../config/index.ts';
import { type Clock, sleep } from '../util/index.ts';
import type { PostResult } from './write-client.ts';

export interface Retrying {
  config: Pick<RemoteWriteConfig['queue_config'], 'min_backoff' | 'max_backoff'>;
  clock: Clock;
  signal: AbortSignal;
  /** Posts for the nth time, from 0; `undefined` where that was given up. */
  attempt: (n: number) => Promise<PostResult | undefined>;
  /** Told of each failure before the wait. */
  onFailure: (result: PostResult, waitMs: number, n: number) => void;
  /** Told after the wait. */
  onRetry: () => void;
}

/** Posts until it is taken or refused; `undefined` where it was given up. */
export async function untilDone(retrying: Retrying): Promise<PostResult | undefined> {
  const { config, clock, signal, attempt, onFailure, onRetry } = retrying;
  let backoffMs = config.min_backoff;
  for (let n = 0; !signal.aborted; n++) {
    const result = await attempt(n);
    if (result?.kind !== 'failed') return result;
    const isAsked = result.retryAfterMs > 0;
    // So that many who failed together do not come back together.
    const waitMs = isAsked ? result.retryAfterMs : backoffMs * (0.75 + Math.random() / 2);
    onFailure(result, waitMs, n);
    if (!(await sleep(clock, waitMs, signal))) return undefined;
    onRetry();
    backoffMs = Math.min((isAsked ? result.retryAfterMs : backoffMs) * 2, config.max_backoff);
  }
  return undefined;
}
