/** What crates/wasm exports. Questions and settings go in as JSON, label sets of many series too. */
import type {
  AppendReport,
  BlockInfo,
  ColumnsResult,
  HeadStats,
  LabelSet,
  LogLine,
  MetricMetadata,
  RemoteWriteReport,
  ScrapeReport,
} from './engine.ts';
import type { Syntax } from './syntax.ts';
import type { Glue } from './wasm-module.ts';

/** Bytes for a client, in memory of JavaScript's. */
export interface Bytes {
  bytes: Uint8Array;
  contentEncoding: string;
}

export interface SyntaxExports extends Omit<Syntax, 'complete'> {
  completeJson(text: string, cursor: number): string;
}

export interface TargetExports {
  ingest(
    pieces: Uint8Array[],
    contentEncoding: string,
    contentType: string,
    timestampMs: number,
    elapsedSeconds: number,
  ): ScrapeReport;
  fail(error: string, timestampMs: number, elapsedSeconds: number): ScrapeReport;
  markStale(timestampMs: number): void;
  metadata(): MetricMetadata[];
  free(): void;
}

export interface RelabelerExports {
  apply(labelSets: string): (LabelSet | null)[];
}

export interface DatabaseExports {
  openTarget(options: string): TargetExports;
  relabeler(rules: string, validation: string): RelabelerExports;
  append(labels: string, timestamps: Float64Array[], values: Float64Array[]): AppendReport;
  ingestRemoteWrite(pieces: Uint8Array[], contentType: string, contentEncoding: string): RemoteWriteReport;
  /** An `OtlpReport` as JSON. */
  ingestOtlp(pieces: Uint8Array[], contentType: string, contentEncoding: string): string;
  queryJson(query: string): Bytes;
  queryCostJson(query: string, scrapeIntervalMs: number): Bytes;
  query(query: string): ColumnsResult;
  exemplarsJson(query: string): Bytes | undefined;
  seriesJson(query: string): Bytes;
  labelNamesJson(query: string): Bytes;
  labelValuesJson(name: string, query: string): Bytes;
  federate(query: string): Bytes;
  formatQuery(query: string): string;
  parseQueryJson(query: string): string;
  checkSelectors(selectors: string[]): void;
  checkSelector(selector: string): void;
  statusTsdbJson(limit: number): Bytes;
  headStats(): HeadStats;
  blocks(): BlockInfo[];
  metricsText(): string;
  takeLogs(): LogLine[];
  applyStorage(settings: string): void;
  applyQueries(settings: string): void;
  applyOtlp(settings: string): void;
  deleteSeries(query: string): void;
  cleanTombstones(): void;
  maintain(): void;
  close(): void;
}

/** Blocks to open, handed over file by file. */
export interface BlocksExports {
  begin(): void;
  add(path: string, bytes: Uint8Array): void;
}

/** The module with the syntax services. */
export interface SyntaxGlue extends Glue {
  Syntax: new (features: string[]) => SyntaxExports;
}

/** The module with everything. */
export interface EngineGlue extends SyntaxGlue {
  Blocks: new () => BlocksExports;
  Database: new (options: string, blocks: BlocksExports, seed: bigint) => DatabaseExports;
}
