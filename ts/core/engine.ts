/**
 * The engine as TypeScript sees it: one interface that the native addon and, later, the WASM build
 * both satisfy. Knows nothing of HTTP, of configuration files or of scheduling.
 *
 * Times are milliseconds since the Unix epoch, durations milliseconds unless a name ends otherwise.
 * Every promise is settled from the core's own threads, never from libuv's pool. A buffer that is
 * passed in belongs to the core until the promise settles: do not write to it before.
 */

import type { RemoteReadAnswer, RemoteReader, RemoteReadRequest } from './remote-read.ts';
import type { Sender, SenderOptions } from './sender.ts';

/** Label names and values; the metric name stands under `__name__`. */
export type LabelSet = Record<string, string>;

/** How new chunks of floats are encoded: XOR2 is smaller and holds start timestamps. */
export type FloatChunkEncoding = 'xor' | 'xor2';

/** What of the storage may change while a database is open. What is absent has its default. */
export interface StorageSettings {
  /** How far behind the newest sample others may come. Default 0: not at all. */
  outOfOrderTimeWindowMs?: number;
  /** Default xor, or xor2 with one of the features `xor2-encoding` and `st-storage`. */
  floatChunkEncoding?: FloatChunkEncoding;
  /** Exemplars kept in memory, with the feature `exemplar-storage`. Default 100,000. */
  maxExemplars?: number;
  /** Blocks older than this go. 0: never. Default 15 days. */
  retentionMs?: number;
  /** Blocks beyond this many bytes go. 0: never. Default 0. */
  retentionBytes?: number;
  /** Blocks beyond this share of the disk go, percent. 0: never. Comes before `retentionBytes`. Default 0. */
  retentionPercentage?: number;
  /** The head is compacted early where at least this share of its series, 0 to 1, is stale. Default 0: never. */
  staleSeriesCompactionThreshold?: number;
}

/** Settings of queries that `applyQueries` may change. The limits hold with the feature `query-cost`; 0 is none. */
export interface QuerySettings {
  /** Where each query is logged, a line of JSON for each; '' for nowhere. */
  queryLogFile?: string;
  /** Series that a query's selectors may find together. */
  queryMaxSeries?: number;
  /** Samples that a query may read. */
  queryMaxSamplesRead?: number;
  /** Longest time of a query, in place of `queryTimeoutMs`. */
  queryMaxDurationMs?: number;
}

/** What makes a database an agent's: what it takes in it only passes on. A duration or number of 0 stands for the usual. */
export interface AgentSettings {
  /** How often the log is truncated. Default two hours. */
  truncateFrequencyMs?: number;
  /** What is younger stays in the log. Default five minutes. */
  minWalMs?: number;
  /** What is older goes even where it has not been sent. Default four hours. */
  maxWalMs?: number;
  /** Whether checkpoints are written from the series in memory. Default false. */
  checkpointFromMemory?: boolean;
  /** Series in a record of such a checkpoint. Default 1,000. */
  checkpointBatch?: number;
}

/** What a database is opened with. All sizes in bytes. */
export interface EngineOptions extends StorageSettings, QuerySettings {
  /** The data directory; it is made where it does not exist. `:memory:` keeps everything in memory. */
  dir: string;
  /**
   * Opens an agent's database: a log and nothing else, of which nothing can be asked. What is said of blocks and queries
   * has no effect then, and storage settings count as they are at the start.
   */
  agent?: AgentSettings;
  /** Smallest block, and how often the head is cut. Default two hours. */
  minBlockDurationMs?: number;
  /** Longest block that compaction makes. Default: a tenth of the retention, 31 days at most. */
  maxBlockDurationMs?: number;
  /** Whether blocks that overlap in time are merged. Default true. */
  allowOverlappingCompaction?: boolean;
  /** Compression of the write-ahead log. Default snappy. */
  walCompression?: 'none' | 'snappy' | 'zstd';
  /** Size of a segment of the write-ahead log. Default 128 MiB. */
  walSegmentBytes?: number;
  /** How many bytes of each log may stay for queues of remote write that are behind. 4 GiB. */
  walHeldBytesMax?: number;
  /** Do not take the lock file. */
  noLockfile?: boolean;
  /** Samples that a chunk of floats in the head is meant to have. Default 120. */
  samplesPerChunk?: number;
  /** Size at which the chunk segments of a block end. Default 512 MiB. */
  maxBlockChunkSegmentBytes?: number;
  /** How often to look for blocks put there by others. Default a minute. */
  blockReloadIntervalMs?: number;
  /** With the feature `delayed-compaction`: the longest delay, in percent of the smallest block. Default 10. */
  delayedCompactionMaxPercent?: number;
  /** JSON file of uploaded blocks, read before blocks are merged; others of the first level are left alone. */
  delayCompactFile?: string;
  /** Threads that ingest. Default 1. */
  ingestThreads?: number;
  /** Threads that share the work of queries over many series. Default: one per core. */
  queryThreads?: number;
  /** How far back an instant looks for a sample. Default five minutes. */
  lookbackDeltaMs?: number;
  /** Longest time a query may take. Default two minutes. */
  queryTimeoutMs?: number;
  /** Queries that may run at once; the others wait. Default 20. */
  queryMaxConcurrency?: number;
  /** Samples a query may hold at once, as Prometheus counts them. Default 50,000,000. */
  queryMaxSamples?: number;
  /** Bytes a query may really take, its answer included. Default 4 GiB. */
  queryMaxMemoryBytes?: number;
  /** Keeps `queries.active` in the directory, which tells after a crash what ran. Default false. */
  trackQueries?: boolean;
  /** Step of a subquery that names none: the global evaluation interval. Default one minute. */
  defaultSubqueryStepMs?: number;
  /** Feature flags of the query language and of the storage. */
  features?: EngineFeature[];
}

/** Switches of the query language and of the storage, named as in Prometheus' `--enable-feature`. */
export type EngineFeature =
  | 'created-timestamp-zero-ingestion'
  | 'delayed-compaction'
  | 'exemplar-storage'
  | 'histograms-st-encoding'
  | 'memory-snapshot-on-shutdown'
  | 'metadata-wal-records'
  | 'otlp-deltatocumulative'
  | 'otlp-native-delta-ingestion'
  | 'st-storage'
  | 'st-synthesis'
  | 'xor2-encoding'
  | 'zstd-scrape'
  | 'promql-experimental-functions'
  | 'promql-delayed-name-removal'
  | 'promql-binop-fill-modifiers'
  | 'promql-per-step-stats'
  | 'promql-unquoted-utf8-names'
  | 'query-cost'
  | 'type-and-unit-labels'
  | 'use-start-timestamps';

/** How far the write-ahead log has been read. */
export interface ReplayProgress {
  /** Lowest segment. */
  min: number;
  /** Highest segment. */
  max: number;
  /** The segment being read. */
  current: number;
}

/** A relabelling rule, with Prometheus' defaults filled in. */
export interface RelabelRule {
  sourceLabels: string[];
  separator: string;
  /** In Go's syntax; it is anchored at both ends. */
  regex: string;
  modulus: number;
  targetLabel: string;
  replacement: string;
  action:
    | 'replace'
    | 'keep'
    | 'drop'
    | 'keepequal'
    | 'dropequal'
    | 'hashmod'
    | 'labelmap'
    | 'labeldrop'
    | 'labelkeep'
    | 'lowercase'
    | 'uppercase';
}

/** Which names are valid. */
export type ValidationScheme = 'utf8' | 'legacy';

/** Compiled relabelling rules. */
export interface Relabeler {
  /**
   * Applies the rules to each label set; `null` stands for one that was dropped. Empty values and,
   * as with Prometheus, nothing else are removed: labels starting with `__` are still there.
   */
  apply(labelSets: LabelSet[]): (LabelSet | null)[];
}

/** All that decides how one target's bodies become series. A limit of 0 is none. */
export interface TargetOptions {
  /** The target's labels after relabelling, without those that start with `__`. */
  labels: LabelSet;
  honorLabels: boolean;
  honorTimestamps: boolean;
  trackTimestampsStaleness: boolean;
  metricRelabelRules: RelabelRule[];
  validationScheme: ValidationScheme;
  /** Media type for bodies whose Content-Type says nothing usable, e.g. `text/plain`; '' for none. */
  fallbackContentType: string;
  bodySizeLimitBytes: number;
  sampleLimit: number;
  labelLimit: number;
  labelNameLengthLimit: number;
  labelValueLengthLimit: number;
  /** Most buckets of a native histogram; finer ones are reduced as far as they can be. 0: any number. */
  bucketLimit: number;
  /** The least factor from one bucket's bound to the next; 0: any. */
  minBucketFactor: number;
  /** Native histograms count. */
  nativeHistograms: boolean;
  /** Classic histograms count also where there is a native one. */
  alwaysClassicHistograms: boolean;
  /** Classic histograms become native ones with custom bounds. */
  classicHistogramsToNhcb: boolean;
  /** Adds scrape_timeout_seconds, scrape_sample_limit and scrape_body_size_bytes. */
  extraScrapeMetrics: boolean;
  scrapeTimeoutMs: number;
}

/** One body, as it came from the target. */
export interface ScrapeBody {
  /** The pieces of the body in order, still compressed. */
  pieces: Uint8Array[];
  /** Content-Encoding: '', `gzip`, or `zstd` with the feature `zstd-scrape`. */
  contentEncoding: string;
  /** Content-Type as sent, '' where absent. */
  contentType: string;
  /** When the scrape was due: the timestamp of samples that carry none. */
  timestampMs: number;
  /** Seconds since the scrape began, up to this call; the core adds its own. */
  elapsedSeconds: number;
}

/** What became of a scrape. */
export interface ScrapeReport {
  /** Why the scrape failed, in Prometheus' words; absent where it did not. */
  error?: string;
  /** scrape_samples_scraped */
  samplesScraped: number;
  /** scrape_samples_post_metric_relabeling */
  samplesPostMetricRelabeling: number;
  /** scrape_series_added */
  seriesAdded: number;
  /** scrape_duration_seconds */
  durationSeconds: number;
  /** Bytes of the body, inflated. */
  bodyBytes: number;
  /** Samples dropped for their time or value; they do not fail the scrape. */
  outOfOrder: number;
  duplicates: number;
  outOfBounds: number;
  /** Exemplars older than the newest of their series. */
  exemplarsOutOfOrder: number;
}

/** HELP, TYPE and UNIT of a metric family as a target sends it. */
export interface MetricMetadata {
  metric: string;
  type: string;
  help: string;
  unit: string;
}

/** One target's memory: its series, their staleness, its metadata. One call at a time. */
export interface Target {
  /**
   * Parses a body, appends its samples, marks what has gone as stale and writes `up` and the
   * scrape_* series, as one transaction. A bad body is no rejection: `error` says what was wrong,
   * `up` is 0 and none of the body's samples are kept. Rejects where the store refuses writes.
   */
  ingest(body: ScrapeBody): Promise<ScrapeReport>;
  /** Records a scrape that brought no body: `up` is 0, all series of the target go stale. */
  fail(failure: { timestampMs: number; elapsedSeconds: number; error: string }): Promise<ScrapeReport>;
  /** Marks all series of the target, `up` included, as stale: the target is gone for good. */
  markStale(timestampMs: number): Promise<void>;
  /** What the last bodies said of their metric families, by name. */
  metadata(): MetricMetadata[];
  /** How many families `metadata` has, and the bytes of what it says of them. */
  metadataSize(): number[];
  /** Frees the target's memory. What is under way ends as usual; later calls fail with code `CLOSED`. */
  close(): void;
}

/** Bytes for a client, handed out in pieces of at most 1 MiB. */
export interface Body {
  /** Length of all pieces together. */
  readonly byteLength: number;
  /** '' or what the pieces are compressed with. */
  readonly contentEncoding: string;
  /** The next piece, or `null` at the end, where the memory has been freed. */
  next(): Uint8Array | null;
  /** Fills `into` with what comes next and returns how many bytes that were: fewer than fit only at the end, then 0. */
  read(into: Uint8Array): number;
  /** Frees what has not been handed out; `next` returns `null` and `read` 0 from then on. */
  free(): void;
}

/** How a query is cut short. Aborting rejects with code `QUERY_CANCELED`. */
export interface CallOptions {
  signal?: AbortSignal;
  /**
   * Servers that queries, and questions for series, are answered from besides the database; an answer of labels says where
   * they are left out. Native only.
   */
  remote?: RemoteReader;
}

/** What instant and range queries share. */
export interface QueryLimits {
  /** Overrides the engine's, downwards only. */
  timeoutMs?: number;
  lookbackDeltaMs?: number;
  /** At most so many series in the answer, with a warning when there were more. 0: all. */
  limit?: number;
  /** Adds `stats` to a JSON answer: `true`; or `all`, which with `promql-per-step-stats` tells of each step. */
  stats?: string;
  /** The client's Accept-Encoding; the answer may be compressed accordingly. */
  acceptEncoding?: string;
  /** Lower limits than the engine's, with the feature `query-cost`. */
  maxSeries?: number;
  maxSamplesRead?: number;
  maxDurationMs?: number;
  /**
   * Adds to a JSON answer what the query was estimated to cost. The number stands for the distance of samples where
   * none can be seen.
   */
  compareCostMs?: number;
  /** Who asks, for the query log. */
  origin?: { clientIP: string; method: string; path: string };
}

export interface InstantQuery extends QueryLimits {
  query: string;
  timeMs: number;
}

export interface RangeQuery extends QueryLimits {
  query: string;
  startMs: number;
  endMs: number;
  stepMs: number;
}

/** A question about series or labels. `match` holds selectors such as `up{job="a"}`. */
export interface SeriesQuery {
  match: string[];
  startMs: number;
  endMs: number;
  /** 0: all. */
  limit?: number;
  /** The client's Accept-Encoding; the answer may be compressed accordingly. */
  acceptEncoding?: string;
}

/** A question for exemplars: those of all series that the selectors in `query` select. */
export interface ExemplarQuery {
  query: string;
  startMs: number;
  endMs: number;
  /** The client's Accept-Encoding; the answer may be compressed accordingly. */
  acceptEncoding?: string;
}

/** A series of an embedder's own. */
export interface SeriesBatch {
  labels: LabelSet;
  /** Milliseconds, rising; more than ten minutes ahead of the clock is out of bounds. */
  timestamps: Float64Array;
  /** As long as `timestamps`. */
  values: Float64Array;
}

export interface AppendReport {
  appended: number;
  outOfOrder: number;
  duplicates: number;
  outOfBounds: number;
}

/** A request of remote write, as it came. */
export interface RemoteWriteRequest {
  /** The body in pieces, in order: one block of snappy. */
  pieces: Uint8Array[];
  /** '' where the header is absent. */
  contentType: string;
  contentEncoding: string;
  /** The messages that are taken, `prometheus.WriteRequest` and `io.prometheus.write.v2.Request`. Default: both. */
  accepted?: string[];
}

/** What became of a request of remote write. */
export interface RemoteWriteReport {
  /** What was refused, and why; of a 1.0 request nothing is stored then. */
  refusal?: {
    /** `media-type`: the headers name what is not taken in; `invalid`: sending it again is of no use. */
    kind: 'media-type' | 'too-large' | 'invalid';
    text: string;
  };
  /** Whether the sender expects the counts: it speaks 2.0. */
  hasCounts: boolean;
  samples: number;
  histograms: number;
  exemplars: number;
}

/** A request of OTLP metrics, as it came. */
export interface OtlpRequest {
  /** The body in pieces, in order. */
  pieces: Uint8Array[];
  /** `application/x-protobuf` or `application/json`; '' where the header is absent. */
  contentType: string;
  /** '' or `gzip`. */
  contentEncoding: string;
}

/** What became of a request of OTLP: all of it is stored, or nothing. */
export interface OtlpReport {
  /** Why nothing is stored; the request is bad, or has no translation. */
  refusal?: { isBadRequest: boolean; text: string };
  samples: number;
  histograms: number;
  exemplars: number;
}

/** How OTLP is translated: the configuration's `otlp` section. */
export interface OtlpSettings {
  translationStrategy: string;
  promoteAllResourceAttributes: boolean;
  promoteResourceAttributes: string[];
  ignoreResourceAttributes: string[];
  keepIdentifyingResourceAttributes: boolean;
  convertHistogramsToNhcb: boolean;
  promoteScopeMetadata: boolean;
  labelNameUnderscoreSanitization: boolean;
  labelNamePreserveMultipleUnderscores: boolean;
}

/** A series of an answer, as columns. */
export interface SeriesColumns {
  labels: LabelSet;
  timestamps: Float64Array;
  values: Float64Array;
}

/** An answer for an embedder. */
export interface ColumnsResult {
  resultType: 'scalar' | 'string' | 'vector' | 'matrix';
  /** The series of a vector or matrix, floats only; a scalar is one series without labels. */
  series: SeriesColumns[];
  /** The text of a string result. */
  text?: string;
  warnings: string[];
  infos: string[];
}

/** One number per time series database, for status pages. */
export interface HeadStats {
  numSeries: number;
  numChunks: number;
  numLabelPairs: number;
  minTimeMs: number;
  maxTimeMs: number;
}

/** A block on disk. */
export interface BlockInfo {
  ulid: string;
  minTimeMs: number;
  maxTimeMs: number;
  numSamples: number;
  numSeries: number;
  numChunks: number;
  /** The block's meta.json. */
  metaJson: string;
}

/** A line of the core's log. */
export interface LogLine {
  level: 'info' | 'warn' | 'error';
  text: string;
}

/** One open database with its query engine. Using it after `close` rejects with code `CLOSED`. */
export interface Engine {
  /** A new target. */
  openTarget(options: TargetOptions): Target;
  /** Compiles relabelling rules; throws `INVALID_ARGUMENT` with Prometheus' words for a bad one. */
  relabeler(rules: RelabelRule[], scheme: ValidationScheme): Relabeler;

  /** Appends an embedder's samples as one transaction. */
  append(batch: SeriesBatch[]): Promise<AppendReport>;
  /**
   * Takes in a request of remote write, 1.0 or 2.0 as its Content-Type says, as one transaction. Rejects only where the
   * database cannot write; whatever is wrong with the request is in the report.
   */
  ingestRemoteWrite(request: RemoteWriteRequest): Promise<RemoteWriteReport>;
  /**
   * Takes in a request of OTLP metrics as one transaction. Rejects only where the database cannot write; whatever is
   * wrong with the request is in the report.
   */
  ingestOtlp(request: OtlpRequest): Promise<OtlpReport>;
  /** Opens a queue of remote write: it goes on where it stopped, or begins with what comes from now on. Native only. */
  openSender(options: SenderOptions): Promise<Sender>;
  /** The body of a request of remote write 1.0 that has nothing but metadata. Native only. */
  remoteMetadata(metadata: MetricMetadata[]): Promise<Uint8Array>;

  /**
   * Answers a request of remote read, without a deadline. Rejects only where the database cannot read; whatever is wrong
   * with the request is in the answer. Native only.
   */
  remoteRead(request: RemoteReadRequest, options?: CallOptions): Promise<RemoteReadAnswer>;

  /** The whole JSON envelope of GET /api/v1/query. */
  queryJson(query: InstantQuery, options?: CallOptions): Promise<Body>;
  /** The whole JSON envelope of GET /api/v1/query_range. */
  queryRangeJson(query: RangeQuery, options?: CallOptions): Promise<Body>;
  /**
   * The whole JSON envelope of GET /api/v1/query_cost or query_range_cost: what the query would cost.
   * `scrapeIntervalMs` stands for the distance of samples where none can be seen.
   */
  queryCostJson(query: InstantQuery | RangeQuery, scrapeIntervalMs: number, options?: CallOptions): Promise<Body>;
  /** An instant query for an embedder. */
  query(query: InstantQuery, options?: CallOptions): Promise<ColumnsResult>;
  /** A range query for an embedder. */
  queryRange(query: RangeQuery, options?: CallOptions): Promise<ColumnsResult>;

  /** The whole JSON envelope of GET /api/v1/query_exemplars; `null` where the query selects no series. */
  exemplarsJson(query: ExemplarQuery, options?: CallOptions): Promise<Body | null>;
  /** The whole JSON envelope of GET /api/v1/series. */
  seriesJson(query: SeriesQuery, options?: CallOptions): Promise<Body>;
  /** The whole JSON envelope of GET /api/v1/labels. */
  labelNamesJson(query: SeriesQuery, options?: CallOptions): Promise<Body>;
  /** The whole JSON envelope of GET /api/v1/label/NAME/values. */
  labelValuesJson(name: string, query: SeriesQuery, options?: CallOptions): Promise<Body>;
  /** The text body of GET /federate: each matching series' newest sample within the lookback. */
  federate(
    query: { match: string[]; timeMs: number; externalLabels: LabelSet; acceptEncoding?: string },
    options?: CallOptions,
  ): Promise<Body>;

  /** The query as format_query prints it; rejects with `QUERY_PARSE`. */
  formatQuery(query: string): Promise<string>;
  /** The query's tree as parse_query's JSON `data`; rejects with `QUERY_PARSE`. */
  parseQueryJson(query: string): Promise<string>;
  /**
   * Checks the selectors of match[]: each must be one, and match some label that is not empty. Rejects with
   * `QUERY_PARSE`, in Prometheus' words.
   */
  checkSelectors(selectors: readonly string[]): Promise<void>;
  /** Checks one short series selector on the caller's thread; throws `QUERY_PARSE`. */
  checkSelector(selector: string): void;

  /** `data` of GET /api/v1/status/tsdb. */
  statusTsdbJson(limit: number): Promise<Body>;
  /** Walks the head's index. */
  headStats(): Promise<HeadStats>;
  blocks(): BlockInfo[];
  /** The core's own metrics in text format 0.0.4, families complete and in order. */
  metricsText(): Promise<string>;

  /** What the core had to say since the last call. */
  takeLogs(): LogLine[];

  /**
   * Replaces the settings that may change while the database is open: what is absent goes back to its default.
   * Rejects with `INVALID_ARGUMENT` where they contradict the features; the old ones stay then.
   */
  applyStorage(settings: StorageSettings): Promise<void>;
  /** Replaces the settings of queries and opens the query log anew; throws `IO` where it cannot be opened. */
  applyQueries(settings: QuerySettings): void;
  /** Replaces the settings of OTLP, which are Prometheus' defaults at first. */
  applyOtlp(settings: OtlpSettings): void;
  /**
   * Deletes samples of the series that match any selector, both ends included. A selector without matchers selects
   * nothing, as with Prometheus. Rejects with `QUERY_PARSE` before anything is deleted.
   */
  deleteSeries(query: { match: string[]; startMs: number; endMs: number }): Promise<void>;
  /** Writes every block with deleted samples again without them. */
  cleanTombstones(): Promise<void>;
  /** Copies all blocks into the folder `snapshots/name` of the data directory, the head as one more if `withHead`. */
  snapshot(name: string, withHead: boolean): Promise<void>;

  /** Cuts blocks and frees memory where that is due; ts/core calls it every minute by itself. */
  maintain(): Promise<void>;
  /** Takes in what was handed over for ingest, cancels queries, writes everything out and releases the directory. */
  close(): Promise<void>;
}
