/**
 * The engine in WASM, for where no addon can go: a browser, a worker, an edge runtime. It keeps everything in memory, and
 * opens Prometheus' blocks from their bytes. A call runs to its end on the caller's thread: an abort signal counts only
 * until the call begins, after that nothing but its timeout ends it, so in a page open it in a worker.
 */
import type {
  AppendReport,
  BlockInfo,
  Body,
  CallOptions,
  ColumnsResult,
  Engine,
  EngineOptions,
  ExemplarQuery,
  HeadStats,
  InstantQuery,
  LogLine,
  MetricMetadata,
  OtlpReport,
  OtlpRequest,
  OtlpSettings,
  QuerySettings,
  RangeQuery,
  Relabeler,
  RelabelRule,
  RemoteWriteReport,
  RemoteWriteRequest,
  ScrapeBody,
  ScrapeReport,
  SeriesBatch,
  SeriesQuery,
  StorageSettings,
  Target,
  TargetOptions,
  ValidationScheme,
} from './engine.ts';
import { EngineError } from './errors.ts';
import type { RemoteReadAnswer, RemoteReadRequest } from './remote-read.ts';
import type { Sender, SenderOptions } from './sender.ts';
import type { Bytes, DatabaseExports, EngineGlue, TargetExports } from './wasm-exports.ts';
import { WasmInstance, type WasmSource } from './wasm-module.ts';

export * from './engine.ts';
export { ENGINE_ERRORS, EngineError, type EngineErrorCode, type ErrorType } from './errors.ts';
export type { WasmSource } from './wasm-module.ts';

/** Most bytes of one piece of a body. */
const PIECE_BYTES = 1 << 20;

/** How often blocks are cut and memory is freed where that is due. */
const MAINTENANCE_INTERVAL_MS = 60_000;

/** The files of a block by their path in its directory: `meta.json`, `index`, `chunks/000001` …, `tombstones`. */
export type BlockFiles = Record<string, Uint8Array>;

/** What an engine in memory is opened with. Nothing is deleted for its age unless `retentionMs` says so. */
export interface WasmEngineOptions
  extends Pick<
    EngineOptions,
    | 'minBlockDurationMs'
    | 'samplesPerChunk'
    | 'lookbackDeltaMs'
    | 'queryTimeoutMs'
    | 'queryMaxSamples'
    | 'queryMaxSeries'
    | 'queryMaxSamplesRead'
    | 'queryMaxDurationMs'
    | 'defaultSubqueryStepMs'
    | 'features'
    | 'outOfOrderTimeWindowMs'
    | 'floatChunkEncoding'
    | 'maxExemplars'
    | 'retentionMs'
    | 'retentionBytes'
  > {
  /** Blocks to open. Their bytes are copied. */
  blocks?: BlockFiles[];
  /** Where the module's bytes are, if not beside its glue. */
  source?: WasmSource;
}

/**
 * Opens an engine in an instance of its own.
 *
 * Rejects with `INVALID_ARGUMENT` or `CORRUPT` where a block is none, with `INTERNAL` where there is no module.
 */
export async function open(options: WasmEngineOptions = {}): Promise<Engine> {
  const { blocks = [], source, ...settings } = options;
  const instance = await WasmInstance.create<EngineGlue>('engine', () => import('#wasm/engine'), source);
  const database = instance.call((glue) => {
    const files = new glue.Blocks();
    for (const block of blocks) {
      files.begin();
      for (const [path, bytes] of Object.entries(block)) files.add(path, bytes);
    }
    const [seed = 0n] = crypto.getRandomValues(new BigUint64Array(1));
    return new glue.Database(JSON.stringify(settings), files, seed);
  });
  return new WasmEngine(instance, database);
}

class WasmEngine implements Engine {
  readonly #instance: WasmInstance<EngineGlue>;
  #database: DatabaseExports | undefined;
  readonly #maintenance: ReturnType<typeof setInterval>;

  constructor(instance: WasmInstance<EngineGlue>, database: DatabaseExports) {
    this.#instance = instance;
    this.#database = database;
    // A failure is in the log and in the metrics; the next round tries again.
    this.#maintenance = setInterval(() => this.maintain().catch(() => {}), MAINTENANCE_INTERVAL_MS);
    // A browser's timer is a number and keeps nothing alive.
    if (typeof this.#maintenance === 'object') this.#maintenance.unref();
  }

  openTarget(options: TargetOptions): Target {
    return new WasmTarget(
      this.#instance,
      this.#call((db) => db.openTarget(JSON.stringify(options))),
    );
  }

  relabeler(rules: RelabelRule[], scheme: ValidationScheme): Relabeler {
    const relabeler = this.#call((db) => db.relabeler(JSON.stringify(rules), scheme));
    return { apply: (sets) => this.#instance.call(() => relabeler.apply(JSON.stringify(sets))) };
  }

  async append(batch: SeriesBatch[]): Promise<AppendReport> {
    const labels = JSON.stringify(batch.map((series) => series.labels));
    const column = (of: (series: SeriesBatch) => Float64Array) => batch.map(of);
    return this.#call((db) =>
      db.append(
        labels,
        column((s) => s.timestamps),
        column((s) => s.values),
      ),
    );
  }

  async ingestRemoteWrite(request: RemoteWriteRequest): Promise<RemoteWriteReport> {
    const { pieces, contentType, contentEncoding } = request;
    return this.#call((db) => db.ingestRemoteWrite(pieces, contentType, contentEncoding));
  }

  async ingestOtlp({ pieces, contentType, contentEncoding }: OtlpRequest): Promise<OtlpReport> {
    return JSON.parse(this.#call((db) => db.ingestOtlp(pieces, contentType, contentEncoding))) as OtlpReport;
  }

  async openSender(_: SenderOptions): Promise<Sender> {
    throw new EngineError('INVALID_ARGUMENT', 'remote write needs the native core');
  }

  async remoteMetadata(_: MetricMetadata[]): Promise<Uint8Array> {
    throw new EngineError('INVALID_ARGUMENT', 'remote write needs the native core');
  }

  async remoteRead(_: RemoteReadRequest): Promise<RemoteReadAnswer> {
    throw new EngineError('INVALID_ARGUMENT', 'remote read needs the native core');
  }

  async queryJson(query: InstantQuery, options?: CallOptions): Promise<Body> {
    return this.#body(options, (db) => db.queryJson(JSON.stringify(query)));
  }

  async queryRangeJson(query: RangeQuery, options?: CallOptions): Promise<Body> {
    return this.#body(options, (db) => db.queryJson(JSON.stringify(query)));
  }

  async queryCostJson(
    query: InstantQuery | RangeQuery,
    scrapeIntervalMs: number,
    options?: CallOptions,
  ): Promise<Body> {
    return this.#body(options, (db) => db.queryCostJson(JSON.stringify(query), scrapeIntervalMs));
  }

  async query(query: InstantQuery, options?: CallOptions): Promise<ColumnsResult> {
    return this.#cancellable(options, (db) => db.query(JSON.stringify(query)));
  }

  async queryRange(query: RangeQuery, options?: CallOptions): Promise<ColumnsResult> {
    return this.#cancellable(options, (db) => db.query(JSON.stringify(query)));
  }

  async exemplarsJson(query: ExemplarQuery, options?: CallOptions): Promise<Body | null> {
    const bytes = this.#cancellable(options, (db) => db.exemplarsJson(JSON.stringify(query)));
    return bytes === undefined ? null : new BytesBody(bytes);
  }

  async seriesJson(query: SeriesQuery, options?: CallOptions): Promise<Body> {
    return this.#body(options, (db) => db.seriesJson(JSON.stringify(query)));
  }

  async labelNamesJson(query: SeriesQuery, options?: CallOptions): Promise<Body> {
    return this.#body(options, (db) => db.labelNamesJson(JSON.stringify(query)));
  }

  async labelValuesJson(name: string, query: SeriesQuery, options?: CallOptions): Promise<Body> {
    return this.#body(options, (db) => db.labelValuesJson(name, JSON.stringify(query)));
  }

  async federate(query: Parameters<Engine['federate']>[0], options?: CallOptions): Promise<Body> {
    return this.#body(options, (db) => db.federate(JSON.stringify(query)));
  }

  async formatQuery(query: string): Promise<string> {
    return this.#call((db) => db.formatQuery(query));
  }

  async parseQueryJson(query: string): Promise<string> {
    return this.#call((db) => db.parseQueryJson(query));
  }

  async checkSelectors(selectors: readonly string[]): Promise<void> {
    this.#call((db) => db.checkSelectors([...selectors]));
  }

  checkSelector(selector: string): void {
    this.#call((db) => db.checkSelector(selector));
  }

  async statusTsdbJson(limit: number): Promise<Body> {
    return this.#body(undefined, (db) => db.statusTsdbJson(limit));
  }

  async headStats(): Promise<HeadStats> {
    return this.#call((db) => db.headStats());
  }

  blocks(): BlockInfo[] {
    return this.#call((db) => db.blocks());
  }

  async metricsText(): Promise<string> {
    return this.#call((db) => db.metricsText());
  }

  takeLogs(): LogLine[] {
    return this.#call((db) => db.takeLogs());
  }

  async applyStorage(settings: StorageSettings): Promise<void> {
    this.#call((db) => db.applyStorage(JSON.stringify(settings)));
  }

  applyQueries(settings: QuerySettings): void {
    this.#call((db) => db.applyQueries(JSON.stringify(settings)));
  }

  applyOtlp(settings: OtlpSettings): void {
    this.#call((db) => db.applyOtlp(JSON.stringify(settings)));
  }

  async deleteSeries(query: { match: string[]; startMs: number; endMs: number }): Promise<void> {
    this.#call((db) => db.deleteSeries(JSON.stringify(query)));
  }

  async cleanTombstones(): Promise<void> {
    this.#call((db) => db.cleanTombstones());
  }

  async snapshot(): Promise<void> {
    throw new EngineError('INVALID_ARGUMENT', 'the WASM engine has no directory to write snapshots to');
  }

  async maintain(): Promise<void> {
    this.#call((db) => db.maintain());
  }

  async close(): Promise<void> {
    clearInterval(this.#maintenance);
    if (this.#database === undefined) return;
    try {
      this.#call((db) => db.close());
    } finally {
      // The instance's memory goes with the last reference to it.
      this.#database = undefined;
      this.#instance.end();
    }
  }

  #call<T>(work: (database: DatabaseExports) => T): T {
    const database = this.#database;
    return this.#instance.call(() => {
      if (database === undefined) throw new EngineError('CLOSED', 'the engine is closed');
      return work(database);
    });
  }

  #cancellable<T>(options: CallOptions | undefined, work: (database: DatabaseExports) => T): T {
    if (options?.signal?.aborted) throw new EngineError('QUERY_CANCELED', 'query was canceled in query execution');
    if (options?.remote) throw new EngineError('INVALID_ARGUMENT', 'remote read needs the native core');
    return this.#call(work);
  }

  #body(options: CallOptions | undefined, work: (database: DatabaseExports) => Bytes): Body {
    return new BytesBody(this.#cancellable(options, work));
  }
}

class WasmTarget implements Target {
  readonly #instance: WasmInstance<EngineGlue>;
  #target: TargetExports | undefined;

  constructor(instance: WasmInstance<EngineGlue>, target: TargetExports) {
    this.#instance = instance;
    this.#target = target;
  }

  async ingest(body: ScrapeBody): Promise<ScrapeReport> {
    const { pieces, contentEncoding, contentType, timestampMs, elapsedSeconds } = body;
    return this.#call((t) => t.ingest(pieces, contentEncoding, contentType, timestampMs, elapsedSeconds));
  }

  async fail(failure: { timestampMs: number; elapsedSeconds: number; error: string }): Promise<ScrapeReport> {
    return this.#call((t) => t.fail(failure.error, failure.timestampMs, failure.elapsedSeconds));
  }

  async markStale(timestampMs: number): Promise<void> {
    this.#call((t) => t.markStale(timestampMs));
  }

  metadata(): MetricMetadata[] {
    return this.#call((t) => t.metadata());
  }

  metadataSize(): number[] {
    const all = this.metadata();
    return [all.length, all.reduce((sum, { type, help, unit }) => sum + Buffer.byteLength(type + help + unit), 0)];
  }

  close(): void {
    const target = this.#target;
    this.#target = undefined;
    if (target === undefined) return;
    try {
      this.#instance.call(() => target.free());
    } catch {
      // With the instance its targets are gone, too.
    }
  }

  #call<T>(work: (target: TargetExports) => T): T {
    const target = this.#target;
    if (target === undefined) throw new EngineError('CLOSED', 'the target is closed');
    return this.#instance.call(() => work(target));
  }
}

class BytesBody implements Body {
  readonly byteLength: number;
  readonly contentEncoding: string;
  #rest: Uint8Array;

  constructor({ bytes, contentEncoding }: Bytes) {
    this.byteLength = bytes.length;
    this.contentEncoding = contentEncoding;
    this.#rest = bytes;
  }

  next(): Uint8Array | null {
    if (this.#rest.length === 0) return null;
    const piece = this.#rest.subarray(0, PIECE_BYTES);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }

  read(into: Uint8Array): number {
    const piece = this.#rest.subarray(0, into.length);
    into.set(piece);
    this.#rest = this.#rest.subarray(piece.length);
    return piece.length;
  }

  free(): void {
    this.#rest = new Uint8Array();
  }
}
