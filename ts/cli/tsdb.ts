/** `narthex tsdb …`: tools for data directories, with the flags, output and exit codes of promtool. */

import { type Command, Option } from 'commander';
import { EngineError, startTool, type ToolOptions } from '../core/index.ts';

const DEFAULT_DIR = 'data/';
const ALL_SERIES = "{__name__=~'(?s:.*)'}";
/** A progress line on a terminal is drawn again at most so often. */
const PROGRESS_INTERVAL_MS = 100;

/** Adds the command `tsdb` to `parent`; `finish` takes the exit code. */
export function addTsdbCommands(parent: Command, finish: (exitCode: number) => void): void {
  const tsdb = parent.command('tsdb').description('Run tsdb commands.');
  const add = (name: string, description: string) =>
    tsdb.command(name).description(description).argument('[db path]', 'Database path.', DEFAULT_DIR);
  add('list', 'List tsdb blocks.')
    .option('-r, --human-readable', 'Print human readable values.')
    .action(async (dir: string, flags: { humanReadable?: boolean }) =>
      finish(await run({ tool: 'list', dir, humanReadable: flags.humanReadable === true })),
    );
  add('analyze', 'Analyze churn, label pair cardinality and compaction efficiency.')
    .argument('[block id]', 'Block to analyze (default is the last block).')
    .option('--limit <n>', 'How many items to show in each list.', integer, 20)
    .option('--extended', 'Run extended analysis.')
    .option('--match <selector>', 'Series selector to analyze. Only 1 set of matchers is supported now.')
    .action(async (dir: string, block: string | undefined, flags: AnalyzeFlags) =>
      finish(
        await run({
          tool: 'analyze',
          dir,
          limit: flags.limit,
          extended: flags.extended === true,
          ...(block ? { block } : {}),
          ...(flags.match ? { selectors: [flags.match] } : {}),
        }),
      ),
    );
  const dump = addDumpFlags(add('dump', 'Dump data (series+samples or optionally just series) from a TSDB.'));
  dump
    .addOption(
      new Option('--format <format>', 'Output format of the dump.').choices(['prom', 'seriesjson']).default('prom'),
    )
    .action(async (dir: string, flags: DumpFlags) => finish(await run(dumpOptions(dir, flags, flags.format))));
  addDumpFlags(
    add(
      'dump-openmetrics',
      '[Experimental] Dump samples from a TSDB into OpenMetrics text format, excluding native histograms, which are not representable in OpenMetrics.',
    ),
  ).action(async (dir: string, flags: DumpFlags) => finish(await run(dumpOptions(dir, flags, 'openmetrics'))));
  add('verify', 'Check every checksum, reference and order in a data directory; exit code 1 where anything is wrong.')
    .option('-q, --quiet', 'Do not show progress.')
    .action(async (dir: string, flags: { quiet?: boolean }) =>
      finish(await run({ tool: 'verify', dir }, flags.quiet !== true)),
    );
}

interface AnalyzeFlags {
  limit: number;
  extended?: boolean;
  match?: string;
}

interface DumpFlags {
  minTime?: number;
  maxTime?: number;
  match?: string[];
  format: 'prom' | 'seriesjson';
}

function addDumpFlags(command: Command): Command {
  const collect = (selector: string, before: string[] | undefined) => [...(before ?? []), selector];
  return command
    .option('--sandbox-dir-root <dir>', 'Accepted for compatibility: what opening changes stays in memory.')
    .option('--min-time <ms>', 'Minimum timestamp to dump, in milliseconds since the Unix epoch.', integer)
    .option('--max-time <ms>', 'Maximum timestamp to dump, in milliseconds since the Unix epoch.', integer)
    .option('--match <selector>', 'Series selector. Can be specified multiple times.', collect);
}

function dumpOptions(dir: string, flags: DumpFlags, format: NonNullable<ToolOptions['format']>): ToolOptions {
  return {
    tool: 'dump',
    dir,
    format,
    selectors: flags.match ?? [ALL_SERIES],
    ...(flags.minTime === undefined ? {} : { minMs: flags.minTime }),
    ...(flags.maxTime === undefined ? {} : { maxMs: flags.maxTime }),
  };
}

function integer(text: string): number {
  const value = Number(text);
  // Not an error of commander's argument check: promtool's exit code for it is 1.
  if (!/^[+-]?\d+$/.test(text)) {
    throw new EngineError('INVALID_ARGUMENT', `strconv.ParseInt: parsing "${text}": invalid syntax`);
  }
  return value;
}

/** Runs a tool to its end; 0 where all was well. */
async function run(options: ToolOptions, showProgress = false): Promise<number> {
  const tool = startTool(options);
  const interrupt = () => tool.cancel();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  // A reader that goes away (`| head`) ends the tool without a word.
  let gone = false;
  const onError = () => {
    gone = true;
    tool.cancel();
  };
  process.stdout.on('error', onError);
  const progress = new Progress(showProgress);
  try {
    for (let piece = await tool.next(); piece !== null; piece = await tool.next()) {
      if (piece.progress !== undefined) progress.show(piece.progress);
      if (piece.result !== undefined) {
        progress.clear();
        await write(piece.result);
      }
    }
    progress.clear();
    return tool.clean ? 0 : 1;
  } catch (error) {
    progress.clear();
    if (!gone) process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    process.stdout.off('error', onError);
  }
}

/** Writes to the standard output, and waits until it can take more. */
function write(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(bytes, () => resolve());
  });
}

/** One line on a terminal that is drawn again and again; nothing where there is no terminal. */
class Progress {
  readonly #shown: boolean;
  #drawnAt = 0;
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
