/** Tools for data directories, run by the addon, which hands out their text in pieces. */

/** What to do with a data directory; nothing is written there. */
export interface ToolOptions {
  tool: 'list' | 'analyze' | 'dump' | 'verify';
  /** The data directory. */
  dir: string;
  /** list: times and sizes for people. */
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
}

/** A piece of at most 1 MiB of what a tool has to say, or a line about how far it has come. */
export interface ToolPiece {
  result?: Uint8Array | undefined;
  progress?: string | undefined;
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
