/** Discovery and scraping wired together, as the rest of the server sees them. */

import type { DroppedTargetView, TargetsView, TargetView } from '../api/index.ts';
import { type LoadResult, preferProtobuf, type ScrapeConfig, scrapeConfigToYaml } from '../config/index.ts';
import { type Engine, EngineError, type EngineFeature, type MetricMetadata } from '../core/index.ts';
import { DiscoveryManager } from '../discovery/index.ts';
import { undici } from '../http/index.ts';
import type { ScrapeManager } from '../scrape/index.ts';
import type { Clock, Logger, MetricFamily } from '../util/index.ts';
import { narthexVersion } from './version.ts';

/** The core gets so long to finish the scrapes it has taken. */
const STOP_GRACE_MS = 2000;
/** A scrape that comes first loads its client itself. */
const PREPARE_AFTER_MS = 100;

export interface ScrapingOptions {
  clock: Clock;
  logger: Logger;
  extraScrapeMetrics: boolean;
  features: readonly EngineFeature[];
}

export class Scraping implements TargetsView {
  readonly #options: ScrapingOptions;
  readonly #discovery: DiscoveryManager;
  #manager: ScrapeManager | undefined;
  #isStopped = false;

  constructor(options: ScrapingOptions) {
    this.#options = options;
    this.#discovery = new DiscoveryManager({
      clock: options.clock,
      logger: options.logger,
      onUpdate: (sets) => this.#manager?.syncTargets(sets),
    });
  }

  /** Begins to scrape into `engine`. */
  async start(engine: Engine, config: LoadResult): Promise<void> {
    const { clock, logger } = this.#options;
    const { ScrapeManager } = await import('../scrape/index.ts');
    if (this.#isStopped) return;
    const userAgent = `Narthex/${narthexVersion()}`;
    const zstd = this.#options.features.includes('zstd-scrape');
    this.#manager = new ScrapeManager({ engine, clock, logger, userAgent, zstd });
    await this.#apply(this.#manager, config);
  }

  /** Loads what the first scrape needs, once those who waited for the server have their answers. */
  prepare(): void {
    this.#options.clock.setTimer(PREPARE_AFTER_MS, () => {
      undici().catch(() => undefined);
    });
  }

  /** Takes a new configuration; throws where a job could not take it. */
  async reload(config: LoadResult): Promise<void> {
    if (this.#manager !== undefined) await this.#apply(this.#manager, config);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all([this.#discovery.stop(), this.#manager?.stop(STOP_GRACE_MS)]);
  }

  metrics(): MetricFamily[] {
    return [...this.#discovery.families(), ...(this.#manager?.families() ?? [])];
  }

  pools(): readonly string[] {
    return this.#manager?.pools() ?? [];
  }

  poolConfigYaml(pool: string): string | undefined {
    const config = this.#manager?.poolConfig(pool);
    return config && scrapeConfigToYaml(config);
  }

  active(): ReadonlyMap<string, readonly TargetView[]> {
    return this.#manager?.active() ?? new Map();
  }

  /** What each active target says of its metric families. */
  *metadata(): Iterable<readonly MetricMetadata[]> {
    for (const target of [...this.active().values()].flat()) {
      try {
        yield target.metadata();
      } catch (error) {
        // One that went away meanwhile.
        if (!(error instanceof EngineError)) throw error;
      }
    }
  }

  dropped(): ReadonlyMap<string, readonly DroppedTargetView[]> {
    return this.#manager?.dropped() ?? new Map();
  }

  droppedCounts(): Record<string, number> {
    return this.#manager?.droppedCounts() ?? {};
  }

  async #apply(manager: ScrapeManager, { config, scrapeConfigs }: LoadResult): Promise<void> {
    const { extraScrapeMetrics, features } = this.#options;
    const wantsStarts = features.includes('st-storage') || features.includes('created-timestamp-zero-ingestion');
    const asked = wantsStarts ? scrapeConfigs.map(preferProtobuf) : scrapeConfigs;
    const configs = extraScrapeMetrics ? asked.map(withExtraMetrics) : asked;
    try {
      manager.applyConfig(configs, config.global.external_labels);
    } finally {
      await this.#discovery.applyConfig(configs);
    }
  }
}

function withExtraMetrics(config: ScrapeConfig): ScrapeConfig {
  return { ...config, extra_scrape_metrics: true };
}
