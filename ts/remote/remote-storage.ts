/** All queues of remote write: one for each entry of the configuration; entries that stay as they are keep theirs. */

import { createHash } from 'node:crypto';
import { type Config, type RemoteWriteConfig, relabelRule } from '../config/index.ts';
import type { Engine, LabelSet, MetricMetadata } from '../core/index.ts';
import { type Clock, type Logger, type MetricFamily, messageOf } from '../util/index.ts';
import { mergeFamilies } from './queue-metrics.ts';
import { WriteClient } from './write-client.ts';
import { WriteQueue } from './write-queue.ts';

/** Keys of an entry that are understood and not acted on yet. */
const NOT_YET = ['sigv4', 'azuread', 'google_iam'] as const;

export interface RemoteStorageOptions {
  engine: Pick<Engine, 'openSender' | 'remoteMetadata'>;
  clock: Clock;
  logger: Logger;
  userAgent: string;
  /** How long sending may go on at shutdown. */
  flushDeadlineMs: number;
  typeAndUnitLabels: boolean;
  /** What each active target says of its metric families. */
  targetMetadata: () => Iterable<readonly MetricMetadata[]>;
}

/** Two entries that are the same. */
export class RemoteConfigError extends Error {
  override readonly name = 'RemoteConfigError';
  readonly code = 'REMOTE_CONFIG';
}

/** What of a configuration decides about the queues. */
export type RemoteConfig = Pick<Config, 'remote_write' | 'global'>;

/** A queue that is to be. */
interface Planned {
  config: RemoteWriteConfig;
  /** Changes with anything that the queue depends on. */
  identity: string;
  /** Stays when anything but the entry's name, or without one its URL, changes. */
  key: string;
  name: string;
}

export class RemoteStorage {
  readonly #options: RemoteStorageOptions;
  readonly #queues = new Map<string, WriteQueue>();

  constructor(options: RemoteStorageOptions) {
    this.#options = options;
  }

  /** Opens and closes queues as the configuration asks; throws where one cannot be opened, whose entry is left out. */
  async applyConfig({ remote_write: configs, global }: RemoteConfig): Promise<void> {
    const planned = plan(configs, global.external_labels);
    const wanted = new Set(planned.map(({ identity }) => identity));
    const gone = [...this.#queues].filter(([identity]) => !wanted.has(identity));
    // What a queue leaves unsent its successor sends, so nothing waits for a slow other side here.
    await Promise.all(gone.map(([, queue]) => queue.stop(0)));
    for (const [identity] of gone) this.#queues.delete(identity);
    for (const each of planned) {
      if (!this.#queues.has(each.identity)) await this.#open(each, global.external_labels);
    }
  }

  async #open({ config, identity, key, name }: Planned, externalLabels: LabelSet): Promise<void> {
    const { engine, clock, logger, userAgent, typeAndUnitLabels } = this.#options;
    const url = redacted(config.url);
    const fields = { component: 'remote', remote_name: name, url };
    const missing = NOT_YET.filter((option) => config[option] !== undefined);
    if (missing.length > 0) {
      // Requests without credentials would be refused and their samples dropped.
      logger.error(fields, `${missing.join(' and ')} is not supported yet: nothing is sent to this entry`);
      return;
    }
    const queue = config.queue_config;
    const sender = await engine.openSender({
      key,
      name: `${name} ${url}`,
      externalLabels,
      writeRelabelRules: config.write_relabel_configs.map(relabelRule),
      validationScheme: 'utf8',
      typeAndUnitLabels,
      protocol: config.protobuf_message as 'prometheus.WriteRequest' | 'io.prometheus.write.v2.Request',
      sendExemplars: config.send_exemplars,
      sendNativeHistograms: config.send_native_histograms,
      convertNhcbToClassic: config.convert_nhcb_to_classic,
      maxSamplesPerSend: queue.max_samples_per_send,
      capacity: queue.capacity,
      batchSendDeadlineMs: queue.batch_send_deadline,
      sampleAgeLimitMs: queue.sample_age_limit,
    });
    const client = new WriteClient(config, clock, userAgent);
    const metadata = {
      targets: this.#options.targetMetadata,
      body: (families: MetricMetadata[]) => engine.remoteMetadata(families),
    };
    const opened = new WriteQueue({ name, url, config, sender, client, clock, logger, metadata });
    this.#queues.set(identity, opened);
    opened.start();
    logger.info(fields, 'Remote storage started.');
  }

  /** Sends what there is, within the deadline, and closes all queues. */
  async stop(): Promise<void> {
    const { flushDeadlineMs, logger } = this.#options;
    const stopped = [...this.#queues.values()].map((queue) => queue.stop(flushDeadlineMs));
    this.#queues.clear();
    for (const result of await Promise.allSettled(stopped)) {
      if (result.status === 'rejected')
        logger.error({ component: 'remote', err: messageOf(result.reason) }, 'Stopping failed');
    }
  }

  families(): MetricFamily[] {
    return mergeFamilies([...this.#queues.values()].map((queue) => queue.metrics));
  }
}

function plan(configs: readonly RemoteWriteConfig[], externalLabels: LabelSet): Planned[] {
  const seen = new Map<string, number>();
  const whole = new Set<string>();
  return configs.map((config) => {
    const text = JSON.stringify(config);
    if (whole.has(text)) {
      throw new RemoteConfigError(
        `duplicate remote write configs are not allowed, found duplicate for URL: ${redacted(config.url)}`,
      );
    }
    whole.add(text);
    const place = config.name === '' ? `url ${config.url}` : `name ${config.name}`;
    const number = seen.get(place) ?? 0;
    seen.set(place, number + 1);
    const identity = digest(JSON.stringify([config, externalLabels, number]));
    const name = config.name || identity.slice(0, 6);
    return { config, identity, key: digest(`${place} ${number}`).slice(0, 16), name };
  });
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A URL whose password, if it has one, is not told. */
export function redacted(text: string): string {
  const url = new URL(text);
  if (url.password !== '') url.password = 'xxxxx';
  return url.href;
}
