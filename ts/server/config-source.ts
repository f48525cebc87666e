/** Where the configuration comes from: a file, or text that the program brings along. */

import { type LoadResult, loadConfig, parseConfig, type RegexCheck } from '../config/index.ts';
import { type Engine, open, type RelabelRule } from '../core/index.ts';
import { messageOf } from '../util/index.ts';

export type ConfigSource = { file: string } | { name: string; text: string };

/** Reads and checks the configuration; throws `ConfigError` with the places of all mistakes. */
export async function readConfig(source: ConfigSource, engine?: Engine): Promise<LoadResult> {
  if (engine !== undefined) return load(source, regexCheck(engine));
  // The core knows Go's regular expressions; an engine without data lends them out.
  const lent = await open({ dir: ':memory:', ingestThreads: 1, queryThreads: 1 });
  try {
    return await load(source, regexCheck(lent));
  } finally {
    await lent.close();
  }
}

/** What the configuration is called in messages. */
export function sourceName(source: ConfigSource): string {
  return 'file' in source ? source.file : source.name;
}

async function load(source: ConfigSource, checkRegex: RegexCheck): Promise<LoadResult> {
  if ('file' in source) return loadConfig(source.file, { checkRegex });
  return parseConfig(source.text, source.name, { checkRegex });
}

function regexCheck(engine: Engine): RegexCheck {
  return (regex) => {
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
      engine.relabeler([rule], 'utf8');
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
}
