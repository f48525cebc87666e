/** All servers that are read from: one for each entry of `remote_read`; entries that stay as they are keep their connections. */

import type { Config, RemoteReadConfig } from '../config/index.ts';
import type { RemoteEndpoint, RemoteReader } from '../core/index.ts';
import type { Clock, MetricFamily } from '../util/index.ts';
import { ReadClient } from './read-client.ts';
import { ReadMetrics } from './read-metrics.ts';
import { digest, redacted } from './remote-storage.ts';

export interface ReadStorageOptions {
  clock: Clock;
  userAgent: string;
}

/** What of a configuration decides about the servers. */
export type RemoteReadSettings = Pick<Config, 'remote_read' | 'global'>;

const NEVER = new AbortController().signal;

export class ReadStorage {
  readonly #options: ReadStorageOptions;
  readonly #metrics = new ReadMetrics();
  #clients = new Map<string, ReadClient>();
  #reader: RemoteReader | undefined;

  constructor(options: ReadStorageOptions) {
    this.#options = options;
  }

  /** Takes a configuration; one that is refused changes nothing. @throws Error naming what is wrong */
  applyConfig({ remote_read: configs, global }: RemoteReadSettings): void {
    const planned = new Map<string, RemoteReadConfig>();
    for (const config of configs) {
      const identity = digest(JSON.stringify(config));
      if (planned.has(identity)) {
        throw new Error(
          `duplicate remote read configs are not allowed, found duplicate for URL: ${redacted(config.url)}`,
        );
      }
      planned.set(identity, config);
    }
    const clients = new Map<string, ReadClient>();
    const endpoints: RemoteEndpoint[] = [];
    for (const [identity, config] of planned) {
      const url = redacted(config.url);
      const name = config.name || identity.slice(0, 6);
      const client = this.#clients.get(identity) ?? this.#client(config, name, url);
      clients.set(identity, client);
      endpoints.push({
        externalLabels: config.filter_external_labels ? global.external_labels : {},
        requiredMatchers: config.required_matchers,
        readRecent: config.read_recent,
        chunkedReadLimit: config.chunked_read_limit,
      });
    }
    for (const [identity, client] of this.#clients) if (!clients.has(identity)) client.close();
    this.#clients = clients;
    this.#reader = clients.size === 0 ? undefined : readerOf([...clients.values()], endpoints);
  }

  /** What reaches the servers of the configuration in force; `undefined` where it names none. */
  reader(): RemoteReader | undefined {
    return this.#reader;
  }

  families(): MetricFamily[] {
    return this.#clients.size === 0 ? [] : this.#metrics.families();
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  #client(config: RemoteReadConfig, name: string, url: string): ReadClient {
    const { clock, userAgent } = this.#options;
    return new ReadClient({ config, name, url, clock, userAgent, metrics: this.#metrics });
  }
}

function readerOf(clients: ReadClient[], endpoints: RemoteEndpoint[]): RemoteReader {
  return {
    endpoints,
    fetch: async (request, signal = NEVER) => {
      const client = clients[request.endpoint];
      if (client === undefined) throw new RangeError(`there is no endpoint ${request.endpoint}`);
      return client.read(request, signal);
    },
  };
}
