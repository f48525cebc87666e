/** Remote write wired into the server; its code is loaded once a configuration asks for it. */

import type { LoadResult } from '../config/index.ts';
import type { Engine, MetricMetadata } from '../core/index.ts';
import type { RemoteStorage } from '../remote/index.ts';
import type { Clock, Logger, MetricFamily } from '../util/index.ts';
import { narthexVersion } from './version.ts';

export interface SendingOptions {
  clock: Clock;
  logger: Logger;
  features: readonly string[];
  /** How long what is left may be sent at shutdown. */
  remoteFlushDeadlineMs: number;
}

/** What each active target says of its metric families. */
export type TargetMetadata = () => Iterable<readonly MetricMetadata[]>;

export class Sending {
  readonly #options: SendingOptions;
  readonly #targetMetadata: TargetMetadata;
  #engine: Engine | undefined;
  #remote: RemoteStorage | undefined;
  #isStopped = false;

  constructor(options: SendingOptions, targetMetadata: TargetMetadata) {
    this.#options = options;
    this.#targetMetadata = targetMetadata;
  }

  /** Begins to send what `engine` takes in. */
  async start(engine: Engine, config: LoadResult): Promise<void> {
    this.#engine = engine;
    await this.reload(config);
  }

  /** Takes a new configuration; throws where a queue could not be opened. */
  async reload({ config }: LoadResult): Promise<void> {
    if (this.#engine === undefined || this.#isStopped) return;
    if (this.#remote === undefined) {
      if (config.remote_write.length === 0) return;
      const { clock, logger, features, remoteFlushDeadlineMs } = this.#options;
      const { RemoteStorage } = await import('../remote/index.ts');
      this.#remote = new RemoteStorage({
        engine: this.#engine,
        clock,
        logger,
        userAgent: `Narthex/${narthexVersion()}`,
        flushDeadlineMs: remoteFlushDeadlineMs,
        typeAndUnitLabels: features.includes('type-and-unit-labels'),
        targetMetadata: this.#targetMetadata,
      });
    }
    await this.#remote.applyConfig(config);
  }

  /** How much longer than without queues stopping may take. */
  get stopLimitMs(): number {
    return this.#remote === undefined ? 0 : this.#options.remoteFlushDeadlineMs;
  }

  /** Sends what there is, within the deadline. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#remote?.stop();
  }

  metrics(): MetricFamily[] {
    return this.#remote?.families() ?? [];
  }
}
