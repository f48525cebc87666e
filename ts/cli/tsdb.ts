/** `narthex tsdb …`: tools for data directories, with the flags, output and exit codes of promtool. */

import { type Command, CommanderError, Option } from 'commander';
import type { ToolOptions } from '../core/index.ts';
import { messageOf } from '../util/index.ts';
import { createBlocksFromOpenMetrics } from './create-blocks.ts';
import { createBlocksFromRules } from './rule-blocks.ts';
import { runTool } from './run-tool.ts';
import { blockDurationMs, goDuration, integer, label, time, wrongValue } from './tsdb-values.ts';

const DEFAULT_DIR = 'data/';
const ALL_SERIES = "{__name__=~'(?s:.*)'}";
/** Rules are evaluated up to so long ago where no end is given: what is newer is still in the head. */
const RULES_END_AGO_MS = 3 * 3_600_000;
/** The exit code of a check that could not be made. */
const NOT_CHECKED = 2;

/** Adds the command `tsdb` to `parent`; `finish` takes the exit code. */
export function addTsdbCommands(parent: Command, finish: (exitCode: number) => void): void {
  const tsdb = parent.command('tsdb').description('Run tsdb commands.');
  const add = (name: string, description: string) =>
    tsdb.command(name).description(description).argument('[db path]', 'Database path.', DEFAULT_DIR);
  add('list', 'List tsdb blocks.')
    .option('-r, --human-readable', 'Print human readable values.')
    .action(async (dir: string, flags: { humanReadable?: boolean }) =>
      finish(await runTool({ tool: 'list', dir, humanReadable: flags.humanReadable === true })),
    );
  add('analyze', 'Analyze churn, label pair cardinality and compaction efficiency.')
    .argument('[block id]', 'Block to analyze (default is the last block).')
    .option('--limit <n>', 'How many items to show in each list.', integer, 20)
    .option('--extended', 'Run extended analysis.')
    .option('--match <selector>', 'Series selector to analyze. Only 1 set of matchers is supported now.')
    .action(async (dir: string, block: string | undefined, flags: AnalyzeFlags) =>
      finish(
        await runTool({
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
    .action(async (dir: string, flags: DumpFlags) => finish(await runTool(dumpOptions(dir, flags, flags.format))));
  addDumpFlags(
    add(
      'dump-openmetrics',
      '[Experimental] Dump samples from a TSDB into OpenMetrics text format, excluding native histograms, which are not representable in OpenMetrics.',
    ),
  ).action(async (dir: string, flags: DumpFlags) => finish(await runTool(dumpOptions(dir, flags, 'openmetrics'))));
  addVerify(add('verify', 'Check every checksum, reference and order in a data directory.'), finish);
  addCreateBlocks(tsdb, finish);
  tsdb
    .command('bench')
    .description('Run benchmarks.')
    .command('write')
    .description('Run a write performance benchmark.')
    .argument('[file]', 'Input file with samples data, label sets are made up by default.')
    .option('--out <dir>', 'Set the output path.', 'benchout')
    .option('--metrics <n>', 'Number of metrics to read.', integer, 10_000)
    .option('--scrapes <n>', 'Number of scrapes to simulate.', integer, 3000)
    .action(async (input: string | undefined, flags: { out: string; metrics: number; scrapes: number }) =>
      finish(
        await runTool({
          tool: 'bench-write',
          dir: flags.out,
          metrics: flags.metrics,
          scrapes: flags.scrapes,
          ...(input === undefined ? {} : { input }),
        }),
      ),
    );
}

/** Exit codes are those of a check: 0 nothing is wrong, 1 something is, 2 it could not be made. */
function addVerify(command: Command, finish: (exitCode: number) => void): void {
  command
    .addHelpText('after', '\nExit code 0: nothing is wrong; 1: something is; 2: it could not be checked.')
    .option('--json', 'Print an object a line: what is wrong, and last what was looked at.')
    .option('-q, --quiet', 'Do not show progress.')
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : new CommanderError(NOT_CHECKED, 'narthex.usage', error.message);
    })
    .action(async (dir: string, flags: { json?: boolean; quiet?: boolean }) =>
      finish(
        await runTool(
          { tool: 'verify', dir, json: flags.json === true },
          { progress: flags.quiet !== true, failure: NOT_CHECKED },
        ),
      ),
    );
}

interface CreateBlocksFlags {
  humanReadable?: boolean;
  quiet?: boolean;
  maxBlockDuration: number;
  allowIncompatibleBlockDuration?: boolean;
}

interface RulesFlags extends CreateBlocksFlags {
  url: string;
  start: number;
  end?: number;
  outputDir: string;
  evalInterval: number;
  'http.config.file'?: string;
}

function addCreateBlocks(tsdb: Command, finish: (exitCode: number) => void): void {
  const command = tsdb
    .command('create-blocks-from')
    .description('[Experimental] Import samples from input and produce TSDB blocks.')
    .option('-r, --human-readable', 'Print human readable values.')
    .option('-q, --quiet', 'Do not print created blocks.')
    .option(
      '--max-block-duration <duration>',
      'Maximum duration created blocks may span. Anything less than 2h is ignored.',
      goDuration,
      0,
    )
    .option(
      '--allow-incompatible-block-duration',
      'Use --max-block-duration as is, instead of rounding it down to a Prometheus compaction range.',
    );
  const durationOf = (flags: CreateBlocksFlags) =>
    blockDurationMs(flags.maxBlockDuration, flags.allowIncompatibleBlockDuration === true);
  command
    .command('openmetrics')
    .description('Import samples from OpenMetrics input and produce TSDB blocks.')
    .argument('<input file>', 'OpenMetrics file to read samples from.')
    .argument('[output directory]', 'Output directory for generated blocks.', DEFAULT_DIR)
    .option(
      '--label <name=value>',
      'Label to attach to metrics. Can be specified multiple times.',
      (text, before: [string, string][]) => [...before, label(text)],
      [],
    )
    .action(async (input: string, outputDir: string, own: { label: [string, string][] }, self: Command) => {
      const flags = self.optsWithGlobals<CreateBlocksFlags>();
      finish(
        await createBlocksFromOpenMetrics({
          input,
          outputDir,
          labels: own.label,
          blockDurationMs: durationOf(flags),
          quiet: flags.quiet === true,
          humanReadable: flags.humanReadable === true,
        }),
      );
    });
  command
    .command('rules')
    .description('Create blocks of data for new recording rules. Alerting rules are not evaluated.')
    .argument('<rule-files...>', 'Files containing the recording rules to be backfilled.')
    .option('--http.config.file <file>', 'HTTP client configuration file.')
    .option('--url <url>', 'The URL of the Prometheus API with the data.', 'http://localhost:9090')
    .requiredOption('--start <time>', 'When to start: RFC 3339 or seconds since 1970. Required.', (text) =>
      flagTime('start', text),
    )
    .option('--end <time>', 'When to end, by default 3 hours ago.', (text) => flagTime('end', text))
    .option('--output-dir <dir>', 'Output directory for generated blocks.', DEFAULT_DIR)
    .option('--eval-interval <duration>', 'How often groups without an interval are evaluated.', goDuration, 60_000)
    .action(async (files: string[], _own: unknown, self: Command) => {
      const flags = self.optsWithGlobals<RulesFlags>();
      finish(
        await createBlocksFromRules({
          files,
          url: flags.url,
          httpConfigFile: flags['http.config.file'],
          startMs: flags.start,
          endMs: flags.end ?? Date.now() - RULES_END_AGO_MS,
          outputDir: flags.outputDir,
          evalIntervalMs: flags.evalInterval,
          blockDurationMs: durationOf(flags),
        }),
      );
    });
}

function flagTime(flag: string, text: string): number {
  try {
    return time(text);
  } catch (error) {
    throw wrongValue(`error parsing ${flag} time: ${messageOf(error)}`);
  }
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
