/**
 * Metadata for receivers of remote write 1.0: every so often what the active targets say of their metric families, each
 * family with each text once, in requests of its own (Prometheus `MetadataWatcher`).
 */

import { setImmediate as breathe } from 'node:timers/promises';
import type { MetricMetadata } from '../core/index.ts';
import { type Clock, type Logger, messageOf, sleep } from '../util/index.ts';

/** Going through targets, other work has its turn after so long. */
const TURN_MS = 5;

export interface MetadataWatcherOptions {
  /** What each active target says, asked for one after the other. */
  targets: () => Iterable<readonly MetricMetadata[]>;
  /** Sends a request's worth; settles when that is done with, one way or the other. */
  send: (metadata: MetricMetadata[], signal: AbortSignal) => Promise<void>;
  intervalMs: number;
  maxPerSend: number;
  clock: Clock;
  logger: Logger;
  /** For every message. */
  fields: object;
}

export class MetadataWatcher {
  readonly #options: MetadataWatcherOptions;
  readonly #soft = new AbortController();
  readonly #hard = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: MetadataWatcherOptions) {
    this.#options = options;
  }

  start(): void {
    const { logger, fields } = this.#options;
    logger.info(fields, 'Starting scraped metadata watcher');
    this.#running = this.#run();
  }

  /** Begins nothing new; what is under way has `deadlineMs` to end. */
  async stop(deadlineMs: number): Promise<void> {
    const { clock, logger, fields } = this.#options;
    this.#soft.abort();
    const cancel = clock.setTimer(deadlineMs, () => {
      logger.error(fields, 'Failed to flush metadata');
      this.#hard.abort();
    });
    await this.#running;
    cancel();
    logger.info(fields, 'Scraped metadata watcher stopped');
  }

  async #run(): Promise<void> {
    const { clock, intervalMs, logger, fields } = this.#options;
    let dueMs = clock.monotonicMs() + intervalMs;
    while (await sleep(clock, Math.max(0, dueMs - clock.monotonicMs()), this.#soft.signal)) {
      await this.#collect().catch((error: unknown) => {
        if (!this.#hard.signal.aborted) logger.error({ ...fields, err: messageOf(error) }, 'Sending metadata failed');
      });
      // One that took longer than the interval is followed by one at once, not by all that were missed.
      dueMs = Math.max(dueMs + intervalMs, clock.monotonicMs());
    }
  }

  async #collect(): Promise<void> {
    const { maxPerSend, send } = this.#options;
    const all = await this.#distinct();
    const most = Math.max(1, maxPerSend);
    for (let i = 0; i < all.length && !this.#hard.signal.aborted; i += most) {
      await send(all.slice(i, i + most), this.#hard.signal);
    }
  }

  async #distinct(): Promise<MetricMetadata[]> {
    const { targets, clock } = this.#options;
    const distinct = new Map<string, MetricMetadata>();
    let turnMs = clock.monotonicMs();
    for (const target of targets()) {
      for (const each of target) {
        const key = JSON.stringify([each.metric, each.type, each.help, each.unit]);
        if (!distinct.has(key)) distinct.set(key, each);
      }
      if (clock.monotonicMs() - turnMs > TURN_MS) {
        await breathe();
        turnMs = clock.monotonicMs();
      }
    }
    return [...distinct.values()];
  }
}
