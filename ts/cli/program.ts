/** The commands of the program and their exit codes. */

import { inspect } from 'node:util';
import { Command, CommanderError } from 'commander';
import { narthexVersion, PROMETHEUS_VERSION } from '../server/index.ts';
import { messageOf } from '../util/index.ts';
import { addFlags, flagValues, isHelp, plainSwitches } from './flag-parser.ts';
import { addPromqlCommands } from './promql.ts';
import { addPushCommands } from './push.ts';
import { runServer } from './run-server.ts';
import { SERVER_FLAGS } from './server-flags.ts';
import { startOptions } from './start.ts';
import { checkConfig } from './tool.ts';
import { addTsdbCommands } from './tsdb.ts';

/** Exit codes of a wrong command line, as with Prometheus; promtool has only the first. */
const UNKNOWN_FLAG = 1;
const BAD_VALUE = 2;

/** Runs one command line (without the program's name) to its end; returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const plain = plainSwitches(args, SERVER_FLAGS);
  const program = commands(plain, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(plain, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (isHelp(error)) return 0;
    if (!(error instanceof CommanderError)) return unexpected(error);
    if (error.code === 'narthex.usage') return error.exitCode;
    const isTool = args[0] === 'tsdb' || args[0] === 'tool';
    return error.code === 'commander.invalidArgument' && !isTool ? BAD_VALUE : UNKNOWN_FLAG;
  }
}

/** What no command expected: an error with a code is told in a line, a fault of ours with its stack. */
function unexpected(error: unknown): number {
  const isCoded = error instanceof Error && 'code' in error;
  process.stderr.write(`narthex: ${isCoded ? messageOf(error) : inspect(error)}\n`);
  return 1;
}

function commands(args: readonly string[], finish: (exitCode: number) => void): Command {
  const version = `narthex ${narthexVersion()} (speaks Prometheus ${PROMETHEUS_VERSION}), node ${process.version}, ${process.platform}/${process.arch}`;
  const program = new Command('narthex')
    .description('A monitoring system in the place of Prometheus.')
    .version(version, '--version', 'Print the version.')
    .helpOption('-h, --help', 'Print this help.')
    .showHelpAfterError('(--help lists all flags)')
    .exitOverride()
    .allowExcessArguments()
    .action(() => {
      const [unknown] = program.args;
      if (unknown !== undefined) program.error(`error: unknown command '${unknown}'`);
      program.outputHelp();
    });
  const server = program
    .command('server')
    .description("Run the server with Prometheus' flags.")
    .action(async () => finish(await runServer(flagValues(server, SERVER_FLAGS, args), {})));
  const start = program
    .command('start')
    .description('Run the server on 127.0.0.1:9090 with a configuration of its own that scrapes itself into ./data.')
    .action(async () => finish(await runServer(flagValues(start, SERVER_FLAGS, args), startOptions)));
  for (const command of [server, start]) {
    addFlags(command, SERVER_FLAGS);
    command.version(version, '--version', 'Print the version.').allowExcessArguments(false);
  }
  const tool = program.command('tool').description('Tools for files and data.');
  const check = tool.command('check').description('Check files.');
  check
    .command('config <files...>')
    .description('Check configuration files.')
    .option('--agent', 'Check them as those of an agent.')
    .action(async (files: string[], { agent }: { agent?: boolean }) => finish(await checkConfig(files, agent)));
  addPromqlCommands(tool, finish);
  addPushCommands(tool, finish);
  for (const parent of [program, tool]) addTsdbCommands(parent, finish);
  return program;
}
