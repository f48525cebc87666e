/** Tools for data directories, run by the addon, which hands out their text in pieces. */

/** What to do with a data directory. The last three write there, the others do not. */
export interface ToolOptions {
  tool: 'list' | 'analyze' | 'dump' | 'verify' | 'create-blocks' | 'rule-block' | 'bench-write';
  /** The data directory; of the last three the one to write to, which is made. */
  dir: string;
  /** list, create-blocks: times and sizes for people. */
  humanReadable?: boolean;
  /** analyze: the block, by default the last. */
  block?: string;
  /** analyze: entries of each list. */
  limit?: number;
  /** analyze: whether to look into the chunks. */
  extended?: boolean;
  /** analyze: the first one; dump: series that satisfy any of these. */
  selectors?: string[];
  /** dump: first and last time, milliseconds. */
  minMs?: number;
  maxMs?: number;
  /** dump: how samples are printed. */
  format?: 'prom' | 'seriesjson' | 'openmetrics';
  /** verify: whether to print JSON, an object a line. */
  json?: boolean;
  /** create-blocks: the OpenMetrics file, read more than once; bench-write: label sets, made up where absent. */
  input?: string;
  /** create-blocks, rule-block: names and values set on every series. */
  labels?: [name: string, value: string][];
  /** create-blocks, rule-block: length of a block, milliseconds. */
  blockDurationMs?: number;
  /** create-blocks: whether the blocks made are not printed. */
  quiet?: boolean;
  /** rule-block: the answer to a range query, and the name of the rule. */
  body?: Uint8Array;
  record?: string;
  /** bench-write: how many series, and samples of each. */
  metrics?: number;
  scrapes?: number;
}

/** A piece of at most 1 MiB of what a tool has to say, or a line beside it. */
export interface ToolPiece {
  result?: Uint8Array | undefined;
  progress?: string | undefined;
  /** What the user has to see though the tool goes on. */
  warning?: string | undefined;
}

/** A tool at work; it waits where nobody takes its pieces. */
export interface ToolRun {
  /** The next piece, `null` at the end; rejects with the error that ended the tool. */
  next(): Promise<ToolPiece | null>;
  /** Whether the tool has ended and all was well. */
  readonly clean: boolean;
  /** Ends the tool soon: `next` rejects then. */
  cancel(): void;
}
