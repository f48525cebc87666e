/**
 * Runs the discovery mechanisms of all jobs and hands on what they find, all jobs at once. Jobs with
 * the same mechanism share it; one that a new configuration still has goes on undisturbed.
 */

import type { FileSdConfig, StaticConfig, TargetGroup } from '../config/index.ts';
import { type CancelTimer, type Clock, type Logger, type MetricFamily, messageOf } from '../util/index.ts';
import type { Discoverer } from './discoverer.ts';
import { DiscoveryMetrics } from './discovery-metrics.ts';
import { FileDiscoverer } from './file/file-discoverer.ts';
import { FileMetrics } from './file/file-metrics.ts';
import { StaticDiscoverer } from './static/static-discoverer.ts';

/** A job, as far as discovery is concerned. */
export interface DiscoveryJob {
  job_name: string;
  static_configs: StaticConfig[];
  file_sd_configs: FileSdConfig[];
}

/** All target groups of all jobs, by job. */
export type TargetSets = ReadonlyMap<string, readonly TargetGroup[]>;

export interface DiscoveryManagerOptions {
  clock: Clock;
  logger: Logger;
  /** Takes every change. */
  onUpdate(sets: TargetSets): void;
}

/** First pause between two updates handed on, and the longest where they keep coming. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5000;

/** How long a new mechanism may take until the others are handed on without it. */
const FIRST_WAIT_MS = 2000;

interface Provider {
  jobs: Set<string>;
  groups: Map<string, TargetGroup>;
  /** Whether it has emitted anything yet. */
  ready: boolean;
  abort: AbortController;
  done: Promise<void>;
}

export class DiscoveryManager {
  readonly #options: DiscoveryManagerOptions;
  readonly #metrics = new DiscoveryMetrics('scrape');
  readonly #fileMetrics = new FileMetrics();
  readonly #providers = new Map<string, Provider>();
  #jobs: string[] = [];
  #cancelFlush: CancelTimer | undefined;
  #pauseMs = PAUSE_MIN_MS;
  #sentMs = Number.NEGATIVE_INFINITY;
  #appliedMs = Number.NEGATIVE_INFINITY;

  constructor(options: DiscoveryManagerOptions) {
    this.#options = options;
  }

  /** Starts what is new, stops what is gone and leaves the rest running. */
  async applyConfig(jobs: readonly DiscoveryJob[]): Promise<void> {
    const wanted = new Map<string, { jobs: Set<string>; make: () => Discoverer }>();
    for (const job of jobs) {
      for (const { key, make } of this.#mechanisms(job)) {
        const entry = wanted.get(key) ?? { jobs: new Set<string>(), make };
        wanted.set(key, { ...entry, jobs: entry.jobs.add(job.job_name) });
      }
    }
    const names = jobs.map((job) => job.job_name);
    for (const gone of this.#jobs) if (!names.includes(gone)) this.#metrics.forget(gone);
    this.#jobs = names;
    this.#appliedMs = this.#options.clock.monotonicMs();
    const stopped: Promise<void>[] = [];
    for (const [key, provider] of this.#providers) {
      if (wanted.has(key)) continue;
      this.#providers.delete(key);
      provider.abort.abort();
      stopped.push(provider.done);
    }
    for (const [key, { jobs: users, make }] of wanted) {
      const running = this.#providers.get(key);
      if (running) running.jobs = users;
      else this.#start(key, users, make());
    }
    this.#schedule();
    await Promise.all(stopped);
  }

  /** Stops all mechanisms; nothing is handed on any more. */
  async stop(): Promise<void> {
    this.#cancelFlush?.();
    const providers = [...this.#providers.values()];
    this.#providers.clear();
    for (const provider of providers) provider.abort.abort();
    await Promise.all(providers.map((provider) => provider.done));
  }

  /** The metrics of the manager and of all mechanisms. */
  families(): MetricFamily[] {
    return [...this.#metrics.families(), ...this.#fileMetrics.families()];
  }

  #mechanisms(job: DiscoveryJob): { key: string; make: () => Discoverer }[] {
    const { clock, logger } = this.#options;
    const mechanisms = job.file_sd_configs.map((config) => ({
      key: `file ${JSON.stringify(config)}`,
      make: (): Discoverer => new FileDiscoverer({ config, clock, logger, metrics: this.#fileMetrics }),
    }));
    if (job.static_configs.length > 0) {
      mechanisms.push({
        key: `static ${JSON.stringify(job.static_configs)}`,
        make: () => new StaticDiscoverer(job.static_configs),
      });
    }
    return mechanisms;
  }

  #start(key: string, jobs: Set<string>, discoverer: Discoverer): void {
    const abort = new AbortController();
    const provider: Provider = { jobs, groups: new Map(), ready: false, abort, done: Promise.resolve() };
    this.#providers.set(key, provider);
    const emit = (groups: TargetGroup[]): void => {
      if (abort.signal.aborted) return;
      this.#metrics.received();
      provider.ready = true;
      for (const group of groups) {
        if (group.targets.length > 0) provider.groups.set(group.source, group);
        else provider.groups.delete(group.source);
      }
      this.#schedule();
    };
    provider.done = discoverer.run(abort.signal, emit).catch((error: unknown) => {
      this.#options.logger.error({ err: messageOf(error) }, 'Service discovery stopped');
    });
  }

  #schedule(): void {
    if (this.#cancelFlush) return;
    const { clock } = this.#options;
    const sinceMs = clock.monotonicMs() - this.#sentMs;
    if (sinceMs > PAUSE_MAX_MS) this.#pauseMs = PAUSE_MIN_MS;
    const delayMs = Math.max(0, this.#pauseMs - sinceMs);
    if (delayMs > 0) this.#metrics.delayed();
    this.#cancelFlush = clock.setTimer(delayMs, () => this.#flush());
  }

  #flush(): void {
    this.#cancelFlush = undefined;
    const { clock, logger, onUpdate } = this.#options;
    const providers = [...this.#providers.values()];
    const waitedMs = clock.monotonicMs() - this.#appliedMs;
    if (waitedMs < FIRST_WAIT_MS && providers.some((provider) => !provider.ready)) {
      this.#cancelFlush = clock.setTimer(Math.min(PAUSE_MIN_MS, FIRST_WAIT_MS - waitedMs), () => this.#flush());
      return;
    }
    this.#sentMs = clock.monotonicMs();
    this.#pauseMs = Math.min(PAUSE_MAX_MS, this.#pauseMs * 1.5);
    const sets = new Map<string, TargetGroup[]>(this.#jobs.map((job) => [job, []]));
    for (const provider of providers) {
      for (const job of provider.jobs) sets.get(job)?.push(...provider.groups.values());
    }
    for (const [job, groups] of sets) {
      const targets = groups.reduce((sum, group) => sum + group.targets.length, 0);
      this.#metrics.handedOn(job, targets, clock.nowMs());
    }
    this.#metrics.sent();
    try {
      onUpdate(sets);
    } catch (error) {
      logger.error({ err: messageOf(error) }, 'Taking discovered targets failed');
    }
  }
}
