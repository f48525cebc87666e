/** Where the configuration comes from: a file, or text that the program brings along. */

import { type LoadResult, loadConfig, parseConfig } from '../config/index.ts';
import { compileRelabeler, type RelabelRule } from '../core/index.ts';
import { messageOf } from '../util/index.ts';

export type ConfigSource = { file: string } | { name: string; text: string };

/** Reads and checks the configuration, as an agent's or not; throws `ConfigError` with the places of all mistakes. */
export async function readConfig(source: ConfigSource, isAgent: boolean): Promise<LoadResult> {
  if ('file' in source) return loadConfig(source.file, { checkRegex, isAgent });
  return parseConfig(source.text, source.name, { checkRegex, isAgent });
}

/** What the configuration is called in messages. */
export function sourceName(source: ConfigSource): string {
  return 'file' in source ? source.file : source.name;
}

/** Go's regular expressions are known to the core, which compiles one where rules are compiled. */
function checkRegex(regex: string): string | undefined {
  const rule: RelabelRule = {
    sourceLabels: ['__name__'],
    separator: ';',
    regex,
    modulus: 0,
    targetLabel: '',
    replacement: '$1',
    action: 'keep',
  };
  try {
    compileRelabeler([rule], 'utf8');
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
