/** From a file's name to a configuration that can be used: reading, includes, paths. */

import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { messageOf, quote } from '../util/index.ts';
import { type Config, checkAgent, configType, decodeConfig, decodeScrapeFile } from './config.ts';
import { ConfigError, type Issue } from './errors.ts';
import { glob } from './glob.ts';
import { reportAt } from './object.ts';
import type { Decoding, RegexCheck } from './schema.ts';
import { type ScrapeConfig, scrapeConfigType } from './scrape-config.ts';

/** A configuration with all that belongs to it. */
export interface LoadResult {
  /** The main file. Relative paths are joined with its directory. */
  config: Config;
  /** The main file's scrape configurations and those of `scrape_config_files`. */
  scrapeConfigs: ScrapeConfig[];
  /** What the user should know: sections without effect, empty environment variables. */
  warnings: Issue[];
}

/** How a configuration is checked. */
export interface LoadOptions {
  /**
   * Says what is wrong with a regular expression in Go's syntax, `undefined` where nothing is. The
   * engine knows; without it regular expressions are found wrong only when they are compiled.
   */
  checkRegex?: RegexCheck;
  /** Refuses what an agent has no use for. */
  isAgent?: boolean;
}

const anyRegex: RegexCheck = () => undefined;

/**
 * Parses a configuration's text. Includes are not read and paths are left as they stand.
 * @throws ConfigError
 */
export function parseConfig(text: string, filename: string, options: LoadOptions = {}): LoadResult {
  const { value, decoding } = decodeConfig(text, filename, options.checkRegex ?? anyRegex);
  throwIssues(decoding);
  if (options.isAgent) checkAgent(value, decoding);
  throwIssues(decoding);
  return { config: value, scrapeConfigs: value.scrape_configs, warnings: decoding.source.warnings };
}

/**
 * Reads a configuration file and the files it includes.
 * @throws ConfigError with the places of all mistakes; for a file that cannot be read, its first line.
 */
export async function loadConfig(path: string, options: LoadOptions = {}): Promise<LoadResult> {
  const result = parseConfig(await read(path), path, options);
  const config = configType.relocate?.(result.config, joiner(dirname(path))) ?? result.config;
  const warnings = [...result.warnings];
  const included = await readIncluded(config, options.checkRegex ?? anyRegex, warnings);
  return { config, scrapeConfigs: [...config.scrape_configs, ...included], warnings };
}

async function readIncluded(config: Config, checkRegex: RegexCheck, warnings: Issue[]): Promise<ScrapeConfig[]> {
  const jobs = new Map(config.scrape_configs.map(({ job_name: name }) => [name, 'main config file']));
  const included: ScrapeConfig[] = [];
  for (const pattern of config.scrape_config_files) {
    for (const file of await glob(pattern)) {
      const { value, decoding } = decodeScrapeFile(await read(file), file, config, checkRegex);
      throwIssues(decoding);
      for (const scrape of value) {
        const first = jobs.get(scrape.job_name);
        if (first !== undefined) {
          const message = `found multiple scrape configs with job name ${quote(scrape.job_name)}, first found in ${first}`;
          reportAt(decoding, scrape, message, 'job_name');
        }
        jobs.set(scrape.job_name, quote(file));
      }
      throwIssues(decoding);
      const join = joiner(dirname(file));
      included.push(...value.map((scrape) => scrapeConfigType.relocate?.(scrape, join) ?? scrape));
      warnings.push(...decoding.source.warnings);
    }
  }
  return included;
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new ConfigError([{ file, line: 1, column: 1, message: `cannot be read: ${messageOf(cause)}` }], { cause });
  }
}

function joiner(directory: string): (path: string) => string {
  return (path) => (path === '' || isAbsolute(path) ? path : join(directory, path));
}

function throwIssues(decoding: Decoding): void {
  if (decoding.source.issues.length > 0) throw new ConfigError(decoding.source.issues);
}
