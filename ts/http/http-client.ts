/**
 * An HTTP client with its connections: credentials, TLS, proxies, redirects. One request is one call; what fails, fails
 * in Go's words.
 */

import type { LookupFunction } from 'node:net';
import type { HttpClientConfig } from '../config/index.ts';
import type { Clock } from '../util/index.ts';
import { Attempt } from './attempt.ts';
import { type Destination, destinationOf } from './destination.ts';
import { bodyError, DEADLINE_EXCEEDED, requestError } from './go-errors.ts';
import { proxyRule } from './proxy.ts';
import { basicAuthorization, type Headers, isSameSite, RequestHeaders, withoutSecrets } from './request-headers.ts';
import { CollectError, type CollectedResponse } from './response-collector.ts';
import { SecretFiles } from './secrets.ts';
import { TlsSettings } from './tls.ts';
import { Transport } from './transport.ts';

/** Go follows as many. */
const REDIRECTS_MAX = 10;

/** A token has to come in this time, and an answer with one may not be longer. */
const TOKEN_MS_MAX = 60_000;
const TOKEN_BYTES_MAX = 1024 * 1024;

/** A request without a whole answer; the message is what the user sees. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure';
  readonly code = 'HTTP_FAILED';
}

export interface HttpClientOptions {
  config: HttpClientConfig;
  clock: Clock;
  /** Idle connections are kept so long. */
  idleMs: number;
  connectTimeoutMs: number;
  /** How names become addresses, where nothing stands between; the system's way where absent. */
  lookup?: LookupFunction;
}

/** What to ask for, and how much of an answer to take. */
export interface HttpRequest {
  method: 'GET' | 'POST';
  url: string;
  /** The URL, where it was read before. */
  to?: Destination;
  /** Names in lower case. They come before those of the configuration, which replace them. Not changed any more. */
  headers: Headers;
  /** Of a POST; it is not changed until the call has ended. */
  body?: Uint8Array;
  /** For everything together. */
  timeoutMs: number;
  /** More bytes of the answer than this are not read; it then ends early. */
  maxBytes: number;
  /** Whether the body of an answer with this status is wanted; any is where this is absent. */
  keeps?(status: number): boolean;
  /** Connects to this socket instead of the URL's host. */
  socketPath?: string;
  /** A kept connection may have gone away unnoticed: try once more where there was no answer at all. */
  retryStale?: boolean;
  /** Lets the caller give the call up, for less than a signal costs. */
  attempt?: Attempt;
}

/** Where a call has got to. */
interface Position {
  to: Destination;
  /** As errors show it, but for a password. */
  shown: string;
  method: 'GET' | 'POST';
  headers: Headers;
  body: Uint8Array | undefined;
}

export class HttpClient {
  readonly #config: HttpClientConfig;
  readonly #clock: Clock;
  readonly #headers: RequestHeaders;
  readonly #transport: Transport;
  readonly #tokenClient: HttpClient | undefined;

  constructor(options: HttpClientOptions) {
    const { config, clock, idleMs, connectTimeoutMs, lookup } = options;
    this.#config = config;
    this.#clock = clock;
    const files = new SecretFiles(clock);
    if (config.oauth2) this.#tokenClient = new HttpClient({ ...options, config: tokenConfig(config, config.oauth2) });
    this.#headers = new RequestHeaders(config, files, clock, (form, headers) => this.#fetchToken(form, headers));
    this.#transport = new Transport({
      tls: new TlsSettings(config.tls_config, files),
      proxyOf: proxyRule(config, process.env),
      connectHeaders: config.proxy_connect_header,
      http2: config.enable_http2,
      idleMs,
      connectTimeoutMs,
      lookup,
    });
  }

  /**
   * Sends a request and collects the answer, whatever its status.
   * @throws HttpFailure with what the user should see; the signal's reason where it aborts
   */
  async request(request: HttpRequest, signal?: AbortSignal): Promise<CollectedResponse> {
    if (signal) return this.#withSignal(request, signal);
    const { attempt = new Attempt(), timeoutMs } = request;
    const cancelTimer = this.#clock.setTimer(timeoutMs, () => attempt.abort(new Error(DEADLINE_EXCEEDED)));
    try {
      return await this.#follow(request, attempt);
    } finally {
      cancelTimer();
    }
  }

  async #withSignal(request: HttpRequest, signal: AbortSignal): Promise<CollectedResponse> {
    signal.throwIfAborted();
    const attempt = new Attempt();
    const onSignal = (): void => attempt.abort(new Error('context canceled'));
    signal.addEventListener('abort', onSignal, { once: true });
    try {
      return await this.request({ ...request, attempt });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', onSignal);
    }
  }

  /** Closes idle connections; requests under way are finished first. */
  close(): void {
    this.#transport.close();
    this.#tokenClient?.close();
  }

  /** Closes all connections at once; requests under way fail. */
  destroy(): void {
    this.#transport.destroy();
    this.#tokenClient?.destroy();
  }

  async #follow(request: HttpRequest, attempt: Attempt): Promise<CollectedResponse> {
    const { url: shown, method } = request;
    const to = request.to ?? whereTo(method, shown);
    const at: Position = { to, shown, method, headers: request.headers, body: request.body };
    at.headers = await this.#headersOf(at, attempt);
    for (let hop = 0; ; hop++) {
      const response = await this.#once(request, at, attempt, hop === 0 && request.retryStale === true);
      const location = headerOf(response, 'location');
      if (!this.#redirects(response.status) || location === '') return response;
      if (hop >= REDIRECTS_MAX - 1) throw failure(at.method, location, `stopped after ${REDIRECTS_MAX} redirects`);
      this.#redirect(at, response.status, location, to);
    }
  }

  #redirects(status: number): boolean {
    return this.#config.follow_redirects && status >= 301 && status <= 308 && (status <= 303 || status >= 307);
  }

  #redirect(at: Position, status: number, location: string, original: Destination): void {
    if (status < 307 && at.method === 'POST') {
      at.method = 'GET';
      at.body = undefined;
    }
    const to = whereTo(at.method, location, at.to.href);
    if (!isSameSite(to.hostname, original.hostname)) at.headers = withoutSecrets(at.headers);
    else if (to.username !== '' && at.headers.authorization === undefined) at.headers = withUser(at.headers, to);
    // As Go does: where one came from is told, but not what was said over TLS to one that hears without.
    if (at.to.protocol === 'http:' || to.protocol === 'https:')
      at.headers = { ...at.headers, referer: withoutUser(at.to.href) };
    at.to = to;
    at.shown = to.href;
  }

  async #headersOf({ to, headers, method, shown }: Position, attempt: Attempt): Promise<Headers> {
    const known = this.#headers.known(headers);
    if (known && to.username === '') return known;
    try {
      const all = known ?? (await attempt.guard(this.#headers.of(headers)));
      // A user in the URL comes before one in the configuration, but not before a token.
      return to.username === '' || this.#config.oauth2 ? all : withUser(all, to);
    } catch (error) {
      throw failure(method, shown, error);
    }
  }

  /** One request; a kept connection that the other side had closed is no failure yet. */
  async #once(request: HttpRequest, at: Position, attempt: Attempt, retry: boolean): Promise<CollectedResponse> {
    const { to, method, headers, body } = at;
    try {
      return await this.#transport.send(
        {
          to,
          sent: { method, headers, body },
          socketPath: request.socketPath ?? '',
          maxBytes: request.maxBytes,
          keeps: (status) => !this.#redirects(status) && (request.keeps?.(status) ?? true),
        },
        attempt,
      );
    } catch (error) {
      if (!(error instanceof CollectError)) throw failure(method, at.shown, error);
      if (attempt.aborted === undefined && !error.responded && (retry || error.refused)) {
        return this.#once({ ...request, retryStale: false }, at, attempt, false);
      }
      if (!error.responded) throw failure(method, at.shown, error.cause);
      throw new HttpFailure(bodyError(error.cause), { cause: error.cause });
    }
  }

  #fetchToken(form: string, headers: Headers): Promise<CollectedResponse> {
    if (!this.#tokenClient || !this.#config.oauth2) throw new Error('no OAuth 2 configuration');
    return this.#tokenClient.request({
      method: 'POST',
      url: this.#config.oauth2.token_url,
      headers,
      body: Buffer.from(form),
      timeoutMs: TOKEN_MS_MAX,
      maxBytes: TOKEN_BYTES_MAX,
    });
  }
}

/** How the token endpoint is talked to: by its own TLS and proxies, without credentials. */
function tokenConfig(config: HttpClientConfig, oauth2: NonNullable<HttpClientConfig['oauth2']>): HttpClientConfig {
  return {
    ...config,
    basic_auth: undefined,
    authorization: undefined,
    oauth2: undefined,
    http_headers: {},
    tls_config: oauth2.tls_config,
    proxy_url: oauth2.proxy_url,
    no_proxy: oauth2.no_proxy,
    proxy_from_environment: oauth2.proxy_from_environment,
    proxy_connect_header: oauth2.proxy_connect_header,
    follow_redirects: true,
    enable_http2: false,
  };
}

/** The first value of an answer's header, '' where it is absent. */
export function headerOf(response: CollectedResponse, name: string): string {
  const value = response.headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
}

function failure(method: string, url: string, why: unknown): HttpFailure {
  const error = why instanceof Error ? why : String(why);
  return new HttpFailure(requestError(method, withoutPassword(url), error), { cause: why });
}

function withUser(headers: Headers, { username, password }: Destination): Headers {
  return { ...headers, authorization: basicAuthorization(decodeURIComponent(username), decodeURIComponent(password)) };
}

/** A password in a URL is told to nobody. */
function withoutPassword(url: string): string {
  return url.replace(/^([^/?#]*:\/\/[^/?#@]*?:)[^/?#]*@/, '$1***@');
}

function withoutUser(url: string): string {
  return url.replace(/^([^/?#]*:\/\/)[^/?#@]*@/, '$1');
}

/** @throws HttpFailure where it is none that a request can go to */
function whereTo(method: string, url: string, base?: string): Destination {
  try {
    return destinationOf(url, base);
  } catch (error) {
    throw failure(method, url, error);
  }
}
