/** All scrape pools: takes configurations and targets, and shows how the targets are. */

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { ScrapeConfig, TargetGroup } from '../config/index.ts';
import type { LabelSet } from '../core/engine.ts';
import { type Clock, goDuration, type Logger, type MetricFamily, messageOf } from '../util/index.ts';
import { FailureLogs } from './failure-log.ts';
import { ScrapeMetrics } from './scrape-metrics.ts';
import { type DroppedTarget, type ScrapeEngine, ScrapePool } from './scrape-pool.ts';
import type { ScrapeTarget } from './scrape-target.ts';

export interface ScrapeManagerOptions {
  engine: ScrapeEngine;
  clock: Clock;
  logger: Logger;
  /** Sent with every scrape, e.g. `Narthex/0.1.0`. */
  userAgent: string;
  /** Whether targets may answer in zstd. */
  zstd?: boolean;
}

/** How a configuration could not be applied. */
export class ScrapeConfigError extends Error {
  override readonly name = 'ScrapeConfigError';
  readonly code = 'SCRAPE_CONFIG_FAILED';
}

export class ScrapeManager {
  readonly #options: ScrapeManagerOptions;
  readonly #metrics = new ScrapeMetrics();
  readonly #failureLogs: FailureLogs;
  readonly #pools = new Map<string, ScrapePool>();
  readonly #background = new Set<Promise<void>>();
  readonly #shutdown = new AbortController();
  #configs = new Map<string, ScrapeConfig>();
  #offsetSeed = 0n;

  constructor(options: ScrapeManagerOptions) {
    this.#options = options;
    this.#failureLogs = new FailureLogs(options.clock, options.logger);
  }

  /**
   * Takes a new configuration. Pools of jobs that are gone end at once; changed ones go on as they
   * are until the next `syncTargets`, which the discovery manager's `applyConfig` brings about.
   * Unchanged ones are not disturbed.
   * The logs of failed scrapes are opened anew.
   * @throws ScrapeConfigError for a log that cannot be opened, and nothing has changed; or for jobs that could not take
   * their configuration, and the others did
   */
  applyConfig(configs: readonly ScrapeConfig[], externalLabels: LabelSet): void {
    try {
      this.#failureLogs.reopen(configs.map((config) => config.scrape_failure_log_file));
    } catch (error) {
      throw new ScrapeConfigError(messageOf(error), { cause: error });
    }
    this.#configs = new Map(configs.map((config) => [config.job_name, config]));
    this.#offsetSeed = seedOf(externalLabels);
    const failed: string[] = [];
    for (const [job, pool] of this.#pools) {
      const config = this.#configs.get(job);
      if (!config) {
        pool.retire();
        this.#pools.delete(job);
      } else if (!isDeepStrictEqual(config, pool.config)) {
        const wrong = this.#reload(pool, config);
        if (wrong !== undefined) failed.push(`${job}: ${wrong}`);
      }
    }
    if (failed.length > 0) throw new ScrapeConfigError(`failed to apply the new configuration: ${failed.join('; ')}`);
  }

  /** Takes the targets of all jobs, as discovery hands them on. */
  syncTargets(sets: ReadonlyMap<string, readonly TargetGroup[]>): void {
    if (this.#shutdown.signal.aborted) return;
    for (const [job, groups] of sets) {
      const config = this.#configs.get(job);
      if (!config) continue;
      const pool = this.#pools.get(job) ?? this.#create(config);
      pool?.sync(groups);
    }
  }

  /**
   * Stops all loops at once: requests are given up, what the core has taken is waited for, for
   * `graceMs` at most. No stale markers are written.
   */
  async stop(graceMs: number): Promise<void> {
    this.#shutdown.abort();
    const ended = Promise.all([...[...this.#pools.values()].map((pool) => pool.stop()), ...this.#background]);
    let cancel = (): void => undefined;
    const graceOver = new Promise<void>((resolve) => {
      cancel = this.#options.clock.setTimer(graceMs, resolve);
    });
    await Promise.race([ended, graceOver]);
    cancel();
    this.#failureLogs.close();
  }

  /** Names of all scrape pools. */
  pools(): readonly string[] {
    return [...this.#pools.keys()];
  }

  /** One pool's configuration, `undefined` where there is no such pool. */
  poolConfig(job: string): ScrapeConfig | undefined {
    return this.#pools.get(job)?.config;
  }

  /** Active targets by pool. */
  active(): ReadonlyMap<string, readonly ScrapeTarget[]> {
    return new Map([...this.#pools].map(([job, pool]) => [job, pool.active]));
  }

  /** Dropped targets by pool, at most as many as are kept. */
  dropped(): ReadonlyMap<string, readonly DroppedTarget[]> {
    return new Map([...this.#pools].map(([job, pool]) => [job, pool.dropped]));
  }

  /** How many targets each pool dropped. */
  droppedCounts(): Record<string, number> {
    return Object.fromEntries([...this.#pools].map(([job, pool]) => [job, pool.droppedCount]));
  }

  families(): MetricFamily[] {
    for (const [job, pool] of this.#pools) this.#metrics.described(job, pool.active);
    return this.#metrics.families();
  }

  #reload(pool: ScrapePool, config: ScrapeConfig): string | undefined {
    const { clock, logger } = this.#options;
    const startMs = clock.monotonicMs();
    this.#metrics.reloads.inc();
    try {
      pool.reload(config);
    } catch (error) {
      this.#metrics.reloadsFailed.inc();
      logger.error({ scrape_pool: config.job_name, err: messageOf(error) }, 'error reloading scrape pool');
      return messageOf(error);
    }
    const interval = [goDuration(config.scrape_interval)];
    this.#metrics.reloadSeconds.observe(interval, (clock.monotonicMs() - startMs) / 1000);
    return undefined;
  }

  #create(config: ScrapeConfig): ScrapePool | undefined {
    this.#metrics.pools.inc();
    try {
      const pool = new ScrapePool(config, {
        ...this.#options,
        metrics: this.#metrics,
        offsetSeed: this.#offsetSeed,
        shutdown: this.#shutdown.signal,
        background: (work) => this.#track(work),
        failureLogs: this.#failureLogs,
      });
      this.#pools.set(config.job_name, pool);
      return pool;
    } catch (error) {
      this.#metrics.poolsFailed.inc();
      const fields = { scrape_pool: config.job_name, err: messageOf(error) };
      this.#options.logger.error(fields, 'error creating new scrape pool');
      return undefined;
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => {
        this.#options.logger.error({ err: messageOf(error) }, 'Retiring a target failed');
      })
      .finally(() => this.#background.delete(tracked));
    this.#background.add(tracked);
  }
}

/** Servers of one name and labels scrape at the same moments, others at other ones. */
function seedOf(externalLabels: LabelSet): bigint {
  const labels = Object.entries(externalLabels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([hostname(), labels]))
    .digest()
    .readBigUInt64BE();
}
