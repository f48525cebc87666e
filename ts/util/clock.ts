/**
 * Time as the server sees it. Nothing else in ts/ reads the wall clock or sets a timer directly, so
 * that tests move time by hand.
 */

/** Stops a timer; calling it twice, or after the timer fired, does nothing. */
export type CancelTimer = () => void;

/** Where the time comes from. All values in milliseconds. */
export interface Clock {
  /** Milliseconds since the Unix epoch, with fractions; may jump. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Calls `callback` once, `delayMs` from now (at once for 0 or less, but never synchronously). */
  setTimer(delayMs: number, callback: () => void): CancelTimer;
}

/** Node's timers fire at once beyond this delay; longer ones are waited for in parts. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now() + wallDriftMs(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback) {
    let timer: ReturnType<typeof setTimeout>;
    const arm = (leftMs: number): void => {
      timer =
        leftMs > TIMER_MAX_MS
          ? setTimeout(() => arm(leftMs - TIMER_MAX_MS), TIMER_MAX_MS)
          : setTimeout(callback, Math.max(0, Math.ceil(leftMs)));
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};

/**
 * `performance` never follows an adjusted wall clock, `Date` has no fractions: the difference of the
 * two is added as soon as it is more than their granularity.
 */
function wallDriftMs(): number {
  const drift = Date.now() - (performance.timeOrigin + performance.now());
  return Math.abs(drift) > 2 ? drift : 0;
}

/**
 * Waits for `delayMs`; resolves to `false` as soon as `signal` aborts, to `true` otherwise. It never
 * rejects.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const stop = (): void => {
      cancel();
      resolve(false);
    };
    const cancel = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', stop);
      resolve(true);
    });
    signal?.addEventListener('abort', stop, { once: true });
  });
}

interface PendingTimer {
  dueMs: number;
  order: number;
  callback: () => void;
}

/** A clock for tests: time stands still until `advance` moves it. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;
  #order = 0;
  readonly #timers = new Set<PendingTimer>();

  /** Starts at `startMs` since the Unix epoch. */
  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  setTimer(delayMs: number, callback: () => void): CancelTimer {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer is due, `undefined` where none waits. */
  get nextDueMs(): number | undefined {
    return this.#next()?.dueMs;
  }

  /**
   * Moves time forward and fires what becomes due, in order; promises that a timer settles are
   * followed up before the next timer fires.
   */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#nowMs + byMs;
    for (let next = this.#next(); next && next.dueMs <= endMs; next = this.#next()) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }

  /** Moves time forward without firing anything, as for a process that was suspended. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  #next(): PendingTimer | undefined {
    let first: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (!first || timer.dueMs < first.dueMs || (timer.dueMs === first.dueMs && timer.order < first.order)) {
        first = timer;
      }
    }
    return first;
  }
}

/** Lets every promise that is already settled run its reactions. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
