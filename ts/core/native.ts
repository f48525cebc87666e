/**
 * The engine in the native addon: loads it, and gives its classes the shape of `Engine`. Errors become
 * `EngineError`, abort signals become cancellations; nothing else happens here.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import type {
  AppendReport,
  BlockInfo,
  Body,
  CallOptions,
  ColumnsResult,
  Engine,
  EngineFeature,
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
  ReplayProgress,
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
import type { RemoteEndpoint, RemoteReadAnswer, RemoteReader, RemoteReadRequest } from './remote-read.ts';
import { askRemotes, type NativeRemoteReads } from './remote-reads.ts';
import type { Sender, SenderOptions } from './sender.ts';
import type { Completion, Syntax } from './syntax.ts';
import type { ToolOptions, ToolRun } from './tools.ts';

/** How often an open database looks whether a block is due: more often only where blocks are very short. */
const MAINTENANCE_INTERVAL_MS = { min: 100, max: 60_000 };
const LOOKS_PER_BLOCK = 10;
/** Kept for the calls to come. */
const IDLE_CANCELS_MAX = 16;

function maintenanceIntervalMs({ minBlockDurationMs, blockReloadIntervalMs }: EngineOptions): number {
  const { min, max } = MAINTENANCE_INTERVAL_MS;
  const wanted = Math.min(
    (minBlockDurationMs ?? max * LOOKS_PER_BLOCK) / LOOKS_PER_BLOCK,
    blockReloadIntervalMs ?? max,
  );
  return Math.min(Math.max(wanted, min), max);
}

interface NativeCancel {
  cancel(): void;
}

/** A method as the addon has it: where the interface takes a signal, it takes a flag. */
type Native<Method> = Method extends (...args: infer Args) => infer Result
  ? Required<Args> extends [...infer First, infer Last]
    ? 'signal' extends keyof Last
      ? (...args: [...First, cancel?: NativeCancel]) => Result
      : Method
    : Method
  : never;

/** What crates/node exports: `Engine`, with one call for queries of both kinds. */
type NativeEngine = {
  [Name in Exclude<
    keyof Engine,
    'query' | 'queryRange' | 'queryJson' | 'queryRangeJson' | 'queryCostJson' | 'openTarget'
  >]: Native<Engine[Name]>;
} & {
  openTarget(options: TargetOptions): NativeTarget;
  queryJson(query: InstantQuery | RangeQuery, cancel?: NativeCancel): Promise<Body>;
  queryCostJson(query: InstantQuery | RangeQuery, scrapeIntervalMs: number, cancel?: NativeCancel): Promise<Body>;
  query(query: InstantQuery | RangeQuery, cancel?: NativeCancel): Promise<ColumnsResult>;
  openQueryReads(
    query: InstantQuery | RangeQuery,
    remotes: readonly RemoteEndpoint[],
    cancel?: NativeCancel,
  ): Promise<NativeRemoteReads<NativeCancel>>;
  openSeriesReads(
    query: SeriesQuery,
    remotes: readonly RemoteEndpoint[],
    cancel?: NativeCancel,
  ): Promise<NativeRemoteReads<NativeCancel>>;
};

/** A `ScrapeReport` as a list. */
type NativeReport = [
  samplesScraped: number,
  samplesPostMetricRelabeling: number,
  seriesAdded: number,
  durationSeconds: number,
  bodyBytes: number,
  outOfOrder: number,
  duplicates: number,
  outOfBounds: number,
  exemplarsOutOfOrder: number,
  error?: string,
];

/** As the interface, but with positions instead of objects. */
type NativeTarget = Omit<Target, 'ingest' | 'fail'> & {
  ingest(
    pieces: readonly Uint8Array[],
    contentEncoding: string,
    contentType: string,
    timestampMs: number,
    elapsedSeconds: number,
  ): Promise<NativeReport>;
  fail(timestampMs: number, elapsedSeconds: number, error: string): Promise<NativeReport>;
};

function reportOf(native: NativeReport): ScrapeReport {
  const error = native[9];
  const report = {
    samplesScraped: native[0],
    samplesPostMetricRelabeling: native[1],
    seriesAdded: native[2],
    durationSeconds: native[3],
    bodyBytes: native[4],
    outOfOrder: native[5],
    duplicates: native[6],
    outOfBounds: native[7],
    exemplarsOutOfOrder: native[8],
  };
  return error === undefined ? report : { ...report, error };
}

/** As the interface, but for what JavaScript makes of an absent text and of a list. */
type NativeSyntax = Omit<Syntax, 'check' | 'complete'> & {
  check(query: string): string | null;
  completeJson(text: string, cursor: number): string;
};

interface Addon {
  NativeSyntax: new (features: EngineFeature[]) => NativeSyntax;
  Cancel: new () => NativeCancel;
  openEngine(
    options: Omit<EngineOptions, keyof StorageSettings | keyof QuerySettings>,
    settings: StorageSettings,
    queries: QuerySettings,
    progress: (p: ReplayProgress) => void,
  ): Promise<NativeEngine>;
  startTool(options: ToolOptions): ToolRun;
  compileRelabeler(rules: RelabelRule[], scheme: ValidationScheme): Relabeler;
  checkQuery(query: string): string | null;
  ruleGroupHash(file: string, name: string): bigint;
  pushBody(text: Uint8Array, labels: [string, string][], isV2: boolean, nowMs: number): Uint8Array<ArrayBuffer>;
}

let loaded: Addon | undefined;

function addon(): Addon {
  if (loaded) return loaded;
  // Beside the compiled package; or, from source, where the build has put it.
  const places = ['../native/narthex.node', '../../dist/native/narthex.node'];
  const paths = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const path = paths.find((p) => existsSync(p));
  if (path === undefined) {
    throw new EngineError(
      'INTERNAL',
      `the native core is missing: run \`npm install\` (looked at ${paths.join(', ')})`,
    );
  }
  loaded = createRequire(import.meta.url)(path) as Addon;
  return loaded;
}

/**
 * Opens a database. `onReplay` hears how far the write-ahead log has been read.
 *
 * Rejects with `LOCKED` where another process has the directory.
 */
export async function open(
  options: EngineOptions,
  onReplay: (progress: ReplayProgress) => void = () => {},
): Promise<Engine> {
  const native = await settled(() => addon().openEngine(options, options, options, onReplay));
  return new AddonEngine(native, addon().Cancel, maintenanceIntervalMs(options));
}

/** Compiles relabelling rules where no database is open. @throws EngineError naming what is wrong with them */
export function compileRelabeler(rules: RelabelRule[], scheme: ValidationScheme): Relabeler {
  return checked(() => addon().compileRelabeler(rules, scheme));
}

/**
 * The body of a request of remote write, 1.0 or 2.0, with the metrics of a text of format 0.0.4. Series get `labels`, and
 * samples without a time `nowMs`. Takes as long as the text is: for tools.
 * @throws EngineError naming what is wrong with the text, and the line
 */
export function pushBody(
  text: Uint8Array,
  labels: [name: string, value: string][],
  { isV2, nowMs }: { isV2: boolean; nowMs: number },
): Uint8Array<ArrayBuffer> {
  return checked(() => addon().pushBody(text, labels, isV2, nowMs));
}

/** Starts a tool on a data directory. */
export function startTool(options: ToolOptions): ToolRun {
  const run = checked(() => addon().startTool(options));
  return {
    next: () => settled(() => run.next()),
    get clean() {
      return run.clean;
    },
    cancel: () => run.cancel(),
  };
}

/** What is wrong with an expression, `undefined` where it parses. */
export function checkQuery(query: string): string | undefined {
  return checked(() => addon().checkQuery(query)) ?? undefined;
}

/** The services over the text of queries; `features` switches parts of the language on. */
export function openSyntax(options: { features?: EngineFeature[] } = {}): Syntax {
  const native = checked(() => new (addon().NativeSyntax)(options.features ?? []));
  return {
    check: (query) => checked(() => native.check(query)) ?? undefined,
    formatQuery: (query) => checked(() => native.formatQuery(query)),
    parseQueryJson: (query) => checked(() => native.parseQueryJson(query)),
    setLabelMatcher: (query, name, op, value) => checked(() => native.setLabelMatcher(query, name, op, value)),
    deleteLabelMatchers: (query, name) => checked(() => native.deleteLabelMatchers(query, name)),
    complete: (text, cursor) => JSON.parse(checked(() => native.completeJson(text, cursor))) as Completion[],
  };
}

/** Prometheus' hash of a group of rules, which decides at what offset it is evaluated. */
export function ruleGroupHash(file: string, name: string): bigint {
  return checked(() => addon().ruleGroupHash(file, name));
}

/** Turns what the addon throws, at once or later, into `EngineError`. */
async function settled<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    throw EngineError.from(thrown);
  }
}

function checked<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw EngineError.from(thrown);
  }
}

/** A question for labels, which other servers cannot be asked: the answer says so where they would have been. */
function withRemotes(query: SeriesQuery, options: CallOptions | undefined): SeriesQuery {
  return options?.remote ? Object.assign({ remotes: options.remote.endpoints }, query) : query;
}

class AddonEngine implements Engine {
  readonly #native: NativeEngine;
  readonly #cancel: new () => NativeCancel;
  /** Of calls that ended by themselves: making one costs more than the rest of a small call. */
  readonly #idleCancels: NativeCancel[] = [];
  readonly #maintenance: NodeJS.Timeout;
  #maintaining: Promise<void> | undefined;

  constructor(native: NativeEngine, cancel: new () => NativeCancel, maintenanceIntervalMs: number) {
    this.#native = native;
    this.#cancel = cancel;
    // A failure is in the log and in the metrics; the next round tries again.
    this.#maintenance = setInterval(() => this.maintain().catch(() => {}), maintenanceIntervalMs);
    this.#maintenance.unref();
  }

  openTarget(options: TargetOptions): Target {
    return checked(() => new AddonTarget(this.#native.openTarget(options)));
  }

  relabeler(rules: RelabelRule[], scheme: ValidationScheme): Relabeler {
    return checked(() => this.#native.relabeler(rules, scheme));
  }

  append(batch: SeriesBatch[]): Promise<AppendReport> {
    return settled(() => this.#native.append(batch));
  }

  ingestRemoteWrite(request: RemoteWriteRequest): Promise<RemoteWriteReport> {
    return settled(() => this.#native.ingestRemoteWrite(request));
  }

  ingestOtlp(request: OtlpRequest): Promise<OtlpReport> {
    return settled(() => this.#native.ingestOtlp(request));
  }

  async openSender(options: SenderOptions): Promise<Sender> {
    const sender = await settled(() => this.#native.openSender(options));
    return {
      poll: (ask) => settled(() => sender.poll(ask)),
      rebuild: (batch) => settled(() => sender.rebuild(batch)),
      describe: (batch) => settled(() => sender.describe(batch)),
      close: (finished) => settled(() => sender.close(finished)),
    };
  }

  remoteMetadata(metadata: MetricMetadata[]): Promise<Uint8Array> {
    return settled(() => this.#native.remoteMetadata(metadata));
  }

  async remoteRead(request: RemoteReadRequest, options?: CallOptions): Promise<RemoteReadAnswer> {
    const answer = await this.#cancellable(options, (cancel) => this.#native.remoteRead(request, cancel));
    const { chunks } = answer;
    if (!chunks) return answer;
    return { chunks: { next: () => settled(() => chunks.next()), close: () => chunks.close() } };
  }

  queryJson(query: InstantQuery | RangeQuery, options?: CallOptions): Promise<Body> {
    if (options?.remote)
      return this.#remoteQuery(query, options, options.remote, (reads, cancel) => reads.json(cancel));
    return this.#cancellable(options, (cancel) => this.#native.queryJson(query, cancel));
  }

  queryRangeJson(query: RangeQuery, options?: CallOptions): Promise<Body> {
    return this.queryJson(query, options);
  }

  queryCostJson(query: InstantQuery | RangeQuery, scrapeIntervalMs: number, options?: CallOptions): Promise<Body> {
    return this.#cancellable(options, (cancel) => this.#native.queryCostJson(query, scrapeIntervalMs, cancel));
  }

  query(query: InstantQuery | RangeQuery, options?: CallOptions): Promise<ColumnsResult> {
    const values = (reads: NativeRemoteReads<NativeCancel>, cancel?: NativeCancel) => reads.values(cancel);
    if (options?.remote) return this.#remoteQuery(query, options, options.remote, values);
    return this.#cancellable(options, (cancel) => this.#native.query(query, cancel));
  }

  queryRange(query: RangeQuery, options?: CallOptions): Promise<ColumnsResult> {
    return this.query(query, options);
  }

  exemplarsJson(query: ExemplarQuery, options?: CallOptions): Promise<Body | null> {
    return this.#cancellable(options, (cancel) => this.#native.exemplarsJson(query, cancel));
  }

  async seriesJson(query: SeriesQuery, options?: CallOptions): Promise<Body> {
    const remote = options?.remote;
    if (remote) {
      const open = (cancel?: NativeCancel) => this.#native.openSeriesReads(query, remote.endpoints, cancel);
      const reads = await this.#cancellable(options, open);
      return this.#remotely(reads, options, remote, (cancel) => reads.json(cancel));
    }
    return this.#cancellable(options, (cancel) => this.#native.seriesJson(query, cancel));
  }

  labelNamesJson(query: SeriesQuery, options?: CallOptions): Promise<Body> {
    return this.#cancellable(options, (cancel) => this.#native.labelNamesJson(withRemotes(query, options), cancel));
  }

  labelValuesJson(name: string, query: SeriesQuery, options?: CallOptions): Promise<Body> {
    const asked = withRemotes(query, options);
    return this.#cancellable(options, (cancel) => this.#native.labelValuesJson(name, asked, cancel));
  }

  federate(query: Parameters<Engine['federate']>[0], options?: CallOptions): Promise<Body> {
    return this.#cancellable(options, (cancel) => this.#native.federate(query, cancel));
  }

  formatQuery(query: string): Promise<string> {
    return settled(() => this.#native.formatQuery(query));
  }

  parseQueryJson(query: string): Promise<string> {
    return settled(() => this.#native.parseQueryJson(query));
  }

  checkSelectors(selectors: readonly string[]): Promise<void> {
    return settled(() => this.#native.checkSelectors(selectors));
  }

  checkSelector(selector: string): void {
    checked(() => this.#native.checkSelector(selector));
  }

  statusTsdbJson(limit: number): Promise<Body> {
    return settled(() => this.#native.statusTsdbJson(limit));
  }

  headStats(): Promise<HeadStats> {
    return settled(() => this.#native.headStats());
  }

  blocks(): BlockInfo[] {
    return checked(() => this.#native.blocks());
  }

  metricsText(): Promise<string> {
    return settled(() => this.#native.metricsText());
  }

  takeLogs(): LogLine[] {
    return checked(() => this.#native.takeLogs());
  }

  applyQueries(settings: QuerySettings): void {
    checked(() => this.#native.applyQueries(settings));
  }

  applyOtlp(settings: OtlpSettings): void {
    checked(() => this.#native.applyOtlp(settings));
  }

  applyStorage(settings: StorageSettings): Promise<void> {
    return settled(() => this.#native.applyStorage(settings));
  }

  deleteSeries(query: { match: string[]; startMs: number; endMs: number }): Promise<void> {
    return settled(() => this.#native.deleteSeries(query));
  }

  cleanTombstones(): Promise<void> {
    return settled(() => this.#native.cleanTombstones());
  }

  snapshot(name: string, withHead: boolean): Promise<void> {
    return settled(() => this.#native.snapshot(name, withHead));
  }

  maintain(): Promise<void> {
    // A block may take longer to cut than the interval: one at a time.
    this.#maintaining ??= settled(() => this.#native.maintain()).finally(() => {
      this.#maintaining = undefined;
    });
    return this.#maintaining;
  }

  close(): Promise<void> {
    clearInterval(this.#maintenance);
    return settled(() => this.#native.close());
  }

  async #remoteQuery<T>(
    query: InstantQuery | RangeQuery,
    options: CallOptions,
    remote: RemoteReader,
    run: (reads: NativeRemoteReads<NativeCancel>, cancel?: NativeCancel) => Promise<T | null>,
  ): Promise<T> {
    const open = (cancel?: NativeCancel) => this.#native.openQueryReads(query, remote.endpoints, cancel);
    const reads = await this.#cancellable(options, open);
    return this.#remotely(reads, options, remote, (cancel) => run(reads, cancel));
  }

  #remotely<T>(
    reads: NativeRemoteReads<NativeCancel>,
    options: CallOptions,
    remote: RemoteReader,
    run: (cancel?: NativeCancel) => Promise<T | null>,
  ): Promise<T> {
    return askRemotes(reads, remote, options.signal, () => this.#cancellable(options, run));
  }

  async #cancellable<T>(
    options: CallOptions | undefined,
    call: (cancel: NativeCancel | undefined) => Promise<T>,
  ): Promise<T> {
    const signal = options?.signal;
    if (!signal) return settled(() => call(undefined));
    const cancel = this.#idleCancels.pop() ?? new this.#cancel();
    let isUsed = false;
    const abort = () => {
      isUsed = true;
      cancel.cancel();
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await settled(() => call(cancel));
    } finally {
      signal.removeEventListener('abort', abort);
      if (!isUsed && this.#idleCancels.length < IDLE_CANCELS_MAX) this.#idleCancels.push(cancel);
    }
  }
}

class AddonTarget implements Target {
  #native: NativeTarget | undefined;

  constructor(native: NativeTarget) {
    this.#native = native;
  }

  ingest(body: ScrapeBody): Promise<ScrapeReport> {
    const { pieces, contentEncoding, contentType, timestampMs, elapsedSeconds } = body;
    return settled(() =>
      this.#open().ingest(pieces, contentEncoding, contentType, timestampMs, elapsedSeconds).then(reportOf),
    );
  }

  fail(failure: { timestampMs: number; elapsedSeconds: number; error: string }): Promise<ScrapeReport> {
    const { timestampMs, elapsedSeconds, error } = failure;
    return settled(() => this.#open().fail(timestampMs, elapsedSeconds, error).then(reportOf));
  }

  markStale(timestampMs: number): Promise<void> {
    return settled(() => this.#open().markStale(timestampMs));
  }

  metadata(): MetricMetadata[] {
    return checked(() => this.#open().metadata());
  }

  metadataSize(): number[] {
    return checked(() => this.#open().metadataSize());
  }

  close(): void {
    this.#native?.close();
    this.#native = undefined;
  }

  #open(): NativeTarget {
    if (!this.#native) throw new EngineError('CLOSED', 'the target is closed');
    return this.#native;
  }
}
