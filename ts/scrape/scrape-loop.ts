/**
 * Scrapes one target at its interval: one scrape in flight, timestamps on a steady grid, stale
 * markers once the target is gone for good.
 */

import type { ScrapeReport, Target } from '../core/engine.ts';
import { Attempt } from '../http/index.ts';
import { type Clock, goDuration, type Logger, messageOf, sleep } from '../util/index.ts';
import { type PoolClient, ScrapeFailure } from './pool-client.ts';
import type { ScrapeMetrics } from './scrape-metrics.ts';
import type { ScrapeTarget } from './scrape-target.ts';

/** A scrape this close to its turn gets its turn's timestamp, which compresses better. */
const TOLERANCE_MS = 2;

/** What a loop works with. */
export interface ScrapeLoopOptions {
  target: ScrapeTarget;
  /** The core's memory of the target; whoever opened it closes it. */
  memory: Target;
  client: PoolClient;
  clock: Clock;
  logger: Logger;
  metrics: ScrapeMetrics;
  offsetSeed: bigint;
  /** Aborts when the server stops: a target that is gone is not marked any more. */
  shutdown: AbortSignal;
  /** Whether the duration of scrapes is counted, too. */
  extraMetrics: boolean;
  /** Hears of scrapes that brought no body that could be read. */
  onFailure(error: string): void;
}

export class ScrapeLoop {
  readonly target: ScrapeTarget;
  readonly memory: Target;
  /** Why the target must not be scraped, '' where it may. */
  forcedError = '';
  readonly #options: ScrapeLoopOptions;
  /** What is asked for at the moment, and can be given up. */
  #attempt: Attempt | undefined;
  #isStopped = false;
  #isAbandoned = false;
  /** Ends the wait for the next turn. */
  #wake: (() => void) | undefined;
  #done: Promise<void> = Promise.resolve();
  /** As metrics name it. */
  readonly #interval: string;
  /** Monotonic time of the last scrape's start. */
  #lastMs: number | undefined;

  constructor(options: ScrapeLoopOptions) {
    this.#options = options;
    this.target = options.target;
    this.#interval = goDuration(options.target.intervalMs);
    this.memory = options.memory;
    this.target.attach(options.memory);
  }

  /** Starts scraping once `after` is settled; call it once. */
  start(after: Promise<unknown> = Promise.resolve()): void {
    this.#done = after
      .catch(() => undefined)
      .then(() => this.#run())
      .catch((error: unknown) => {
        this.#options.logger.error({ target: this.target.scrapeUrl, err: messageOf(error) }, 'Scrape loop failed');
      });
  }

  /** Scrapes no more; resolves when the scrape under way is over. */
  stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    return this.#done;
  }

  /** Scrapes no more and gives up the request under way, of which nothing is recorded. */
  abandon(): Promise<void> {
    this.#isAbandoned = true;
    this.#attempt?.abort(new Error('context canceled'));
    return this.stop();
  }

  /**
   * After `stop`: waits until the target would have come back, then marks its series as stale and
   * forgets its memory. Where the server stops meanwhile, nothing is marked.
   */
  async retire(): Promise<void> {
    const { clock, logger, shutdown } = this.#options;
    const abandon = (): void => void this.abandon();
    shutdown.addEventListener('abort', abandon, { once: true });
    try {
      await this.#done;
      if (this.target.lastScrapeMs === undefined) return;
      const { intervalMs } = this.target;
      const nowMs = clock.monotonicMs();
      const sinceMs = nowMs - (this.#lastMs ?? nowMs);
      if (!(await sleep(clock, intervalMs - (sinceMs % intervalMs), shutdown))) return;
      const staleMs = Math.floor(clock.nowMs());
      if (!(await sleep(clock, intervalMs * 1.1, shutdown))) return;
      await this.memory.markStale(staleMs);
    } catch (error) {
      logger.warn({ target: this.target.scrapeUrl, err: messageOf(error) }, 'Stale append failed');
    } finally {
      shutdown.removeEventListener('abort', abandon);
      this.memory.close();
    }
  }

  async #run(): Promise<void> {
    const { clock, offsetSeed, metrics } = this.#options;
    const { intervalMs } = this.target;
    await this.#wait(this.target.offsetMs(clock.nowMs(), offsetSeed));
    let dueMs = clock.monotonicMs();
    let alignedMs = clock.nowMs();
    const tolerance = Math.min(intervalMs / 100, TOLERANCE_MS);
    while (!this.#isStopped) {
      const nowMs = clock.nowMs();
      alignedMs += Math.floor((nowMs - alignedMs + tolerance) / intervalMs) * intervalMs;
      await this.#scrape(Math.floor(Math.abs(nowMs - alignedMs) <= tolerance ? alignedMs : nowMs));
      dueMs += intervalMs;
      const lateMs = clock.monotonicMs() - dueMs;
      if (lateMs >= intervalMs) {
        // As with Go's ticker one turn is kept, the others are lost.
        const lost = Math.floor(lateMs / intervalMs);
        metrics.missed.inc([], lost);
        dueMs += lost * intervalMs;
      }
      await this.#wait(dueMs - clock.monotonicMs());
    }
  }

  /** Waits for a turn, or until it is stopped. */
  #wait(delayMs: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.setTimer(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  async #scrape(timestampMs: number): Promise<void> {
    const { clock, logger, metrics } = this.#options;
    const startMs = clock.monotonicMs();
    if (this.#lastMs !== undefined) {
      metrics.repeated(this.#interval, (startMs - this.#lastMs) / 1000);
    }
    this.#lastMs = startMs;
    const elapsed = (): number => (clock.monotonicMs() - startMs) / 1000;
    let error: string;
    try {
      const outcome = await this.#record(timestampMs, elapsed);
      if (!outcome) return;
      metrics.count(outcome.report, outcome.error);
      error = outcome.error;
    } catch (thrown) {
      error = messageOf(thrown);
      if ((thrown as { code?: unknown }).code === 'OVERLOADED') metrics.missed.inc();
      logger.warn({ target: this.target.scrapeUrl, err: error }, 'Scrape commit failed');
    }
    if (error !== '') logger.debug({ target: this.target.scrapeUrl, err: error }, 'Scrape failed');
    const seconds = elapsed();
    if (this.#options.extraMetrics) metrics.scrapeDuration.observe([], seconds);
    this.target.report(timestampMs, seconds, error);
  }

  /** Fetches and hands over; `undefined` where the scrape was abandoned. */
  async #record(timestampMs: number, elapsed: () => number): Promise<Outcome | undefined> {
    const fail = async (error: string): Promise<Outcome> => {
      const report = await this.memory.fail({ timestampMs, elapsedSeconds: elapsed(), error });
      return { report, error };
    };
    if (this.forcedError !== '') return fail(this.forcedError);
    if (this.#isAbandoned) return undefined;
    let body: Awaited<ReturnType<PoolClient['fetch']>>;
    try {
      const attempt = new Attempt();
      this.#attempt = attempt;
      body = await this.#options.client.fetch(this.target, attempt);
    } catch (error) {
      if (this.#isAbandoned) return undefined;
      if (!(error instanceof ScrapeFailure)) throw error;
      this.#options.onFailure(error.message);
      return fail(error.message);
    } finally {
      // It holds on to the answer, which is not to be kept until the next one.
      this.#attempt = undefined;
    }
    const report = await this.memory.ingest({ ...body, timestampMs, elapsedSeconds: elapsed() });
    const { error = '' } = report;
    if (error !== '' && isUnreadable(error, body.contentEncoding)) this.#options.onFailure(error);
    return { report, error };
  }
}

/** Whether the body was too large or its compression broken; what else is wrong with one is no failure of the scrape. */
function isUnreadable(error: string, contentEncoding: string): boolean {
  if (error === 'body size limit exceeded') return true;
  return contentEncoding !== '' && /^(?:gzip|flate|zstd): |^(?:unexpected )?EOF$/.test(error);
}

/** What a scrape came to; `error` is '' where it went well. */
interface Outcome {
  report: ScrapeReport;
  error: string;
}
