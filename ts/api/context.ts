/** What the API asks of the program around it. The server passes one such object in. */

import type { Engine, LabelSet, MetricMetadata, ReplayProgress } from '../core/engine.ts';
import type { RemoteReader } from '../core/index.ts';
import type { Clock, MetricsSource } from '../util/index.ts';

/** Before the log is replayed, in service, and on the way down. */
export type Readiness = 'starting' | 'ready' | 'stopping';

/** A target as the status pages show it. */
export interface TargetView {
  /** Labels before relabelling. */
  discoveredLabels: LabelSet;
  /** Labels its series carry. */
  labels: LabelSet;
  scrapeUrl: string;
  /** '' where the last scrape went well. */
  lastError: string;
  /** Milliseconds since the epoch; `undefined` before the first scrape. */
  lastScrapeMs: number | undefined;
  lastScrapeDurationSeconds: number;
  health: 'up' | 'down' | 'unknown';
  /** In Prometheus' notation, e.g. `15s`. */
  scrapeInterval: string;
  scrapeTimeout: string;
  metadata(): readonly MetricMetadata[];
}

/** A target that relabelling dropped. */
export interface DroppedTargetView {
  discoveredLabels: LabelSet;
}

/** The scrape manager, as far as the API looks at it. */
export interface TargetsView {
  /** Names of all scrape pools. */
  pools(): readonly string[];
  /** A pool's configuration as YAML; `undefined` where there is no such pool. */
  poolConfigYaml(pool: string): string | undefined;
  /** Active targets by pool. */
  active(): ReadonlyMap<string, readonly TargetView[]>;
  /** Dropped targets by pool, at most as many as are kept. */
  dropped(): ReadonlyMap<string, readonly DroppedTargetView[]>;
  /** How many targets each pool dropped. */
  droppedCounts(): Record<string, number>;
}

/** `data` of GET /api/v1/status/buildinfo; `narthexVersion` is ours, the rest Prometheus'. */
export interface BuildInfo {
  version: string;
  revision: string;
  branch: string;
  buildUser: string;
  buildDate: string;
  goVersion: string;
  narthexVersion: string;
  nodeVersion: string;
}

/** `data` of GET /api/v1/status/runtimeinfo. Go's own fields say nothing here and stand for clients. */
export interface RuntimeInfo {
  startTime: string;
  CWD: string;
  hostname: string;
  serverTime: string;
  reloadConfigSuccess: boolean;
  lastConfigTime: string;
  corruptionCount: number;
  goroutineCount: number;
  GOMAXPROCS: number;
  GOMEMLIMIT: number;
  GOGC: string;
  GODEBUG: string;
  storageRetention: string;
}

/** One answered request, for the server's own metrics. */
export interface RequestRecord {
  /** The route, e.g. `/api/v1/label/:name/values`. */
  handler: string;
  code: number;
  durationSeconds: number;
  responseBytes: number;
}

/** Settings that last as long as the process. */
export interface ApiOptions {
  /** What the listener takes for request line and headers together. */
  headerBytesMax: number;
  /** Where all routes hang: `/`, or a path without a slash at its end. */
  routePrefix: string;
  /** As others reach the server, without a slash at its end. */
  externalUrl: URL;
  /** The address listened on first, `host:port`. */
  listenAddress: string;
  /** Origins that browsers may ask from, anchored. */
  corsOrigin: RegExp;
  enableLifecycle: boolean;
  enableAdminApi: boolean;
  enableRemoteWriteReceiver: boolean;
  /** The messages of remote write that are taken. */
  remoteWriteMessages: string[];
  enableOtlpReceiver: boolean;
  remoteRead: RemoteReadOptions;
  pageTitle: string;
  /** Nothing can be asked of an agent's storage. */
  isAgent: boolean;
}

/** Bounds of remote read. */
export interface RemoteReadOptions {
  /** Samples of one query's answer at most, where it is no stream; 0: any number. */
  sampleLimit: number;
  /** Requests answered at once; 0: any number. */
  concurrentLimit: number;
  /** Size at which a frame of a stream ends. */
  maxBytesInFrame: number;
}

export interface ApiContext {
  readonly options: ApiOptions;
  readonly flags: Record<string, string>;
  readonly buildInfo: BuildInfo;
  readonly targets: TargetsView;
  readonly clock: Clock;
  readiness(): Readiness;
  /** The engine; `undefined` until it is open. */
  engine(): Engine | undefined;
  walReplay(): ReplayProgress;
  /** The configuration in force, as YAML with all defaults. */
  configYaml(): string;
  externalLabels(): LabelSet;
  /** What queries are answered from besides the database; `undefined` where that is nothing. */
  remoteReader(): RemoteReader | undefined;
  /** `global.scrape_interval`. */
  scrapeIntervalMs(): number;
  /** What a query's own limits may not exceed, 0 for any; `undefined` without the feature `query-cost`. */
  queryCeilings(): { maxSeries: number; maxSamplesRead: number; maxDurationMs: number } | undefined;
  runtimeInfo(): Promise<RuntimeInfo>;
  /** All metrics of the process in text format 0.0.4. */
  metricsText(): Promise<string>;
  /** Reads the configuration again; rejects with what is wrong with it. */
  reload(): Promise<void>;
  /** Asks the process to end; false where it is ending already. */
  quit(): boolean;
  /** Adds what a part of the API counts to the metrics of the process. */
  addMetrics(source: MetricsSource): void;
  /** Told of every route before the first request, and of every answer. */
  onRoute(handler: string): void;
  onAnswer(record: RequestRecord): void;
  /** Told of failures that are the server's own. */
  onInternalError(error: Error, request: { method: string; url: string }): void;
}
