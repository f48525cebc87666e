/** The whole file: its sections, and what one section says of another. */

import { quote } from '../util/index.ts';
import { globalType } from './global.ts';
import { object, reportAt, section } from './object.ts';
import { alertingType, checkAlerting, checkNames, remoteReadType, remoteWriteType } from './remote.ts';
import { type Decoding, Field, type Infer, list, paths, type RegexCheck, type Report } from './schema.ts';
import { inheritGlobal, type ScrapeConfig, scrapeConfigs } from './scrape-config.ts';
import { checkTranslation, otlpType, runtimeType, storageType, tracingField } from './sections.ts';
import { YamlSource } from './yaml.ts';

const fields = {
  global: new Field(globalType, () => globalType.zero(), true),
  runtime: section(runtimeType),
  alerting: new Field(alertingType),
  rule_files: paths(),
  scrape_config_files: paths(),
  scrape_configs: scrapeConfigs(),
  storage: new Field(storageType),
  tracing: tracingField(),
  remote_write: list(remoteWriteType, { nullMessage: 'empty or null remote write config section' }),
  remote_read: list(remoteReadType, { nullMessage: 'empty or null remote read config section' }),
  otlp: section(otlpType),
};

/**
 * A configuration file, defaults filled in, under the file's own names. Durations are milliseconds,
 * sizes bytes, and a limit of 0 is none. Read-only once loaded.
 */
export type Config = Infer<typeof fields>;

/** The type of the whole file; its `json` is the schema for editors. */
export const configType = object(fields, {
  check(config, report, decoding) {
    if (config.runtime.gogc === 0 && config.runtime.log_level === '') config.runtime = runtimeType.initial();
    checkPatterns(config.rule_files, 'invalid rule file path', 'rule_files', report);
    checkPatterns(config.scrape_config_files, 'invalid scrape config file path', 'scrape_config_files', report);
    expandExternalLabels(config.global.external_labels, decoding, config);
    for (const scrape of config.scrape_configs) inheritGlobal(scrape, config.global, decoding);
    checkJobs(config.scrape_configs, decoding);
    const scheme = config.global.metric_name_validation_scheme;
    checkAlerting(config.alerting, scheme, decoding);
    checkNames(config.remote_write, 'write', decoding);
    checkNames(config.remote_read, 'read', decoding);
    const wrong = checkTranslation(config.otlp.translation_strategy, scheme);
    if (wrong !== undefined) reportAt(decoding, config.otlp, wrong, 'translation_strategy');
    warnInactive(config, decoding);
  },
});

/** A file of `scrape_config_files`: scrape configurations and nothing else. */
const scrapeFileType = object({ scrape_configs: scrapeConfigs() });

/** What a text was decoded into. */
export interface Decoded<T> {
  value: T;
  decoding: Decoding;
}

/** Decodes a configuration file's text. Issues are in the result's source, not thrown. */
export function decodeConfig(text: string, file: string, checkRegex: RegexCheck): Decoded<Config> {
  const decoding = newDecoding(text, file, checkRegex);
  const node = decoding.source.follow(decoding.source.root);
  return { value: node ? configType.decode(node, decoding, '') : configType.initial(), decoding };
}

/** Decodes the text of a file of `scrape_config_files` in the light of the main file's globals. */
export function decodeScrapeFile(
  text: string,
  file: string,
  config: Config,
  checkRegex: RegexCheck,
): Decoded<ScrapeConfig[]> {
  const decoding = newDecoding(text, file, checkRegex);
  const node = decoding.source.follow(decoding.source.root);
  const value = node ? scrapeFileType.decode(node, decoding, '').scrape_configs : [];
  if (decoding.source.issues.length === 0) {
    for (const scrape of value) inheritGlobal(scrape, config.global, decoding);
  }
  return { value, decoding };
}

function newDecoding(text: string, file: string, checkRegex: RegexCheck): Decoding {
  return { source: new YamlSource(text, file), checkRegex, places: new WeakMap() };
}

const FILE_PATTERN = /^[^*]*(\*[^/]*)?$/;

function checkPatterns(patterns: string[], message: string, key: string, report: Report): void {
  for (const pattern of patterns) {
    if (!FILE_PATTERN.test(pattern)) report(`${message} ${quote(pattern)}`, key);
  }
}

function checkJobs(configs: ScrapeConfig[], decoding: Decoding): void {
  const seen = new Set<string>();
  for (const config of configs) {
    if (seen.has(config.job_name)) {
      const message = `found multiple scrape configs with job name ${quote(config.job_name)}`;
      reportAt(decoding, config, message, 'job_name');
    }
    seen.add(config.job_name);
  }
}

/** Replaces `$NAME` and `${NAME}` by the environment; `$$` is a dollar sign. */
function expandExternalLabels(labels: Record<string, string>, decoding: Decoding, config: object): void {
  for (const [name, value] of Object.entries(labels)) {
    labels[name] = value.replaceAll(/\$(?:\{([^}]*)\}|([A-Za-z0-9_]+|\$))/g, (_, braced?: string, bare?: string) => {
      const variable = braced ?? bare ?? '';
      if (variable === '$') return '$';
      const expanded = process.env[variable] ?? '';
      if (expanded === '') {
        const node = decoding.places.get(config)?.keys.get('global');
        decoding.source.warn(node, `external label ${quote(name)}: environment variable ${variable} is empty`);
      }
      return expanded;
    });
  }
}

/** Reports the first section that an agent has no use for. */
export function checkAgent(config: Config, decoding: Decoding): void {
  const { alerting } = config;
  const used = {
    alerting: alerting.alertmanagers.length > 0 || alerting.alert_relabel_configs.length > 0,
    rule_files: config.rule_files.length > 0,
    remote_read: config.remote_read.length > 0,
  };
  const [key] = Object.entries(used).find(([, isUsed]) => isUsed) ?? [];
  if (key !== undefined) reportAt(decoding, config, `field ${key} is not allowed in agent mode`, key);
}

/** Keys that are read and checked, but have no effect yet. */
const INACTIVE_PATHS = ['global.rule_query_offset', 'alerting', 'rule_files', 'tracing'];

function warnInactive(config: object, decoding: Decoding): void {
  for (const path of INACTIVE_PATHS) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    let value: unknown = config;
    for (const key of keys) value = (value as Record<string, unknown> | undefined)?.[key];
    const node = value ? decoding.places.get(value)?.keys.get(last) : undefined;
    const used = (value as Record<string, unknown> | undefined)?.[last];
    const empty = Array.isArray(used) ? used.length === 0 : !used;
    if (node && !empty) decoding.source.warn(node, `${path} is parsed but not active yet`);
  }
}
