/**
 * An HTTP client with its connections: credentials, TLS, proxies, redirects. One request is one call; what fails, fails
 * in Go's words.
 */

import type { Dispatcher } from 'undici';
import type { HttpClientConfig } from '../config/index.ts';
import { type Clock, messageOf, quote } from '../util/index.ts';
import { bodyError, DEADLINE_EXCEEDED, requestError } from './go-errors.ts';
import { proxyExemptions } from './no-proxy.ts';
import { CollectError, type CollectedResponse, collect } from './response-collector.ts';
import { SecretFiles } from './secrets.ts';

/** Go follows as many. */
const REDIRECTS_MAX = 10;

/** Headers of an answer together. */
const HEADER_BYTES_MAX = 1024 * 1024;

let loading: Promise<typeof import('undici')> | undefined;

/** The library beneath, loaded when it is first needed: a start would wait for it longer than for all the rest of ours. */
export function undici(): Promise<typeof import('undici')> {
  loading ??= import('undici');
  return loading;
}

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
}

/** What to ask for, and how much of an answer to take. */
export interface HttpRequest {
  method: 'GET' | 'POST';
  url: string;
  /** Names in lower case. They come before those of the configuration, which replace them. */
  headers: Readonly<Record<string, string | string[]>>;
  /** Of a POST; it is not changed until the call has ended. */
  body?: Uint8Array;
  /** For everything together. */
  timeoutMs: number;
  /** More bytes of the answer than this are not read; it then ends early. */
  maxBytes: number;
  /** Connects to this socket instead of the URL's host. */
  socketPath?: string;
  /** A kept connection may have gone away unnoticed: try once more where there was no answer at all. */
  retryStale?: boolean;
}

/** A request on its way, and how to give it up. */
interface Attempt {
  request: HttpRequest;
  method: 'GET' | 'POST';
  headers: Record<string, string | string[]>;
  body: Uint8Array | undefined;
  /** Set once the time is up or the caller has given up. */
  aborted: Error | undefined;
  abort: (reason: Error) => void;
}

export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #config: HttpClientConfig;
  readonly #secrets: SecretFiles;
  readonly #isExempt: (hostname: string, port: string) => boolean;
  /** Dispatchers by what they connect through: nothing, the proxy, or a socket's path. */
  readonly #dispatchers = new Map<string, Dispatcher>();
  /** The TLS material the dispatchers were made with. */
  #tlsKey = '';

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#secrets = new SecretFiles(options.clock);
    this.#isExempt = proxyExemptions(options.config.no_proxy);
  }

  /**
   * Sends a request and collects the answer, whatever its status.
   * @throws HttpFailure with what the user should see; the signal's reason where it aborts
   */
  async request(request: HttpRequest, signal: AbortSignal): Promise<CollectedResponse> {
    signal.throwIfAborted();
    const attempt: Attempt = {
      request,
      method: request.method,
      headers: {},
      body: request.body,
      aborted: undefined,
      abort: () => undefined,
    };
    const stop = (reason: Error): void => {
      attempt.aborted ??= reason;
      attempt.abort(attempt.aborted);
    };
    const cancelTimer = this.#options.clock.setTimer(request.timeoutMs, () => stop(new Error(DEADLINE_EXCEEDED)));
    const onSignal = (): void => stop(new Error('context canceled'));
    signal.addEventListener('abort', onSignal, { once: true });
    try {
      attempt.headers = await this.#headers(request).catch((error: unknown) => {
        throw failure(request.method, request.url, messageOf(error), error);
      });
      return await this.#follow(attempt);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      cancelTimer();
      signal.removeEventListener('abort', onSignal);
    }
  }

  /** Closes idle connections; requests under way are finished first. */
  close(): void {
    for (const dispatcher of this.#dispatchers.values()) void dispatcher.close().catch(() => undefined);
    this.#dispatchers.clear();
  }

  /** Closes all connections at once; requests under way fail. */
  destroy(): void {
    for (const dispatcher of this.#dispatchers.values()) void dispatcher.destroy().catch(() => undefined);
    this.#dispatchers.clear();
  }

  async #follow(attempt: Attempt): Promise<CollectedResponse> {
    let url = parseUrl(attempt.method, attempt.request.url);
    for (let hop = 0; ; hop++) {
      const response = await this.#once(attempt, url, hop === 0 && attempt.request.retryStale === true);
      const location = headerOf(response, 'location');
      const redirects = [301, 302, 303, 307, 308].includes(response.status) && location !== '';
      if (!redirects || !this.#config.follow_redirects) return response;
      if (hop >= REDIRECTS_MAX - 1) {
        throw failure(attempt.method, location, `stopped after ${REDIRECTS_MAX} redirects`);
      }
      if (response.status < 307 && attempt.method === 'POST') {
        attempt.method = 'GET';
        attempt.body = undefined;
      }
      const next = parseUrl(attempt.method, location, url);
      if (next.host !== url.host) {
        const { authorization: _, ...others } = attempt.headers;
        attempt.headers = others;
      }
      url = next;
    }
  }

  /** One request; a kept connection that the other side had closed is no failure yet. */
  async #once(attempt: Attempt, url: URL, retry: boolean): Promise<CollectedResponse> {
    try {
      return await this.#send(attempt, url);
    } catch (error) {
      if (!(error instanceof CollectError)) throw error;
      if (retry && !error.responded && !attempt.aborted) return this.#once(attempt, url, false);
      const text = error.responded ? bodyError(error.cause) : requestError(attempt.method, url.href, error.cause);
      throw new HttpFailure(text, { cause: error.cause });
    }
  }

  async #send(attempt: Attempt, url: URL): Promise<CollectedResponse> {
    const dispatcher = await this.#dispatcherFor(attempt.request.socketPath ?? '', url).catch((error: unknown) => {
      throw failure(attempt.method, url.href, messageOf(error), error);
    });
    if (attempt.aborted) throw new CollectError(attempt.aborted, false);
    const { method, headers, body } = attempt;
    return collect(dispatcher, url, body === undefined ? { method, headers } : { method, headers, body }, {
      maxBytes: attempt.request.maxBytes,
      onAbort: (abort) => {
        attempt.abort = abort;
      },
    });
  }

  async #headers(request: HttpRequest): Promise<Record<string, string | string[]>> {
    const headers = { ...request.headers };
    const authorization = await this.#authorization(this.#config);
    if (authorization !== undefined) headers.authorization = authorization;
    for (const [name, header] of Object.entries(this.#config.http_headers)) {
      const files = await Promise.all(header.files.map((file) => this.#secrets.read(file)));
      headers[name.toLowerCase()] = [...header.values, ...header.secrets, ...files];
    }
    return headers;
  }

  async #authorization({ basic_auth: basic, authorization: auth }: HttpClientConfig): Promise<string | undefined> {
    if (basic) {
      const user = basic.username_file ? await this.#secrets.read(basic.username_file) : basic.username;
      const password = basic.password_file ? await this.#secrets.read(basic.password_file) : basic.password;
      return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    }
    if (!auth) return undefined;
    const credentials = auth.credentials_file ? await this.#secrets.read(auth.credentials_file) : auth.credentials;
    return `${auth.type} ${credentials}`;
  }

  async #dispatcherFor(socketPath: string, url: URL): Promise<Dispatcher> {
    const library = await undici();
    const tls = url.protocol === 'https:' ? await this.#tlsOptions() : {};
    const tlsKey = JSON.stringify(tls);
    if (url.protocol === 'https:' && tlsKey !== this.#tlsKey) {
      if (this.#tlsKey !== '') this.close();
      this.#tlsKey = tlsKey;
    }
    const kind = `${url.protocol} ${socketPath || this.#proxyKind(url)}`;
    let dispatcher = this.#dispatchers.get(kind);
    if (!dispatcher) {
      dispatcher = this.#makeDispatcher(library, socketPath, this.#proxyKind(url), tls);
      this.#dispatchers.set(kind, dispatcher);
    }
    return dispatcher;
  }

  #proxyKind(url: URL): 'direct' | 'proxy' | 'environment' {
    if (this.#config.proxy_from_environment) return 'environment';
    if (this.#config.proxy_url === '' || this.#isExempt(url.hostname, url.port)) return 'direct';
    return 'proxy';
  }

  #makeDispatcher(
    { Agent, EnvHttpProxyAgent, ProxyAgent }: typeof import('undici'),
    socketPath: string,
    kind: 'direct' | 'proxy' | 'environment',
    tls: object,
  ): Dispatcher {
    const { idleMs, connectTimeoutMs } = this.#options;
    const common = {
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: idleMs,
      pipelining: 1,
      maxHeaderSize: HEADER_BYTES_MAX,
      // The request's own timeout is the only one.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    const connect = { ...tls, timeout: connectTimeoutMs };
    if (socketPath !== '') return new Agent({ ...common, connect: { ...connect, socketPath } });
    if (kind === 'environment') return new EnvHttpProxyAgent({ ...common, requestTls: connect });
    if (kind === 'direct') return new Agent({ ...common, connect });
    const headers = Object.fromEntries(
      Object.entries(this.#config.proxy_connect_header).map(([name, values]) => [name, values.join(', ')]),
    );
    return new ProxyAgent({ ...common, uri: this.#config.proxy_url, headers, requestTls: connect, proxyTunnel: false });
  }

  async #tlsOptions(): Promise<Record<string, unknown>> {
    const tls = this.#config.tls_config;
    const read = async (inline: string, file: string): Promise<string | undefined> =>
      file ? await this.#secrets.read(file) : inline || undefined;
    const options = {
      ca: await read(tls.ca, tls.ca_file),
      cert: await read(tls.cert, tls.cert_file),
      key: await read(tls.key, tls.key_file),
      servername: tls.server_name || undefined,
      rejectUnauthorized: !tls.insecure_skip_verify,
      minVersion: tlsVersion(tls.min_version),
      maxVersion: tlsVersion(tls.max_version),
    };
    return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  }
}

function tlsVersion(name: string): string | undefined {
  const match = /^TLS1([0-3])$/.exec(name);
  return match ? (match[1] === '0' ? 'TLSv1' : `TLSv1.${match[1]}`) : undefined;
}

/** The first value of an answer's header, '' where it is absent. */
export function headerOf(response: CollectedResponse, name: string): string {
  const value = response.headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
}

function failure(method: string, url: string, why: string, cause?: unknown): HttpFailure {
  return new HttpFailure(requestError(method, url, why), { cause });
}

function parseUrl(method: string, text: string, base?: URL): URL {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch (error) {
    throw failure(method, text, 'invalid URL', error);
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  throw failure(method, text, `unsupported protocol scheme ${quote(url.protocol.slice(0, -1))}`);
}
