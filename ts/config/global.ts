/** The `global` section: what scrape configurations inherit, and limits of queries. */

import { quote } from '../util/index.ts';
import { isValidLabelName, type ValidationScheme } from './names.ts';
import { isSet, object } from './object.ts';
import {
  bool,
  bytes,
  checkedText,
  type Decoding,
  duration,
  type Field,
  type Infer,
  optional,
  optionalBool,
  path,
  type Type,
  text,
  textMap,
  texts,
  uint,
} from './schema.ts';
import { isValidUtf8 } from './yaml.ts';

/** Every scrape protocol with the media type it is asked for by. */
export const SCRAPE_PROTOCOLS = {
  PrometheusProto: 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited',
  'PrometheusText0.0.4': 'text/plain;version=0.0.4',
  'PrometheusText1.0.0': 'text/plain;version=1.0.0',
  'OpenMetricsText0.0.1': 'application/openmetrics-text;version=0.0.1',
  'OpenMetricsText1.0.0': 'application/openmetrics-text;version=1.0.0',
  'OpenMetricsText2.0.0': 'application/openmetrics-text;version=2.0.0',
} as const satisfies Record<string, string>;

/** A protocol by its name in the file. */
export type ScrapeProtocol = keyof typeof SCRAPE_PROTOCOLS;

export const DEFAULT_SCRAPE_PROTOCOLS: readonly ScrapeProtocol[] = [
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusText1.0.0',
  'PrometheusText0.0.4',
];

/** What is wrong with a protocol's name. */
export function checkProtocol(name: string): string | undefined {
  if (Object.hasOwn(SCRAPE_PROTOCOLS, name)) return undefined;
  return `unknown scrape protocol ${name}, supported: [${Object.keys(SCRAPE_PROTOCOLS).toSorted().join(' ')}]`;
}

/** What is wrong with a list of protocols. */
export function checkProtocols(names: readonly string[]): string | undefined {
  if (names.length === 0) return 'scrape_protocols cannot be empty';
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name.toLowerCase())) return `duplicated protocol in scrape_protocols, got [${names.join(' ')}]`;
    const wrong = checkProtocol(name);
    if (wrong !== undefined) return `scrape_protocols: ${wrong}`;
    seen.add(name.toLowerCase());
  }
  return undefined;
}

/** `legacy` or `utf8`; absent: as the wider section says. */
export const validationScheme = (): Field<'' | ValidationScheme> =>
  checkedText(
    (value) => {
      if (value === '' || value === 'legacy' || value === 'utf8') return value;
      throw new Error(`unrecognized ValidationScheme: ${quote(value)}`);
    },
    { enum: ['legacy', 'utf8'] },
  ) as Field<'' | ValidationScheme>;

/** How metric names that are not valid are asked for. */
export const ESCAPING_SCHEMES = ['allow-utf-8', 'underscores', 'dots', 'values'] as const;

const globalFields = {
  scrape_interval: duration(),
  scrape_timeout: duration(),
  scrape_protocols: optional(texts().type),
  evaluation_interval: duration(),
  rule_query_offset: duration(),
  query_log_file: path(),
  query_max_series: uint(),
  query_max_samples_read: uint(),
  query_max_duration: duration(),
  scrape_failure_log_file: path(),
  external_labels: textMap(),
  body_size_limit: bytes(),
  sample_limit: uint(),
  target_limit: uint(),
  label_limit: uint(),
  label_name_length_limit: uint(),
  label_value_length_limit: uint(),
  keep_dropped_targets: uint(),
  metric_name_validation_scheme: validationScheme(),
  metric_name_escaping_scheme: text(),
  scrape_native_histograms: optionalBool(),
  convert_classic_histograms_to_nhcb: bool(),
  always_scrape_classic_histograms: bool(),
  extra_scrape_metrics: optionalBool(),
};

type RawGlobal = Infer<typeof globalFields>;

/** The `global` section, defaults filled in. Durations in milliseconds, sizes in bytes; a limit of 0 is none. */
export type GlobalConfig = RawGlobal & { metric_name_validation_scheme: ValidationScheme };

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 10_000;

function fillIn(global: RawGlobal): void {
  global.metric_name_validation_scheme ||= 'utf8';
  global.scrape_interval ||= DEFAULT_INTERVAL_MS;
  global.scrape_timeout ||= Math.min(DEFAULT_TIMEOUT_MS, global.scrape_interval);
  global.evaluation_interval ||= DEFAULT_INTERVAL_MS;
  global.scrape_native_histograms ??= false;
  global.extra_scrape_metrics ??= false;
}

/** The section where the file has none, or an empty one. */
export function defaultGlobal(): GlobalConfig {
  const global = base.zero();
  fillIn(global);
  global.metric_name_escaping_scheme = 'allow-utf-8';
  return global as GlobalConfig;
}

const base: Type<RawGlobal> = object(globalFields, {
  check(global, report, decoding: Decoding) {
    const scheme = global.metric_name_validation_scheme || 'utf8';
    for (const [name, value] of Object.entries(global.external_labels)) {
      if (!isValidLabelName(name, scheme)) report(`${quote(name)} is not a valid label name`, 'external_labels');
      else if (!isValidUtf8(value)) report(`${quote(value)} is not a valid label value`, 'external_labels');
    }
    if (global.scrape_timeout > (global.scrape_interval || DEFAULT_INTERVAL_MS)) {
      report('global scrape timeout greater than scrape interval', 'scrape_timeout');
    }
    if (isSet(decoding, global, 'scrape_protocols') && global.scrape_protocols) {
      const wrong = checkProtocols(global.scrape_protocols);
      if (wrong !== undefined) report(`${wrong} for global config`, 'scrape_protocols');
    }
    fillIn(global);
  },
});

/** The type of the section. */
export const globalType: Type<GlobalConfig> = {
  ...(base as Type<GlobalConfig>),
  zero: defaultGlobal,
  decode(node, decoding, at) {
    const decoded = base.decode(node, decoding, at);
    const empty = (decoding.places.get(decoded)?.keys.size ?? 0) === 0;
    return empty ? defaultGlobal() : (decoded as GlobalConfig);
  },
};
