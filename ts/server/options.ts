/** What a server is started with: the command line's flags in the program's own units. */

import type { RemoteReadOptions } from '../api/index.ts';
import type { AgentSettings, EngineFeature, EngineOptions } from '../core/engine.ts';
import type { Clock } from '../util/index.ts';
import type { ConfigSource } from './config-source.ts';
import type { LeveledLogger } from './log.ts';

/** The flags' retention holds where the configuration has none. A duration of 0 stands for the default. */
export type StorageOptions = Pick<
  EngineOptions,
  | 'dir'
  | 'minBlockDurationMs'
  | 'maxBlockDurationMs'
  | 'allowOverlappingCompaction'
  | 'retentionMs'
  | 'retentionBytes'
  | 'walCompression'
  | 'walSegmentBytes'
  | 'walHeldBytesMax'
  | 'noLockfile'
  | 'samplesPerChunk'
  | 'maxBlockChunkSegmentBytes'
  | 'blockReloadIntervalMs'
  | 'delayedCompactionMaxPercent'
  | 'delayCompactFile'
>;

export type QueryOptions = Pick<
  EngineOptions,
  'lookbackDeltaMs' | 'queryTimeoutMs' | 'queryMaxConcurrency' | 'queryMaxSamples' | 'queryMaxMemoryBytes'
>;

export interface WebOptions {
  /** `host:port`, one or more; port 0 takes a free one. */
  listenAddresses: string[];
  /** '' for one made of the host's name and the first port. */
  externalUrl: string;
  /** '' for the path of the external URL. */
  routePrefix: string;
  readTimeoutMs: number;
  maxConnections: number;
  /** Regular expression, anchored at both ends here. */
  corsOrigin: string;
  pageTitle: string;
  enableLifecycle: boolean;
  enableAdminApi: boolean;
  enableRemoteWriteReceiver: boolean;
  /** The messages of remote write that are taken. */
  remoteWriteMessages: string[];
  enableOtlpReceiver: boolean;
  remoteRead: RemoteReadOptions;
}

export interface ServerOptions {
  config: ConfigSource;
  /** How often to look whether the configuration's files have changed; 0: never. */
  autoReloadMs: number;
  storage: StorageOptions;
  /** Makes the server an agent: it scrapes, receives and sends on, and answers no queries. */
  agent?: AgentSettings;
  query: QueryOptions;
  web: WebOptions;
  features: EngineFeature[];
  /** How long what remote write has left may be sent at shutdown. */
  remoteFlushDeadlineMs: number;
  /** Adds scrape_timeout_seconds, scrape_sample_limit and scrape_body_size_bytes to every target. */
  extraScrapeMetrics: boolean;
  /** All flags as GET /api/v1/status/flags shows them. */
  flags: Record<string, string>;
  /** Its level is the default of the configuration's `runtime.log_level`. */
  logger: LeveledLogger;
  clock: Clock;
  /** Called once when a client asks the process to end. */
  onQuit: () => void;
}
