/** All targets of one job: which there are, which were dropped, and a loop for each. */

import { type RelabelConfig, relabelRule, type ScrapeConfig, type TargetGroup } from '../config/index.ts';
import type { Engine, LabelSet, Relabeler, Target, TargetOptions } from '../core/engine.ts';
import { type Clock, type Logger, messageOf } from '../util/index.ts';
import { fallbackMediaType } from './accept.ts';
import type { FailureLogs } from './failure-log.ts';
import { PoolClient } from './pool-client.ts';
import { ScrapeLoop } from './scrape-loop.ts';
import type { ScrapeMetrics } from './scrape-metrics.ts';
import { ScrapeTarget } from './scrape-target.ts';
import { candidatesOf, publicLabels } from './target-labels.ts';

/** The part of the engine that scraping needs. */
export type ScrapeEngine = Pick<Engine, 'openTarget' | 'relabeler'>;

/** What a pool works with. */
export interface PoolContext {
  engine: ScrapeEngine;
  clock: Clock;
  logger: Logger;
  metrics: ScrapeMetrics;
  userAgent: string;
  /** Whether targets may answer in zstd. */
  zstd?: boolean;
  offsetSeed: bigint;
  shutdown: AbortSignal;
  /** Takes work that goes on after the call that began it, so that a shutdown can wait for it. */
  background(work: Promise<void>): void;
  failureLogs: FailureLogs;
}

/** A target that relabelling dropped. */
export interface DroppedTarget {
  discoveredLabels: LabelSet;
}

/** What a target of a group turned out to be: a target, none (it was dropped), or a mistake. */
interface Found {
  discovered: LabelSet;
  target?: ScrapeTarget;
  error?: string;
}

interface Running {
  loop: ScrapeLoop;
  /** What the core's memory was opened with; the same again means it can be kept. */
  options: PoolOptions;
}

/** What the core's memory of a target is opened with, as far as the configuration says it. */
interface PoolOptions {
  options: Omit<TargetOptions, 'labels' | 'scrapeTimeoutMs'>;
  /** Tells it from others. */
  key: string;
}

export class ScrapePool {
  readonly #context: PoolContext;
  #config: ScrapeConfig;
  #client: PoolClient;
  #options: PoolOptions;
  /** Absent where there are no rules. */
  #relabeler: Relabeler | undefined;
  /** What became of each group under the current configuration. */
  #found = new WeakMap<TargetGroup, Found[]>();
  #running = new Map<string, Running>();
  #dropped: DroppedTarget[] = [];
  #droppedCount = 0;
  /** Whether the loops still run with an older configuration. */
  #outdated = false;
  #oldClients: PoolClient[] = [];

  /** @throws EngineError for a relabelling rule that does not compile */
  constructor(config: ScrapeConfig, context: PoolContext) {
    this.#context = context;
    this.#config = config;
    this.#options = poolOptions(config);
    this.#relabeler = this.#compile(config.relabel_configs, config);
    this.#client = new PoolClient(config, context.clock, context.userAgent, context.zstd);
    context.metrics.targetLimit.set([config.job_name], config.target_limit);
  }

  get config(): ScrapeConfig {
    return this.#config;
  }

  get active(): ScrapeTarget[] {
    return [...this.#running.values()].map(({ loop }) => loop.target);
  }

  get dropped(): readonly DroppedTarget[] {
    return this.#dropped;
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  /**
   * Takes a new configuration; the loops take it with the next sync. On failure the old one stays.
   * @throws EngineError for a relabelling rule that does not compile
   */
  reload(config: ScrapeConfig): void {
    this.#relabeler = this.#compile(config.relabel_configs, config);
    this.#oldClients.push(this.#client);
    this.#client = new PoolClient(config, this.#context.clock, this.#context.userAgent, this.#context.zstd);
    this.#config = config;
    this.#options = poolOptions(config);
    this.#found = new WeakMap();
    this.#outdated = true;
    this.#context.metrics.targetLimit.set([config.job_name], config.target_limit);
  }

  /** Makes the targets of these groups the pool's targets. */
  sync(groups: readonly TargetGroup[]): void {
    const { clock, metrics } = this.#context;
    const job = [this.#config.job_name];
    const startMs = clock.monotonicMs();
    const wanted = this.#populate(groups);
    const restart = this.#outdated;
    this.#outdated = false;
    const next = new Map<string, Running>();
    for (const [identity, target] of wanted) {
      const running = this.#keep(this.#running.get(identity), target, restart);
      if (running) next.set(identity, running);
    }
    for (const [identity, { loop }] of this.#running) if (!next.has(identity)) this.#retire(loop);
    this.#running = next;
    for (const client of this.#oldClients) client.close();
    this.#oldClients = [];
    this.#forceErrors();
    metrics.targets.set(job, next.size);
    metrics.synced(this.#config.job_name, (clock.monotonicMs() - startMs) / 1000);
  }

  /** Ends the pool while the server goes on: its targets are gone for good. */
  retire(): void {
    for (const { loop } of this.#running.values()) this.#retire(loop);
    this.#running.clear();
    this.#client.close();
    this.#context.metrics.forget(this.#config.job_name);
  }

  /** Ends the pool with the server; resolves when no scrape is under way. */
  async stop(): Promise<void> {
    const running = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(running.map(({ loop }) => loop.abandon().then(() => loop.memory.close())));
    this.#client.destroy();
  }

  #populate(groups: readonly TargetGroup[]): Map<string, ScrapeTarget> {
    const { logger, metrics } = this.#context;
    const job = [this.#config.job_name];
    const wanted = new Map<string, ScrapeTarget>();
    const dropped: DroppedTarget[] = [];
    const keep = this.#config.keep_dropped_targets || Number.POSITIVE_INFINITY;
    this.#droppedCount = 0;
    metrics.syncFailed.inc(job, 0);
    for (const { discovered, target, error } of this.#foundIn(groups)) {
      if (error !== undefined) {
        metrics.syncFailed.inc(job);
        logger.error({ scrape_pool: this.#config.job_name, err: error }, 'Creating target failed');
      } else if (!target) {
        this.#droppedCount++;
        if (dropped.length < keep) dropped.push({ discoveredLabels: discovered });
      } else if (!wanted.has(target.identity)) {
        wanted.set(target.identity, target);
      }
    }
    this.#dropped = dropped;
    return wanted;
  }

  /** What these groups hold; a group that was seen before is not looked at again. */
  #foundIn(groups: readonly TargetGroup[]): Found[] {
    const fresh = groups.filter((group) => !this.#found.has(group));
    for (const [group, candidates] of candidatesOf(fresh, this.#config, this.#relabeler)) {
      const found = candidates.map(({ discovered, labels, error }): Found => {
        if (error !== undefined) return { discovered, error };
        if (!labels || Object.keys(publicLabels(labels)).length === 0) return { discovered };
        return { discovered, target: new ScrapeTarget(labels, discovered, this.#config) };
      });
      this.#found.set(group, found);
    }
    return groups.flatMap((group) => this.#found.get(group) ?? []);
  }

  /** The target's loop: the one there is, or a new one; `undefined` where the core refuses the target. */
  #keep(old: Running | undefined, target: ScrapeTarget, restart: boolean): Running | undefined {
    if (old && !restart) {
      old.loop.target.discoveredLabels = target.discoveredLabels;
      return old;
    }
    try {
      // The one at hand may have run before, in a loop that has ended since.
      const fresh = target.isUsed ? new ScrapeTarget(target.allLabels, target.discoveredLabels, this.#config) : target;
      return old ? this.#restart(old, fresh) : this.#open(fresh);
    } catch (error) {
      const { logger, metrics } = this.#context;
      metrics.syncFailed.inc([this.#config.job_name]);
      logger.error({ target: target.scrapeUrl, err: messageOf(error) }, 'Creating target failed');
      return undefined;
    }
  }

  #open(target: ScrapeTarget): Running {
    return this.#run(target, this.#context.engine.openTarget(this.#targetOptions(target)));
  }

  /** The same target under a new configuration: its memory is kept where nothing it depends on changed. */
  #restart(old: Running, target: ScrapeTarget): Running {
    const { lastScrapeMs, lastScrapeDurationSeconds, lastError, health } = old.loop.target;
    if (lastScrapeMs !== undefined) target.report(lastScrapeMs, lastScrapeDurationSeconds, lastError);
    target.health = health;
    // What its labels say is the same, for they tell which target it is.
    if (old.options.key === this.#options.key) return this.#run(target, old.loop.memory, old.loop.stop());
    const memory = this.#context.engine.openTarget(this.#targetOptions(target));
    this.#retire(old.loop);
    return this.#run(target, memory, old.loop.stop());
  }

  #run(target: ScrapeTarget, memory: Target, after?: Promise<void>): Running {
    const extraMetrics = this.#config.extra_scrape_metrics;
    const onFailure = (error: string): void => {
      const { job_name: job, scrape_failure_log_file: file } = this.#config;
      if (file !== '') this.#context.failureLogs.add(file, { error, job, target: target.scrapeUrl });
    };
    const loop = new ScrapeLoop({ ...this.#context, target, memory, client: this.#client, onFailure, extraMetrics });
    loop.start(after);
    return { loop, options: this.#options };
  }

  #retire(loop: ScrapeLoop): void {
    void loop.stop();
    this.#context.background(loop.retire());
  }

  #forceErrors(): void {
    const { target_limit: limit } = this.#config;
    const count = this.#running.size;
    const exceeded = limit > 0 && count > limit;
    if (exceeded) this.#context.metrics.targetLimitExceeded.inc();
    const error = exceeded ? `target_limit exceeded (number of targets: ${count}, limit: ${limit})` : '';
    for (const { loop } of this.#running.values()) loop.forcedError = error;
  }

  #targetOptions(target: ScrapeTarget): TargetOptions {
    const { options } = this.#options;
    return {
      ...options,
      labels: target.labels,
      nativeHistograms: target.flag('__scrape_native_histograms__', options.nativeHistograms),
      alwaysClassicHistograms: target.flag('__always_scrape_classic_histograms__', options.alwaysClassicHistograms),
      classicHistogramsToNhcb: target.flag('__convert_classic_histograms_to_nhcb__', options.classicHistogramsToNhcb),
      scrapeTimeoutMs: target.timeoutMs,
    };
  }

  #compile(rules: RelabelConfig[], config: ScrapeConfig): Relabeler | undefined {
    if (rules.length === 0) return undefined;
    return this.#context.engine.relabeler(rules.map(relabelRule), config.metric_name_validation_scheme);
  }
}

/** One object for all targets of a pool: there may be thousands. */
function poolOptions(config: ScrapeConfig): PoolOptions {
  const options = {
    honorLabels: config.honor_labels,
    honorTimestamps: config.honor_timestamps,
    trackTimestampsStaleness: config.track_timestamps_staleness,
    metricRelabelRules: config.metric_relabel_configs.map(relabelRule),
    validationScheme: config.metric_name_validation_scheme,
    fallbackContentType: fallbackMediaType(config.fallback_scrape_protocol),
    bodySizeLimitBytes: config.body_size_limit,
    sampleLimit: config.sample_limit,
    labelLimit: config.label_limit,
    labelNameLengthLimit: config.label_name_length_limit,
    labelValueLengthLimit: config.label_value_length_limit,
    bucketLimit: config.native_histogram_bucket_limit,
    minBucketFactor: config.native_histogram_min_bucket_factor,
    nativeHistograms: config.scrape_native_histograms,
    alwaysClassicHistograms: config.always_scrape_classic_histograms,
    classicHistogramsToNhcb: config.convert_classic_histograms_to_nhcb,
    extraScrapeMetrics: config.extra_scrape_metrics,
  };
  return { options, key: JSON.stringify(options) };
}
