/** A client of Prometheus' query API for the tools: range queries, credentials and TLS from `--http.config.file`. */

import { readFile } from 'node:fs/promises';
import { Agent, type Dispatcher, EnvHttpProxyAgent, ProxyAgent, request } from 'undici';
import type { HttpClientConfig } from '../config/index.ts';
import { wrongValue } from './tsdb-values.ts';

/** An answer may not be larger. */
const BODY_BYTES_MAX = 1 << 30;
/** A query of two hours may take long, but not for ever. */
const ANSWER_MS_MAX = 10 * 60_000;

/** When the API is asked for values. */
export interface QuerySpan {
  startNs: bigint;
  endNs: bigint;
  stepNs: bigint;
}

export class PrometheusClient {
  readonly #endpoint: string;
  readonly #dispatcher: Dispatcher;
  readonly #headers: Record<string, string>;

  private constructor(endpoint: string, dispatcher: Dispatcher, headers: Record<string, string>) {
    this.#endpoint = endpoint;
    this.#dispatcher = dispatcher;
    this.#headers = headers;
  }

  /** A client of the server at `url`, under which `/api/v1` stands. @throws Error for what cannot be used */
  static async open(url: string, config: HttpClientConfig): Promise<PrometheusClient> {
    const base = parseUrl(url);
    if (base.username !== '' && (config.basic_auth || config.authorization)) {
      throw wrongValue('Cannot set basic auth in the server URL and use a http.config.file at the same time');
    }
    if (config.oauth2) throw wrongValue('oauth2 is not supported by this tool');
    const headers: Record<string, string> = {
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': 'narthex-tool',
    };
    const authorization = await authorizationOf(config, base);
    if (authorization !== undefined) headers.authorization = authorization;
    for (const [name, header] of Object.entries(config.http_headers)) {
      const files = await Promise.all(header.files.map(readSecret));
      headers[name.toLowerCase()] = [...header.values, ...header.secrets, ...files].join(', ');
    }
    const endpoint = `${base.origin}${base.pathname.replace(/\/$/, '')}/api/v1/query_range`;
    return new PrometheusClient(endpoint, await dispatcherOf(config), headers);
  }

  /** The body of the answer to a range query, JSON also where the API refuses. @throws Error where it is none */
  async queryRange(query: string, { startNs, endNs, stepNs }: QuerySpan): Promise<Uint8Array> {
    const form = new URLSearchParams({
      query,
      start: seconds(startNs),
      end: seconds(endNs),
      step: seconds(stepNs),
    }).toString();
    const common = {
      dispatcher: this.#dispatcher,
      headers: this.#headers,
      headersTimeout: ANSWER_MS_MAX,
      bodyTimeout: ANSWER_MS_MAX,
    };
    try {
      let answer = await request(this.#endpoint, { ...common, method: 'POST', body: form });
      if (answer.statusCode === 405 || answer.statusCode === 501) {
        await answer.body.dump();
        answer = await request(`${this.#endpoint}?${form}`, { ...common, method: 'GET' });
      }
      const body = await readBody(answer.body);
      const status = answer.statusCode;
      if (![200, 400, 422].includes(status)) {
        throw new Error(`${status >= 500 ? 'server_error: server' : 'client_error: client'} error: ${status}`);
      }
      return body;
    } catch (error) {
      throw new Error(`query range: ${reasonOf(error)}`, { cause: error });
    }
  }

  close(): Promise<void> {
    return this.#dispatcher.close();
  }
}

/** Seconds as Go writes the nearest double without an exponent. */
function seconds(ns: bigint): string {
  return String(Number(ns / 1_000_000_000n) + Number(ns % 1_000_000_000n) / 1e9);
}

async function readBody(body: AsyncIterable<Buffer>): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) throw new Error(`the answer is larger than ${BODY_BYTES_MAX} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** What went wrong: an error without words of its own has others that do. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed;
  throw wrongValue(`invalid URL "${url}"`);
}

async function readSecret(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim();
}

async function authorizationOf(config: HttpClientConfig, url: URL): Promise<string | undefined> {
  const { basic_auth: basic, authorization: auth } = config;
  if (auth) {
    const credentials = auth.credentials_file ? await readSecret(auth.credentials_file) : auth.credentials;
    return `${auth.type} ${credentials}`;
  }
  const user = basic
    ? basic.username_file
      ? await readSecret(basic.username_file)
      : basic.username
    : decodeURIComponent(url.username);
  if (!basic && user === '') return undefined;
  const password = basic
    ? basic.password_file
      ? await readSecret(basic.password_file)
      : basic.password
    : decodeURIComponent(url.password);
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

async function dispatcherOf(config: HttpClientConfig): Promise<Dispatcher> {
  const tls = config.tls_config;
  const read = async (inline: string, file: string) => (file ? await readFile(file, 'utf8') : inline || undefined);
  const given = {
    ca: await read(tls.ca, tls.ca_file),
    cert: await read(tls.cert, tls.cert_file),
    key: await read(tls.key, tls.key_file),
    servername: tls.server_name || undefined,
    rejectUnauthorized: !tls.insecure_skip_verify,
  };
  const connect = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  if (config.proxy_url !== '') return new ProxyAgent({ uri: config.proxy_url, requestTls: connect });
  return config.proxy_from_environment ? new EnvHttpProxyAgent({ connect }) : new Agent({ connect });
}
