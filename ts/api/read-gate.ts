/** Remote reads take turns: so many are answered at once, and the others wait before their bodies are read. */

import type { ServerResponse } from 'node:http';
import { type Clock, Histogram, type MetricFamily, Value } from '../util/index.ts';

/** Said of a client that went away, to whom it may concern. */
const GONE = 'context canceled';

const PREFIX = 'prometheus_remote_read_handler_';

export class ReadGate {
  readonly #clock: Clock;
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #queries = new Value(
    'gauge',
    `${PREFIX}queries`,
    'The current number of remote read queries that are either in execution or queued on the handler.',
  );
  readonly #wait = new Histogram(
    `${PREFIX}gate_wait_duration_seconds`,
    'How long a remote read request spent waiting for the concurrency gate, including requests canceled while waiting.',
    [],
  );

  /** @param limit how many at once; 0 or less: any number, as Prometheus' flag says, though there nothing passes then */
  constructor(limit: number, clock: Clock) {
    this.#clock = clock;
    this.#free = limit > 0 ? limit : Number.POSITIVE_INFINITY;
  }

  /** Settles when it is this request's turn, which ends with its connection or answer. Rejects where the client goes. */
  async enter(raw: ServerResponse): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    try {
      if (this.#free > 0) this.#free -= 1;
      else await this.#turn(raw);
    } finally {
      this.#wait.observe([], (this.#clock.monotonicMs() - startMs) / 1000);
    }
    if (raw.destroyed) {
      // It went between two events, and is not heard of again.
      this.#leave();
      throw new Error(GONE);
    }
    this.#queries.inc();
    raw.once('close', () => {
      this.#queries.inc([], -1);
      this.#leave();
    });
  }

  families(): MetricFamily[] {
    return [this.#queries.family(), this.#wait.family()];
  }

  #turn(raw: ServerResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      const gone = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(new Error(GONE));
      };
      const enter = () => {
        raw.off('close', gone);
        resolve();
      };
      raw.once('close', gone);
      this.#waiting.push(enter);
    });
  }

  /** The place goes to whoever waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
