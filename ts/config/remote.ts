/** The sections about other servers: remote_write, remote_read, alerting. */

import { quote } from '../util/index.ts';
import { url } from './go-url.ts';
import { checkHttpClient, type HttpClientConfig, httpClientFields } from './http-client.ts';
import type { ValidationScheme } from './names.ts';
import { object, reportAt, section } from './object.ts';
import { checkRelabelConfigs, relabelConfigs } from './relabel.ts';
import {
  bool,
  checkedText,
  type Decoding,
  duration,
  type Infer,
  int,
  list,
  optional,
  type Report,
  secret,
  type Type,
  text,
  textMap,
  uint,
} from './schema.ts';
import { sdFields } from './sd/index.ts';
import { checkHeaders } from './sections.ts';
import { checkStaticTargets } from './target-group.ts';

const sigv4 = object(
  {
    region: text(),
    access_key: text(),
    secret_key: secret(),
    profile: text(),
    role_arn: text(),
    external_id: text(),
    session_name: text(),
    tags: textMap(),
    use_fips_sts_endpoint: bool(),
    service_name: text(),
  },
  {
    check(config, report) {
      if ((config.access_key === '') !== (config.secret_key === '')) {
        report('must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config');
      }
      if (config.role_arn !== '') return;
      if (config.external_id !== '') report('external_id can only be used with role_arn', 'external_id');
      if (config.session_name !== '') report('session_name can only be used with role_arn', 'session_name');
      if (Object.keys(config.tags).length > 0) report('tags can only be used with role_arn', 'tags');
    },
  },
);

const azureAd = object(
  {
    managed_identity: optional(object({ client_id: text() })),
    workload_identity: optional(object({ client_id: text(), tenant_id: text(), token_file_path: text() })),
    oauth: optional(object({ client_id: text(), client_secret: secret(), tenant_id: text() })),
    sdk: optional(object({ tenant_id: text() })),
    certificate: optional(
      object({
        client_id: text(),
        tenant_id: text(),
        certificate_path: text(),
        certificate_key_path: text(),
        certificate_password: secret(),
        send_certificate_chain: bool(),
      }),
    ),
    cloud: text(),
    scope: text(),
  },
  {
    check(config, report) {
      config.cloud ||= 'AzurePublic';
      if (!['AzureChina', 'AzureGovernment', 'AzurePublic'].includes(config.cloud)) {
        report('must provide a cloud in the Azure AD config', 'cloud');
      }
      const methods = [config.managed_identity, config.workload_identity, config.oauth, config.sdk, config.certificate];
      const used = methods.filter((method) => method !== undefined).length;
      if (used === 0) {
        report(
          'must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure Certificate or Azure SDK in the Azure AD config',
        );
      } else if (used > 1) {
        report('cannot provide multiple authentication methods in the Azure AD config');
      }
      if (config.scope !== '' && !/^[\w\s:/.-]+$/.test(config.scope)) {
        report('the provided scope contains invalid characters', 'scope');
      }
    },
  },
);

const queueType = object({
  capacity: int().default(10_000),
  max_shards: int().default(50),
  min_shards: int().default(1),
  max_samples_per_send: int().default(2000),
  batch_send_deadline: duration().default(5000),
  min_backoff: duration().default(30),
  max_backoff: duration().default(5000),
  retry_on_http_429: bool(),
  sample_age_limit: duration(),
});

const MESSAGES = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'];

const remoteWriteFields = {
  url: url().always(),
  remote_timeout: duration().default(30_000),
  headers: textMap(),
  write_relabel_configs: relabelConfigs('empty or null relabeling rule in remote write config'),
  name: text(),
  send_exemplars: bool(),
  send_native_histograms: bool(),
  round_robin_dns: bool(),
  protobuf_message: checkedText(
    (value) => {
      if (MESSAGES.includes(value)) return value;
      throw new Error(
        `invalid protobuf_message value: unknown type for remote write protobuf message ${value}, supported: ${MESSAGES.join(', ')}`,
      );
    },
    { enum: MESSAGES },
  ).default('prometheus.WriteRequest'),
  failed_request_logging: bool(),
  ...httpClientFields,
  enable_http2: bool().always(),
  queue_config: section(queueType),
  metadata_config: section(
    object({
      send: bool().default(true).always(),
      send_interval: duration().default(60_000).always(),
      max_samples_per_send: int().default(2000),
    }),
  ),
  sigv4: optional(sigv4),
  azuread: optional(azureAd),
  google_iam: optional(object({ credentials_file: text() })),
  convert_nhcb_to_classic: bool(),
};

/** Where samples are sent to. */
export type RemoteWriteConfig = Infer<typeof remoteWriteFields>;

const WRITE_AUTHORIZATION =
  'authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter';

export const remoteWriteType: Type<RemoteWriteConfig> = object(remoteWriteFields, {
  hidden: ['bearer_token', 'bearer_token_file'],
  check(config, report) {
    if (config.url === '') return report('url for remote_write is empty');
    checkHeaders(config.headers, WRITE_AUTHORIZATION, report);
    checkHttpClient(config as HttpClientConfig, report);
    const wrong = checkQueue(config.queue_config);
    if (wrong !== undefined) report(`remote write queue ${wrong}`, 'queue_config');
    const methods = (['basic_auth', 'authorization', 'oauth2', 'sigv4', 'azuread', 'google_iam'] as const).filter(
      (key) => config[key] !== undefined,
    );
    if (methods.length > 1) {
      report(
        `at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. Currently configured: [${methods.join(' ')}]`,
      );
    }
  },
});

function checkQueue(queue: RemoteWriteConfig['queue_config']): string | undefined {
  if (queue.max_shards <= 0) return 'max_shards must be positive';
  if (queue.min_shards <= 0) return 'min_shards must be positive';
  if (queue.min_shards > queue.max_shards) return 'min_shards must not be greater than max_shards';
  if (queue.max_samples_per_send <= 0) return 'max_samples_per_send must be positive';
  if (queue.capacity <= 0) return 'capacity must be positive';
  if (queue.max_backoff < queue.min_backoff) return 'max_backoff must not be less than min_backoff';
  return undefined;
}

const remoteReadFields = {
  url: url().always(),
  remote_timeout: duration().default(60_000),
  chunked_read_limit: uint().default(5e7),
  headers: textMap(),
  read_recent: bool(),
  name: text(),
  ...httpClientFields,
  required_matchers: textMap(),
  filter_external_labels: bool().default(true),
};

/** Where samples are read from besides the own database. */
export type RemoteReadConfig = Infer<typeof remoteReadFields>;

export const remoteReadType: Type<RemoteReadConfig> = object(remoteReadFields, {
  hidden: ['bearer_token', 'bearer_token_file'],
  check(config, report) {
    if (config.url === '') return report('url for remote_read is empty');
    checkHeaders(config.headers, WRITE_AUTHORIZATION, report);
    checkHttpClient(config as HttpClientConfig, report);
  },
});

/** Reports names that two entries share; an empty name is no name. */
export function checkNames(configs: readonly { name: string }[], kind: 'write' | 'read', decoding: Decoding): void {
  const seen = new Set<string>();
  for (const config of configs) {
    if (config.name !== '' && seen.has(config.name)) {
      const message = `found multiple remote ${kind} configs with job name ${quote(config.name)}`;
      reportAt(decoding, config, message, 'name');
    }
    seen.add(config.name);
  }
}

const alertmanagerFields = {
  ...httpClientFields,
  sigv4: optional(sigv4),
  scheme: text().default('http'),
  path_prefix: text(),
  timeout: duration().default(10_000),
  api_version: checkedText(
    (value) => {
      if (value === 'v2') return value;
      throw new Error(`expected Alertmanager api version to be one of [v2] but got ${value}`);
    },
    { enum: ['v2'] },
  )
    .default('v2')
    .always(),
  relabel_configs: relabelConfigs('empty or null Alertmanager target relabeling rule'),
  alert_relabel_configs: relabelConfigs('empty or null Alertmanager alert relabeling rule'),
  ...sdFields,
};

/** How Alertmanagers are found and talked to. */
export type AlertmanagerConfig = Infer<typeof alertmanagerFields>;

const alertmanagerType: Type<AlertmanagerConfig> = object(alertmanagerFields, {
  hidden: ['bearer_token', 'bearer_token_file'],
  check(config, report: Report) {
    checkHttpClient(config as HttpClientConfig, report);
    if (config.sigv4 && (config.basic_auth || config.authorization || config.oauth2)) {
      report('at most one of basic_auth, authorization, oauth2, & sigv4 must be configured', 'sigv4');
    }
    if (config.relabel_configs.length === 0) checkStaticTargets(config.static_configs, report);
  },
});

/** The `alerting` section. */
export const alertingType = object({
  alert_relabel_configs: relabelConfigs('empty or null alert relabeling rule'),
  alertmanagers: list(alertmanagerType, { nullMessage: 'empty or null Alertmanager config section' }),
});

/** The `alerting` section. */
export type AlertingConfig = ReturnType<typeof alertingType.zero>;

/** Checks the relabelling rules of the section by the global scheme. */
export function checkAlerting(alerting: AlertingConfig, scheme: ValidationScheme, decoding: Decoding): void {
  checkRelabelConfigs(alerting.alert_relabel_configs, scheme, decoding);
  for (const alertmanager of alerting.alertmanagers) {
    checkRelabelConfigs(alertmanager.alert_relabel_configs, scheme, decoding);
    checkRelabelConfigs(alertmanager.relabel_configs, scheme, decoding);
  }
}
