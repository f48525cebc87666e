/** Discovery in clouds other than Amazon's. */

import { quote } from '../../util/index.ts';
import { parseGoUrl } from '../go-url.ts';
import { tlsConfig } from '../http-client.ts';
import { object } from '../object.ts';
import { bool, duration, Field, int, oneOf, path, secret, text, texts } from '../schema.ts';
import { checkUrl } from './catalogs.ts';
import { httpMechanism, port, refresh } from './common.ts';

const AZURE_METHODS = ['OAuth', 'ManagedIdentity', 'SDK', 'WorkloadIdentity'];

export const azure = httpMechanism(
  {
    environment: text().default('AzurePublicCloud'),
    port: port(),
    subscription_id: text().always(),
    tenant_id: text(),
    client_id: text(),
    client_secret: secret(),
    refresh_interval: refresh(300),
    authentication_method: text().default('OAuth'),
    resource_group: text(),
  },
  (config, report) => {
    const method = config.authentication_method;
    const required = ['subscription_id', ...(method === 'OAuth' ? ['tenant_id', 'client_id', 'client_secret'] : [])];
    const missing = required.find((key) => config[key as 'tenant_id'] === '');
    if (missing) return report(`azure SD configuration requires a ${missing}`);
    if (!AZURE_METHODS.includes(method)) {
      report(
        `unknown authentication_type ${quote(method)}. Supported types are "OAuth", "ManagedIdentity", "SDK" or "WorkloadIdentity"`,
        'authentication_method',
      );
    }
  },
);

export const gce = object(
  {
    project: text().always(),
    zone: text().always(),
    filter: text(),
    refresh_interval: refresh(60),
    port: port(),
    tag_separator: text().default(','),
  },
  {
    check(config, report) {
      if (config.project === '') report('GCE SD configuration requires a project');
      else if (config.zone === '') report('GCE SD configuration requires a zone');
    },
  },
);

const OCI_KEYS = ['tenancy', 'user', 'fingerprint', 'key_file', 'key_passphrase', 'key_passphrase_file'] as const;

export const oci = httpMechanism(
  {
    auth: text().default('api_key'),
    tenancy: text(),
    user: text(),
    fingerprint: text(),
    key_file: path(),
    key_passphrase: secret(),
    key_passphrase_file: path(),
    region: text().always(),
    compartments: texts(),
    port: port(),
    refresh_interval: refresh(60).always(),
  },
  (config, report) => {
    if (config.region === '') return report('oci_sd: region is required');
    if (config.auth === 'api_key') {
      const missing = OCI_KEYS.slice(0, 4).find((key) => config[key] === '');
      if (missing) return report(`oci_sd: api_key auth requires ${missing}`);
      if (config.key_passphrase !== '' && config.key_passphrase_file !== '') {
        return report('oci_sd: at most one of key_passphrase and key_passphrase_file must be configured');
      }
    } else if (config.auth === 'instance_principal') {
      if (OCI_KEYS.some((key) => config[key] !== '')) {
        return report(
          'oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, key_passphrase, or key_passphrase_file set',
        );
      }
    } else {
      return report(
        `oci_sd: unknown auth method ${quote(config.auth)}, expected "api_key" or "instance_principal"`,
        'auth',
      );
    }
    const empty = config.compartments.indexOf('');
    if (empty >= 0) report(`oci_sd: compartments[${empty}] must not be empty`, 'compartments');
    if (config.refresh_interval <= 0) report('oci_sd: refresh_interval must be positive, got 0s', 'refresh_interval');
  },
);

export const digitalocean = httpMechanism(
  {
    refresh_interval: refresh(60).always(),
    port: port(),
    role: oneOf(['droplets', 'databases'], (role) => `unknown DigitalOcean SD role ${quote(role)}`)
      .default('droplets')
      .always(),
  },
  (config, report) => {
    if (config.role === '') report('role missing (one of: droplets, databases)');
  },
);

export const hetzner = httpMechanism(
  {
    refresh_interval: refresh(60).always(),
    port: port(),
    role: oneOf(['robot', 'hcloud'], (role) => `unknown role ${quote(role)}`).always(),
    label_selector: text(),
  },
  (config, report) => {
    if (config.role === '') report('role missing (one of: robot, hcloud)');
  },
);

export const ionos = httpMechanism(
  { datacenter_id: text().always(), refresh_interval: refresh(60).always(), port: port() },
  (config, report) => {
    if (config.datacenter_id === '') report("datacenter id can't be empty");
  },
);

export const linode = httpMechanism({
  refresh_interval: refresh(60).always(),
  port: port(),
  tag_separator: text().default(','),
  region: text(),
});

export const openstack = object(
  {
    identity_endpoint: text().always(),
    username: text().always(),
    userid: text().always(),
    password: secret().always(),
    project_name: text().always(),
    project_id: text().always(),
    domain_name: text().always(),
    domain_id: text().always(),
    application_credential_name: text().always(),
    application_credential_id: text().always(),
    application_credential_secret: secret().always(),
    role: oneOf(
      ['hypervisor', 'instance', 'loadbalancer'],
      (role) => `unknown OpenStack SD role ${quote(role)}`,
    ).always(),
    region: text().always(),
    refresh_interval: refresh(60).always(),
    port: port(),
    all_tenants: bool(),
    tls_config: new Field(tlsConfig),
    availability: text().default('public'),
  },
  {
    check(config, report) {
      if (!['public', 'internal', 'admin'].includes(config.availability)) {
        report(`unknown availability ${config.availability}, must be one of admin, internal or public`, 'availability');
      } else if (config.role === '') report('role missing (one of: instance, hypervisor, loadbalancer)');
      else if (config.region === '') report('openstack SD configuration requires a region');
    },
  },
);

/** Reports unless exactly one of a secret and its file is given. */
function secretMessage(secretKey: string, file: string): string | undefined {
  if (secretKey === '' && file === '') return 'one of secret_key & secret_key_file must be configured';
  if (secretKey !== '' && file !== '') return 'at most one of secret_key & secret_key_file must be configured';
  return undefined;
}

export const outscale = httpMechanism(
  {
    endpoint: text(),
    region: text().default('eu-west-2').always(),
    access_key: text().always(),
    secret_key: secret().always(),
    secret_key_file: path().always(),
    refresh_interval: refresh(60),
    port: port(),
  },
  (config, report) => {
    if (config.region === '') return report('outscale SD configuration requires a region');
    if (config.access_key === '') return report('outscale SD configuration requires access_key');
    const wrong = secretMessage(config.secret_key, config.secret_key_file);
    if (wrong !== undefined) report(wrong);
  },
);

export const ovhcloud = object(
  {
    endpoint: text().default('ovh-eu').always(),
    application_key: text().always(),
    application_secret: secret().always(),
    consumer_key: secret().always(),
    refresh_interval: refresh(60).always(),
    service: text().always(),
  },
  {
    check(config, report) {
      if (config.endpoint === '') report('endpoint can not be empty');
      else if (config.application_key === '') report('application key can not be empty');
      else if (config.application_secret === '') report('application secret can not be empty');
      else if (config.consumer_key === '') report('consumer key can not be empty');
      else if (!['dedicated_server', 'vps'].includes(config.service)) {
        report(`unknown service: ${config.service}`, 'service');
      }
    },
  },
);

export const puppetdb = httpMechanism(
  {
    refresh_interval: refresh(60),
    url: text().always(),
    query: text().always(),
    include_parameters: bool().always(),
    port: port(),
  },
  (config, report) => {
    checkUrl(config.url, report);
    if (config.query === '') report('query missing');
  },
);

export const scaleway = httpMechanism(
  {
    project_id: text().always(),
    api_url: text().default('https://api.scaleway.com'),
    zone: text().default('fr-par-1').always(),
    access_key: text().always(),
    secret_key: secret().always(),
    secret_key_file: path().always(),
    name_filter: text(),
    tags_filter: texts(),
    refresh_interval: refresh(60).always(),
    port: port(),
    role: oneOf(['instance', 'baremetal'], (role) => `unknown role ${quote(role)}`).always(),
  },
  (config, report) => {
    if (config.role === '') return report('role missing (one of: instance, baremetal)');
    if (config.project_id === '') return report('project_id is mandatory');
    const wrong = secretMessage(config.secret_key, config.secret_key_file);
    if (wrong !== undefined) return report(wrong);
    if (config.access_key === '') report('access_key is mandatory');
  },
);

export const stackit = httpMechanism(
  {
    project: text().always(),
    refresh_interval: refresh(60),
    port: int().default(80),
    region: text().default('eu01'),
    endpoint: text(),
    service_account_key: secret(),
    private_key: secret(),
    service_account_key_path: path(),
    private_key_path: path(),
    credentials_file_path: path(),
  },
  (config, report) => {
    if (config.endpoint === '' && config.region === '') return report('stackit_sd: endpoint and region missing');
    try {
      parseGoUrl(config.endpoint);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      report(`stackit_sd: invalid endpoint ${quote(config.endpoint)}: ${why}`, 'endpoint');
    }
  },
);

export const triton = object(
  {
    account: text().always(),
    role: text().default('container').always(),
    dns_suffix: text().always(),
    endpoint: text().always(),
    groups: texts(),
    port: port(9163),
    refresh_interval: duration().default(60_000),
    tls_config: new Field(tlsConfig),
    version: int().default(1).always(),
  },
  {
    check(config, report) {
      if (!['container', 'cn'].includes(config.role)) {
        report("triton SD configuration requires role to be 'container' or 'cn'", 'role');
      } else if (config.account === '') report('triton SD configuration requires an account');
      else if (config.dns_suffix === '') report('triton SD configuration requires a dns_suffix');
      else if (config.endpoint === '') report('triton SD configuration requires an endpoint');
      else if (config.refresh_interval <= 0) {
        report('triton SD configuration requires RefreshInterval to be a positive integer', 'refresh_interval');
      }
    },
  },
);

export const uyuni = httpMechanism(
  {
    server: text().always(),
    username: text().always(),
    password: secret().always(),
    entitlement: text().default('monitoring_entitled'),
    separator: text().default(','),
    refresh_interval: refresh(60),
  },
  (config, report) => {
    if (config.server === '') report('Uyuni SD configuration requires server host');
    else if (config.username === '') report('Uyuni SD configuration requires a username');
    else if (config.password === '') report('Uyuni SD configuration requires a password');
  },
);

export const vultr = httpMechanism({ refresh_interval: refresh(60).always(), port: port() });
