/** The smaller sections: runtime, storage, tracing, OTLP. */

import { quote } from '../util/index.ts';
import { tlsConfig } from './http-client.ts';
import { object } from './object.ts';
import {
  bool,
  bytes,
  checkedText,
  duration,
  Field,
  float,
  type Infer,
  int,
  oneOf,
  optional,
  type Report,
  type Type,
  text,
  textMap,
  texts,
} from './schema.ts';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'];

const runtimeFields = {
  gogc: int().default(75),
  log_level: checkedText(
    (value) => {
      const level = value.toLowerCase();
      if (level === '' || LOG_LEVELS.includes(level)) return level;
      throw new Error(`unrecognized log level ${value}`);
    },
    { enum: LOG_LEVELS },
  ).default('info'),
};

/** The `runtime` section. `gogc` is accepted for compatibility and means nothing here. */
export const runtimeType = object(runtimeFields);

const retentionType = object(
  { time: duration(), size: bytes(), percentage: float() },
  {
    check(retention, report) {
      if (retention.size < 0) {
        const size = bytes().type.encode(retention.size) as string;
        report(`'storage.tsdb.retention.size' must be greater than or equal to 0, got ${size}`, 'size');
      }
      if (!(retention.percentage >= 0 && retention.percentage <= 100)) {
        const message = `'storage.tsdb.retention.percentage' must be in the range [0, 100], got ${retention.percentage}`;
        report(message, 'percentage');
      }
    },
  },
);

const floats = () =>
  checkedText(
    (value) => {
      if (['', 'xor', 'xor2'].includes(value)) return value;
      throw new Error(
        `'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got ${quote(value)}`,
      );
    },
    { enum: ['xor', 'xor2'] },
  );

/** `storage.tsdb`. */
export const tsdbType = object(
  {
    // Prometheus prints its own copy of the window's milliseconds, so its output has this key; it means nothing.
    outofordertimewindow: int().always(),
    out_of_order_time_window: duration(),
    stale_series_compaction_threshold: float(),
    chunk_encoding: new Field(object({ floats: floats() })),
    retention: optional(retentionType),
  },
  {
    check(tsdb) {
      tsdb.outofordertimewindow = tsdb.out_of_order_time_window;
    },
  },
);

/** The `storage` section. Durations in milliseconds, sizes in bytes. */
export const storageType = object({
  tsdb: optional(tsdbType),
  exemplars: optional(object({ max_exemplars: int() })),
});

/** The `storage` section. */
export type StorageConfig = ReturnType<typeof storageType.zero>;

const RESERVED = new Set(
  'host content-encoding content-length content-type user-agent connection keep-alive proxy-authenticate proxy-authorization www-authenticate accept-encoding x-prometheus-remote-write-version x-prometheus-remote-read-version x-amz-date x-amz-security-token x-amz-content-sha256'.split(
    ' ',
  ),
);

/** Refuses headers that the server sets itself; `authorization` says what to do instead of that one. */
export function checkHeaders(headers: Record<string, string>, authorization: string, report: Report): void {
  for (const name of Object.keys(headers)) {
    const lower = name.toLowerCase();
    if (lower === 'authorization') report(authorization, 'headers');
    else if (RESERVED.has(lower)) report(`${name} is a reserved header. It must not be changed`, 'headers');
  }
}

const tracingFields = {
  client_type: oneOf(
    ['http', 'grpc'],
    (value) => `expected tracing client type to be to be http or grpc, but got ${value}`,
  ).default('grpc'),
  endpoint: text(),
  sampling_fraction: float(),
  insecure: bool(),
  tls_config: new Field(tlsConfig),
  headers: textMap(),
  compression: text(),
  timeout: duration(),
};

const tracing: Type<Infer<typeof tracingFields>> = object(tracingFields, {
  check(config, report) {
    checkHeaders(config.headers, 'custom authorization header configuration is not yet supported', report);
    if (config.endpoint === '') report('tracing endpoint must be set');
    if (!['', 'gzip'].includes(config.compression)) {
      report(`invalid compression type ${config.compression} provided, valid options: gzip`, 'compression');
    }
  },
});

/** The `tracing` section; absent where traces are not sent. */
export const tracingField = () => optional(tracing);

const STRATEGIES = [
  'UnderscoreEscapingWithSuffixes',
  'UnderscoreEscapingWithoutSuffixes',
  'NoUTF8EscapingWithSuffixes',
  'NoTranslation',
];

const otlpFields = {
  promote_all_resource_attributes: bool(),
  promote_resource_attributes: texts(),
  ignore_resource_attributes: texts(),
  translation_strategy: text().default('UnderscoreEscapingWithSuffixes'),
  keep_identifying_resource_attributes: bool(),
  convert_histograms_to_nhcb: bool(),
  promote_scope_metadata: bool(),
  label_name_underscore_sanitization: bool().default(true),
  label_name_preserve_multiple_underscores: bool().default(true),
};

/** The `otlp` section. */
export type OtlpConfig = Infer<typeof otlpFields>;

export const otlpType = object(otlpFields, {
  check(otlp, report) {
    const { promote_resource_attributes: promoted, ignore_resource_attributes: ignored } = otlp;
    if (otlp.promote_all_resource_attributes) {
      if (promoted.length > 0) {
        report(
          "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously",
        );
      }
      checkAttributes(ignored, 'ignored', 'ignore_resource_attributes', report);
    } else if (ignored.length > 0) {
      report(
        "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true",
        'ignore_resource_attributes',
      );
    } else {
      checkAttributes(promoted, 'promoted', 'promote_resource_attributes', report);
    }
  },
});

function checkAttributes(attributes: string[], adjective: string, key: string, report: Report): void {
  const seen = new Set<string>();
  for (const [i, attribute] of attributes.entries()) {
    const name = attribute.trim();
    if (name === '') report(`invalid '${key}': empty ${adjective} OTel resource attribute`, key);
    else if (seen.has(name)) {
      report(`invalid '${key}': duplicated ${adjective} OTel resource attribute ${quote(name)}`, key);
    }
    seen.add(name);
    attributes[i] = name;
  }
}

/** What is wrong with a translation strategy where names are valid by `scheme`. */
export function checkTranslation(strategy: string, scheme: string): string | undefined {
  if (strategy !== '' && !STRATEGIES.includes(strategy)) {
    return `unsupported OTLP translation strategy ${quote(strategy)}`;
  }
  if (strategy.startsWith('No') && scheme === 'legacy') {
    return `OTLP translation strategy ${quote(strategy)} is not allowed when UTF8 is disabled`;
  }
  return undefined;
}
