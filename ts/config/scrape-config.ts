/** A scrape configuration: how the targets of one job are found and scraped. */

import { quote } from '../util/index.ts';
import {
  checkProtocol,
  checkProtocols,
  DEFAULT_SCRAPE_PROTOCOLS,
  ESCAPING_SCHEMES,
  type GlobalConfig,
  type ScrapeProtocol,
  validationScheme,
} from './global.ts';
import { checkHttpClient, type HttpClientConfig, httpClientFields } from './http-client.ts';
import type { ValidationScheme } from './names.ts';
import { object, reportAt } from './object.ts';
import { checkRelabelConfigs, relabelConfigs } from './relabel.ts';
import {
  bool,
  bytes,
  type Decoding,
  duration,
  type Field,
  float,
  type Infer,
  list,
  map,
  optional,
  optionalBool,
  path,
  type Report,
  type Type,
  text,
  texts,
  uint,
} from './schema.ts';
import { INACTIVE_SD_KEYS, sdFields } from './sd/index.ts';
import { checkStaticTargets } from './target-group.ts';

const fields = {
  job_name: text().always(),
  honor_labels: bool(),
  honor_timestamps: bool().default(true).always(),
  track_timestamps_staleness: bool().always(),
  params: map(texts().type),
  scrape_interval: duration(),
  scrape_timeout: duration(),
  scrape_protocols: optional(texts().type),
  fallback_scrape_protocol: text(),
  scrape_native_histograms: optionalBool(),
  always_scrape_classic_histograms: optionalBool(),
  convert_classic_histograms_to_nhcb: optionalBool(),
  scrape_failure_log_file: path(),
  metrics_path: text().default('/metrics'),
  scheme: text().default('http'),
  enable_compression: bool().default(true).always(),
  body_size_limit: bytes(),
  sample_limit: uint(),
  target_limit: uint(),
  label_limit: uint(),
  label_name_length_limit: uint(),
  label_value_length_limit: uint(),
  native_histogram_bucket_limit: uint(),
  native_histogram_min_bucket_factor: float(),
  keep_dropped_targets: uint(),
  metric_name_validation_scheme: validationScheme(),
  metric_name_escaping_scheme: text(),
  extra_scrape_metrics: optionalBool(),
  ...httpClientFields,
  relabel_configs: relabelConfigs('empty or null target relabeling rule in scrape config'),
  metric_relabel_configs: relabelConfigs('empty or null metric relabeling rule in scrape config'),
  ...sdFields,
};

type RawScrapeConfig = Infer<typeof fields>;

/**
 * A scrape configuration with everything inherited filled in. Durations in milliseconds, sizes in
 * bytes; a limit of 0 is none. Read-only once loaded.
 */
export type ScrapeConfig = RawScrapeConfig & {
  scrape_protocols: ScrapeProtocol[];
  metric_name_validation_scheme: ValidationScheme;
  metric_name_escaping_scheme: EscapingScheme;
  scrape_native_histograms: boolean;
  always_scrape_classic_histograms: boolean;
  convert_classic_histograms_to_nhcb: boolean;
  extra_scrape_metrics: boolean;
};

/** How names that are not valid are asked for. */
export type EscapingScheme = (typeof ESCAPING_SCHEMES)[number];

const raw: Type<RawScrapeConfig> = object(fields, {
  hidden: ['bearer_token', 'bearer_token_file'],
  check(config, report, decoding) {
    if (config.job_name === '') return report('job_name is empty', 'job_name');
    checkHttpClient(config as HttpClientConfig, report);
    if (config.relabel_configs.length === 0) checkStaticTargets(config.static_configs, report);
    warnInactive(config, decoding);
  },
});

/** One scrape configuration. What it inherits is filled in by `inheritGlobal`. */
export const scrapeConfigType = raw as unknown as Type<ScrapeConfig>;

/** The list of scrape configurations, not yet checked against the global section. */
export const scrapeConfigs = (): Field<ScrapeConfig[]> =>
  list(scrapeConfigType, { nullMessage: 'empty or null scrape config section' });

function warnInactive(config: RawScrapeConfig, decoding: Decoding): void {
  const place = decoding.places.get(config);
  for (const key of INACTIVE_SD_KEYS) {
    const value = config[key as keyof RawScrapeConfig];
    const used = Array.isArray(value) ? value.length > 0 : Boolean(value);
    if (used && place?.keys.has(key)) {
      decoding.source.warn(place.keys.get(key), `${key} of job ${quote(config.job_name)} is parsed but not active yet`);
    }
  }
}

const INHERITED = [
  'body_size_limit',
  'sample_limit',
  'target_limit',
  'label_limit',
  'label_name_length_limit',
  'label_value_length_limit',
  'keep_dropped_targets',
] as const;

/** Fills in what the configuration inherits from the global section and checks the result. */
export function inheritGlobal(config: ScrapeConfig, global: GlobalConfig, decoding: Decoding): void {
  let failed = false;
  const report: Report = (message, key) => {
    if (!failed) reportAt(decoding, config, message, key);
    failed = true;
  };
  const job = `scrape config with job name ${quote(config.job_name)}`;
  config.scrape_interval ||= global.scrape_interval;
  if (config.scrape_timeout > config.scrape_interval) {
    report(`scrape timeout greater than scrape interval for ${job}`, 'scrape_timeout');
  }
  config.scrape_timeout ||= Math.min(global.scrape_timeout, config.scrape_interval);
  for (const key of INHERITED) config[key] ||= global[key];
  config.scrape_failure_log_file ||= global.scrape_failure_log_file;
  config.scrape_native_histograms ??= global.scrape_native_histograms ?? false;
  config.extra_scrape_metrics ??= global.extra_scrape_metrics ?? false;
  config.convert_classic_histograms_to_nhcb ??= global.convert_classic_histograms_to_nhcb;
  config.always_scrape_classic_histograms ??= global.always_scrape_classic_histograms;
  config.scrape_protocols ??= (global.scrape_protocols as ScrapeProtocol[] | undefined) ?? defaultProtocols(config);
  const wrongProtocols = checkProtocols(config.scrape_protocols);
  if (wrongProtocols !== undefined) report(`${wrongProtocols} for ${job}`, 'scrape_protocols');
  if (config.fallback_scrape_protocol !== '') {
    const wrong = checkProtocol(config.fallback_scrape_protocol);
    if (wrong !== undefined)
      report(`invalid fallback_scrape_protocol for ${job}: ${wrong}`, 'fallback_scrape_protocol');
  }
  inheritNames(config, global, report);
  checkRelabelConfigs(config.relabel_configs, config.metric_name_validation_scheme, decoding);
  checkRelabelConfigs(config.metric_relabel_configs, config.metric_name_validation_scheme, decoding);
}

function defaultProtocols(config: ScrapeConfig): ScrapeProtocol[] {
  const text = DEFAULT_SCRAPE_PROTOCOLS as ScrapeProtocol[];
  return config.scrape_native_histograms ? ['PrometheusProto', ...text] : text;
}

/** The configuration with protobuf asked for first, where the file names no protocols. */
export function preferProtobuf(config: ScrapeConfig): ScrapeConfig {
  const isDefault = config.scrape_protocols === DEFAULT_SCRAPE_PROTOCOLS;
  return isDefault ? { ...config, scrape_protocols: ['PrometheusProto', ...DEFAULT_SCRAPE_PROTOCOLS] } : config;
}

function inheritNames(config: ScrapeConfig, global: GlobalConfig, report: Report): void {
  const own = (config.metric_name_validation_scheme as string) !== '';
  config.metric_name_validation_scheme ||= global.metric_name_validation_scheme;
  const globalEscaping =
    global.metric_name_escaping_scheme ||
    (global.metric_name_validation_scheme === 'legacy' ? 'underscores' : 'allow-utf-8');
  const supported = "must be one of 'allow-utf-8', 'underscores', 'dots', or 'values'";
  if (!isEscaping(globalEscaping)) {
    report(`unknown global name escaping method specified, ${supported}, got ${quote(globalEscaping)}`);
    return;
  }
  config.metric_name_escaping_scheme ||= own
    ? config.metric_name_validation_scheme === 'legacy'
      ? 'underscores'
      : 'allow-utf-8'
    : globalEscaping;
  const escaping: string = config.metric_name_escaping_scheme;
  if (!isEscaping(escaping)) {
    const key = 'metric_name_escaping_scheme';
    report(`unknown scrape config name escaping method specified, ${supported}, got ${quote(escaping)}`, key);
    return;
  }
  if (escaping === 'allow-utf-8' && config.metric_name_validation_scheme !== 'utf8') {
    report('utf8 metric names requested but validation scheme is not set to UTF8', 'metric_name_escaping_scheme');
  }
}

function isEscaping(name: string): name is EscapingScheme {
  return (ESCAPING_SCHEMES as readonly string[]).includes(name);
}
