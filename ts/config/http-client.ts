/** How Prometheus talks HTTP to anything: credentials, TLS, proxies, headers. Shared by most sections. */

import { quote } from '../util/index.ts';
import { url } from './go-url.ts';
import { object } from './object.ts';
import {
  anything,
  bool,
  Field,
  type Infer,
  list,
  map,
  oneOf,
  optional,
  path,
  paths,
  type Report,
  secret,
  text,
  textMap,
  texts,
} from './schema.ts';

const TLS_VERSIONS = ['TLS10', 'TLS11', 'TLS12', 'TLS13'] as const;
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

const tlsVersion = () => oneOf(TLS_VERSIONS, (value) => `unknown TLS version: ${value}`);

const count = (...values: string[]): number => values.filter((value) => value !== '').length;

/** TLS as a client. */
export const tlsConfig = object(
  {
    ca: text(),
    cert: text(),
    key: secret(),
    ca_file: path(),
    cert_file: path(),
    key_file: path(),
    ca_ref: text(),
    cert_ref: text(),
    key_ref: text(),
    server_name: text(),
    insecure_skip_verify: bool().always(),
    min_version: tlsVersion(),
    max_version: tlsVersion(),
  },
  {
    check(tls, report) {
      if (count(tls.ca, tls.ca_file, tls.ca_ref) > 1) report('at most one of ca, ca_file & ca_ref must be configured');
      if (count(tls.cert, tls.cert_file, tls.cert_ref) > 1) {
        report('at most one of cert, cert_file & cert_ref must be configured');
      }
      if (count(tls.key, tls.key_file, tls.key_ref) > 1) {
        report('at most one of key and key_file must be configured');
      }
      const certs = count(tls.cert, tls.cert_file, tls.cert_ref);
      const keys = count(tls.key, tls.key_file, tls.key_ref);
      if (certs > 0 && keys === 0) {
        report('exactly one of key or key_file must be configured when a client certificate is configured');
      } else if (keys > 0 && certs === 0) {
        report('exactly one of cert or cert_file must be configured when a client key is configured');
      }
    },
  },
);

const basicAuth = object({
  username: text(),
  username_file: path(),
  username_ref: text(),
  password: secret(),
  password_file: path(),
  password_ref: text(),
});

const authorization = object({
  type: text(),
  credentials: secret(),
  credentials_file: path(),
  credentials_ref: text(),
});

const proxyFields = {
  proxy_url: url(),
  no_proxy: text(),
  proxy_from_environment: bool(),
  proxy_connect_header: map(list(secret().type).type),
};

const oauth2 = object({
  client_id: text(),
  client_secret: secret(),
  client_secret_file: path(),
  client_secret_ref: text(),
  client_certificate_key_id: text(),
  client_certificate_key: secret(),
  client_certificate_key_file: path(),
  client_certificate_key_ref: text(),
  grant_type: text(),
  signature_algorithm: text(),
  iss: text(),
  audience: text(),
  claims: anything(),
  scopes: texts(),
  token_url: text(),
  endpoint_params: textMap(),
  tls_config: new Field(tlsConfig),
  ...proxyFields,
});

const RESERVED_HEADERS = new Set(
  [
    'Authorization Host Content-Encoding Content-Length Content-Type User-Agent Connection Keep-Alive',
    'Proxy-Authenticate Proxy-Authorization Www-Authenticate Accept-Encoding X-Prometheus-Remote-Write-Version',
    'X-Prometheus-Remote-Read-Version X-Prometheus-Scrape-Timeout-Seconds',
    'X-Amz-Date X-Amz-Security-Token X-Amz-Content-Sha256',
  ].flatMap((line) => line.split(' ')),
);

/** A header's name as Go writes it: `x-my-header` becomes `X-My-Header`. */
export function canonicalHeader(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

const header = object({ values: texts(), secrets: list(secret().type), files: paths() });

/** The keys of an HTTP client, to be spread among the keys of a section that has them inline. */
export const httpClientFields = {
  basic_auth: optional(basicAuth),
  authorization: optional(authorization),
  oauth2: optional(oauth2),
  bearer_token: secret(),
  bearer_token_file: path(),
  tls_config: new Field(tlsConfig),
  follow_redirects: bool().default(true).always(),
  enable_http2: bool().default(true).always(),
  ...proxyFields,
  http_headers: map(header, (headers, report) => {
    for (const name of Object.keys(headers)) {
      if (RESERVED_HEADERS.has(canonicalHeader(name))) {
        report(`setting header ${quote(canonicalHeader(name))} is not allowed`, name);
      }
    }
  }),
};

/** How to talk HTTP to the other side. */
export type HttpClientConfig = Infer<typeof httpClientFields>;

/** TLS as a client. */
export type TlsConfig = HttpClientConfig['tls_config'];

/** Whether nothing of it differs from the default. */
export function isDefaultHttpClient(config: HttpClientConfig): boolean {
  return Object.entries(httpClientFields).every(([name, field]) => {
    const value = config[name as keyof HttpClientConfig];
    return typeof value === 'boolean' ? value === field.initial() : (field as Field<unknown>).type.isZero(value);
  });
}

/** Checks an HTTP client; `bearer_token` and its file become `authorization`. */
export function checkHttpClient(config: HttpClientConfig, report: Report): void {
  if (!checkBearer(config, report) || !checkBasicAuth(config, report)) return;
  if (config.authorization) {
    if (!checkAuthorization(config, config.authorization, report)) return;
  } else if (config.bearer_token !== '' || config.bearer_token_file !== '') {
    config.authorization = {
      type: 'Bearer',
      credentials: config.bearer_token,
      credentials_file: config.bearer_token_file,
      credentials_ref: '',
    };
    config.bearer_token = '';
    config.bearer_token_file = '';
  }
  if (config.oauth2 && !checkOauth2(config, report)) return;
  checkProxy(config, report);
}

function checkBearer(config: HttpClientConfig, report: Report): boolean {
  const bearers = count(config.bearer_token, config.bearer_token_file);
  if (bearers > 1) {
    report('at most one of bearer_token & bearer_token_file must be configured', 'bearer_token_file');
    return false;
  }
  if ((config.basic_auth || config.oauth2) && bearers > 0) {
    report('at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured', 'basic_auth');
    return false;
  }
  return true;
}

function checkBasicAuth({ basic_auth: basic }: HttpClientConfig, report: Report): boolean {
  if (basic && count(basic.username, basic.username_file, basic.username_ref) > 1) {
    report('at most one of basic_auth username, username_file & username_ref must be configured', 'basic_auth');
    return false;
  }
  if (basic && count(basic.password, basic.password_file, basic.password_ref) > 1) {
    report('at most one of basic_auth password, password_file & password_ref must be configured', 'basic_auth');
    return false;
  }
  return true;
}

function checkAuthorization(
  config: HttpClientConfig,
  auth: NonNullable<HttpClientConfig['authorization']>,
  report: Report,
): boolean {
  const fail = (message: string): boolean => {
    report(message, 'authorization');
    return false;
  };
  if (count(config.bearer_token, config.bearer_token_file) > 0) {
    return fail('authorization is not compatible with bearer_token & bearer_token_file');
  }
  if (count(auth.credentials, auth.credentials_file, auth.credentials_ref) > 1) {
    return fail('at most one of authorization credentials & credentials_file must be configured');
  }
  auth.type = auth.type.trim() || 'Bearer';
  if (auth.type.toLowerCase() === 'basic') {
    return fail('authorization type cannot be set to "basic", use "basic_auth" instead');
  }
  if (config.basic_auth || config.oauth2) {
    return fail('at most one of basic_auth, oauth2 & authorization must be configured');
  }
  return true;
}

function checkOauth2(config: HttpClientConfig, report: Report): boolean {
  const { oauth2: oauth, basic_auth: basic } = config;
  if (!oauth) return true;
  const fail = (message: string): boolean => {
    report(message, 'oauth2');
    return false;
  };
  if (basic) return fail('at most one of basic_auth, oauth2 & authorization must be configured');
  if (oauth.client_id === '') return fail('oauth2 client_id must be configured');
  if (oauth.token_url === '') return fail('oauth2 token_url must be configured');
  if (oauth.grant_type === JWT_BEARER) {
    const keys = [oauth.client_certificate_key, oauth.client_certificate_key_file, oauth.client_certificate_key_ref];
    if (count(...keys) > 1) {
      return fail(
        `at most one of oauth2 client_certificate_key, client_certificate_key_file & client_certificate_key_ref must be configured using grant-type=${JWT_BEARER}`,
      );
    }
    if (!['', 'RS256', 'RS384', 'RS512'].includes(oauth.signature_algorithm)) {
      return fail('valid signature algorithms are RS256, RS384 and RS512');
    }
  } else if (count(oauth.client_secret, oauth.client_secret_file, oauth.client_secret_ref) > 1) {
    return fail(
      'at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured using grant-type=client_credentials',
    );
  }
  return true;
}

function checkProxy(config: HttpClientConfig, report: Report): void {
  const environment = config.proxy_from_environment;
  if (Object.keys(config.proxy_connect_header).length > 0 && !environment && config.proxy_url === '') {
    report(
      'if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured',
      'proxy_connect_header',
    );
  } else if (environment && config.proxy_url !== '') {
    report('if proxy_from_environment is configured, proxy_url must not be configured', 'proxy_url');
  } else if (environment && config.no_proxy !== '') {
    report('if proxy_from_environment is configured, no_proxy must not be configured', 'no_proxy');
  } else if (config.proxy_url === '' && config.no_proxy !== '') {
    report('if no_proxy is configured, proxy_url must also be configured', 'no_proxy');
  }
}
