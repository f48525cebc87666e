/** `narthex tool promql …`: queries formatted and edited, with the flags, output and exit codes of promtool. */

import { type Command, Option } from 'commander';
import { type EngineFeature, type MatchOperator, openSyntax, type Syntax } from '../core/index.ts';
import { messageOf } from '../util/index.ts';

const OPERATORS: MatchOperator[] = ['=', '!=', '=~', '!~'];

/** The features that change the language; promtool knows more, of which those that are always on. */
const FEATURES: EngineFeature[] = [
  'promql-experimental-functions',
  'promql-binop-fill-modifiers',
  'promql-unquoted-utf8-names',
];
const WITHOUT_EFFECT = ['promql-delayed-name-removal', 'promql-duration-expr', 'promql-extended-range-selectors', ''];

interface PromqlFlags {
  experimental?: boolean;
  enableFeature: string[];
}

/** Adds the command `promql` to `parent`; `finish` takes the exit code. */
export function addPromqlCommands(parent: Command, finish: (exitCode: number) => void): void {
  const promql = parent
    .command('promql')
    .description('PromQL formatting and editing. Requires the --experimental flag.')
    .option('--experimental', 'Enable experimental commands.')
    .option(
      '--enable-feature <names>',
      `Comma separated features of the language to enable: ${FEATURES.join(', ')}.`,
      (names, before: string[]) => [...before, ...names.split(',')],
      [],
    );
  promql
    .command('format')
    .description('Format PromQL query to pretty printed form.')
    .argument('<query>', 'PromQL query.')
    .action((query: string, _own: unknown, self: Command) =>
      finish(print(self, (syntax) => syntax.formatQuery(query))),
    );
  const matchers = promql
    .command('label-matchers')
    .description('Edit label matchers contained within an existing PromQL query.');
  matchers
    .command('set')
    .description('Set a label matcher in the query.')
    .addOption(new Option('-t, --type <operator>', 'Type of the label matcher to set.').choices(OPERATORS).default('='))
    .argument('<query>', 'PromQL query.')
    .argument('<name>', 'Name of the label matcher to set.')
    .argument('<value>', 'Value of the label matcher to set.')
    .action((query: string, name: string, value: string, own: { type: MatchOperator }, self: Command) =>
      finish(print(self, (syntax) => syntax.setLabelMatcher(query, name, own.type, value))),
    );
  matchers
    .command('delete')
    .description('Delete a label from the query.')
    .argument('<query>', 'PromQL query.')
    .argument('<name>', 'Name of the label to delete.')
    .action((query: string, name: string, _own: unknown, self: Command) =>
      finish(print(self, (syntax) => syntax.deleteLabelMatchers(query, name))),
    );
}

/** Prints what `work` makes of a query; 1 where it cannot. */
function print(command: Command, work: (syntax: Syntax) => string): number {
  const flags = command.optsWithGlobals<PromqlFlags>();
  const unknown = flags.enableFeature.filter((f) => !isFeature(f) && !WITHOUT_EFFECT.includes(f));
  for (const name of unknown) process.stderr.write(`  WARNING: Unknown feature passed to --enable-feature: ${name}\n`);
  if (flags.experimental !== true) {
    process.stderr.write('This command is experimental and requires the --experimental flag to be set.\n');
    return 1;
  }
  try {
    process.stdout.write(`${work(openSyntax({ features: flags.enableFeature.filter(isFeature) }))}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 1;
  }
}

function isFeature(name: string): name is EngineFeature {
  return FEATURES.some((feature) => feature === name);
}
