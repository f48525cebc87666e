/**
 * The configuration file: YAML to a typed, checked configuration with the places of all mistakes, the
 * way back to YAML, and what changed between two of them. One schema, written in `schema.ts`' words,
 * knows every key of Prometheus' format. It must not know who uses a configuration: no engine, no
 * HTTP, no timers.
 */

export { checkFiles } from './check-files.ts';
export { type Config, configType } from './config.ts';
export { type ConfigDiff, diffConfig } from './diff.ts';
export { ConfigError, formatIssue, type Issue, type Place } from './errors.ts';
export { glob } from './glob.ts';
export {
  checkProtocol,
  DEFAULT_SCRAPE_PROTOCOLS,
  type GlobalConfig,
  SCRAPE_PROTOCOLS,
  type ScrapeProtocol,
} from './global.ts';
export type { HttpClientConfig, TlsConfig } from './http-client.ts';
export { defaultHttpClient, parseHttpFile } from './http-file.ts';
export { type LoadOptions, type LoadResult, loadConfig, parseConfig } from './load.ts';
export { isValidLabelName, type ValidationScheme } from './names.ts';
export { configToYaml, scrapeConfigToYaml } from './print.ts';
export { type RelabelAction, type RelabelConfig, relabelRule } from './relabel.ts';
export type { AlertingConfig, AlertmanagerConfig, RemoteReadConfig, RemoteWriteConfig } from './remote.ts';
export { parseRuleFile, type QueryCheck, type Rule, type RuleGroup } from './rule-file.ts';
export type { RegexCheck } from './schema.ts';
export { type EscapingScheme, preferProtobuf, type ScrapeConfig } from './scrape-config.ts';
export type { FileSdConfig } from './sd/index.ts';
export { type OtlpConfig, type StorageConfig, tsdbType } from './sections.ts';
export {
  checkTargetAddress,
  type Labels,
  parseTargetGroups,
  parseTargetGroupsJson,
  type StaticConfig,
  type TargetGroup,
  toTargetGroup,
} from './target-group.ts';
export { isValidUtf8 } from './yaml.ts';
