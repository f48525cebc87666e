/** Runs a tool to its end: results to the standard output, what goes beside them to the standard error. */

import { startTool, type ToolOptions } from '../core/index.ts';
import { messageOf } from '../util/index.ts';

/** A progress line on a terminal is drawn again at most so often. */
const PROGRESS_INTERVAL_MS = 100;

/** How a tool is run. */
export interface RunOptions {
  /** Whether progress is shown where there is a terminal. */
  progress?: boolean;
  /** The exit code of a tool that cannot do its work. */
  failure?: number;
}

/** Runs a tool to its end; 0 where all was well, 1 where the tool says that something is not. */
export async function runTool(
  options: ToolOptions,
  { progress = true, failure = 1 }: RunOptions = {},
): Promise<number> {
  const line = new Progress(progress);
  // A reader that goes away (`| head`) ends the tool without a word.
  let gone = false;
  const abort = new AbortController();
  const onError = () => {
    gone = true;
    abort.abort();
  };
  process.stdout.on('error', onError);
  try {
    return (await runQuietly(options, line, abort.signal)) ? 0 : 1;
  } catch (error) {
    line.clear();
    if (!gone) process.stderr.write(`${messageOf(error)}\n`);
    return failure;
  } finally {
    process.stdout.off('error', onError);
  }
}

/**
 * Runs a tool as a part of something larger; whether all was well. Warnings that are among `told` are not repeated.
 * @throws EngineError that ended the tool
 */
export async function runQuietly(
  options: ToolOptions,
  line: Progress,
  signal?: AbortSignal,
  told = new Set<string>(),
): Promise<boolean> {
  const tool = startTool(options);
  const interrupt = () => tool.cancel();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    for (let piece = await tool.next(); piece !== null; piece = await tool.next()) {
      if (typeof piece.progress === 'string') line.show(piece.progress);
      if (typeof piece.warning === 'string' && !told.has(piece.warning)) {
        told.add(piece.warning);
        line.clear();
        process.stderr.write(`${piece.warning}\n`);
      }
      if (piece.result) {
        line.clear();
        await write(piece.result);
      }
    }
    line.clear();
    return tool.clean;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    signal?.removeEventListener('abort', interrupt);
  }
}

/** Writes to the standard output, and waits until it can take more. */
function write(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(bytes, () => resolve());
  });
}

/** One line on a terminal that is drawn again and again; nothing where there is no terminal. */
export class Progress {
  readonly #shown: boolean;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(wanted: boolean) {
    this.#shown = wanted && process.stderr.isTTY === true;
  }

  show(text: string): void {
    const now = performance.now();
    if (!this.#shown || now - this.#drawnAt < PROGRESS_INTERVAL_MS) return;
    this.#drawnAt = now;
    this.#drawn = true;
    process.stderr.write(`\r\x1b[K${text}`);
  }

  clear(): void {
    if (this.#drawn) process.stderr.write('\r\x1b[K');
    this.#drawn = false;
  }
}
