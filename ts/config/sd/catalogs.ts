/** Discovery by asking a catalogue: HTTP, DNS, Consul, Docker, Nomad, Eureka, Kuma, Marathon, ZooKeeper. */

import { parseGoUrl } from '../go-url.ts';
import { object } from '../object.ts';
import { bool, duration, int, path, type Report, secret, text, textMap, texts } from '../schema.ts';
import { filters, httpMechanism, port, refresh } from './common.ts';

/** Reports a URL that is missing, or is not one for HTTP. */
export function checkUrl(text: string, report: Report, key = 'url'): void {
  try {
    if (text === '') throw new Error('URL is missing');
    const { scheme, host } = parseGoUrl(text);
    if (scheme !== 'http' && scheme !== 'https') report("URL scheme must be 'http' or 'https'", key);
    else if (host === '') report('host is missing in URL', key);
  } catch (error) {
    report(error instanceof Error ? error.message : String(error), key);
  }
}

export const http = httpMechanism({ refresh_interval: refresh(60), url: text().always() }, (config, report) =>
  checkUrl(config.url, report),
);

export const dns = object(
  {
    names: texts().always(),
    refresh_interval: refresh(30),
    type: text().default('SRV').always(),
    port: int().always(),
  },
  {
    check(config, report) {
      if (config.names.length === 0) report('DNS-SD config must contain at least one SRV record name');
      const type = config.type.toUpperCase();
      if (['A', 'AAAA', 'MX', 'NS'].includes(type)) {
        if (config.port === 0) report('a port is required in DNS-SD configs for all record types except SRV');
      } else if (type !== 'SRV') {
        report(`invalid DNS-SD records type ${config.type}`, 'type');
      }
    },
  },
);

export const consul = httpMechanism(
  {
    server: text().default('localhost:8500'),
    path_prefix: text(),
    token: secret(),
    datacenter: text(),
    namespace: text(),
    partition: text(),
    tag_separator: text().default(','),
    scheme: text().default('http'),
    username: text(),
    password: secret(),
    allow_stale: bool().default(true).always(),
    refresh_interval: refresh(30),
    services: texts(),
    tags: texts(),
    node_meta: textMap(),
    filter: text(),
    health_filter: text(),
  },
  (config, report) => {
    if (config.server.trim() === '') report('consul SD configuration requires a server address', 'server');
    if (config.username !== '' || config.password !== '') {
      if (config.basic_auth) {
        report('at most one of consul SD configuration username and password and basic auth can be configured');
      }
      config.basic_auth ??= {
        username: config.username,
        username_file: '',
        username_ref: '',
        password: config.password,
        password_file: '',
        password_ref: '',
      };
    }
    if (config.token !== '' && (config.authorization || config.oauth2)) {
      report('at most one of consul SD token, authorization, or oauth2 can be configured', 'token');
    }
  },
);

function checkHost(host: string, report: Report): void {
  try {
    if (host === '') throw new Error('host missing');
    parseGoUrl(host);
  } catch (error) {
    report(error instanceof Error ? error.message : String(error), 'host');
  }
}

export const docker = httpMechanism(
  {
    host: text().always(),
    port: port(),
    filters: filters(),
    host_networking_host: text().default('localhost').always(),
    refresh_interval: refresh(60).always(),
    match_first_network: bool().default(true).always(),
  },
  (config, report) => checkHost(config.host, report),
);

export const dockerswarm = httpMechanism(
  {
    host: text().always(),
    role: text().always(),
    port: port(),
    filters: filters(),
    refresh_interval: refresh(60).always(),
  },
  (config, report) => {
    checkHost(config.host, report);
    if (config.role === '') report('role missing (one of: tasks, services, nodes)');
    else if (!['services', 'nodes', 'tasks'].includes(config.role)) {
      report(`invalid role ${config.role}, expected tasks, services, or nodes`, 'role');
    }
  },
);

export const nomad = httpMechanism(
  {
    allow_stale: bool().default(true).always(),
    namespace: text().default('default').always(),
    refresh_interval: refresh(60).always(),
    region: text().default('global').always(),
    server: text().default('http://localhost:4646').always(),
    tag_separator: text().default(','),
  },
  (config, report) => {
    if (config.server.trim() === '') report('nomad SD configuration requires a server address', 'server');
  },
);

export const eureka = httpMechanism({ server: text(), refresh_interval: refresh(30) }, (config, report) => {
  if (config.server === '') return report('eureka_sd: empty or null eureka server');
  try {
    const { scheme, host } = parseGoUrl(config.server);
    if (scheme === '' || host === '') report('eureka_sd: invalid eureka server URL', 'server');
  } catch (error) {
    report(error instanceof Error ? error.message : String(error), 'server');
  }
});

export const kuma = httpMechanism(
  { refresh_interval: refresh(15), fetch_timeout: duration().default(120_000), server: text(), client_id: text() },
  (config, report) => {
    if (config.server === '') return report('kuma SD server must not be empty: ');
    try {
      const { scheme, host } = parseGoUrl(config.server);
      if (scheme !== '' && host !== '') return;
      report(`kuma SD server must not be empty and have a scheme: ${config.server}`, 'server');
    } catch (error) {
      report(error instanceof Error ? error.message : String(error), 'server');
    }
  },
);

export const marathon = httpMechanism(
  { servers: texts(), refresh_interval: refresh(30), auth_token: secret(), auth_token_file: path() },
  (config, report) => {
    if (config.servers.length === 0) report('marathon_sd: must contain at least one Marathon server');
    const token = config.auth_token !== '';
    const file = config.auth_token_file !== '';
    if (token && file) report('marathon_sd: at most one of auth_token & auth_token_file must be configured');
    else if (!token && !file) return;
    else if (config.basic_auth) {
      report('marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured');
    } else if (config.bearer_token !== '' || config.bearer_token_file !== '') {
      report(
        'marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & auth_token_file must be configured',
      );
    } else if (config.authorization) {
      report('marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured');
    }
  },
);

const zookeeper = (name: string) =>
  object(
    { servers: texts().always(), paths: texts().always(), timeout: duration().default(10_000) },
    {
      check(config, report) {
        if (config.servers.length === 0) report(`${name} SD config must contain at least one Zookeeper server`);
        if (config.paths.length === 0) report(`${name} SD config must contain at least one path`);
        for (const path of config.paths) {
          if (!path.startsWith('/')) report(`${name} SD config paths must begin with '/': ${path}`, 'paths');
        }
      },
    },
  );

export const serverset = zookeeper('serverset');
export const nerve = zookeeper('nerve');
