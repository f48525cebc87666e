/**
 * The HTTP client of one pool: connections that outlive the scrape interval, credentials, TLS,
 * proxies, redirects. One scrape is one call; what fails, fails in Go's words.
 */

import type { Dispatcher } from 'undici';
import type { HttpClientConfig, ScrapeConfig } from '../config/index.ts';
import { type Clock, messageOf, quote } from '../util/index.ts';
import { acceptEncodingHeader, acceptHeader } from './accept.ts';
import { bodyError, DEADLINE_EXCEEDED, requestError } from './go-errors.ts';
import { proxyExemptions } from './no-proxy.ts';
import { CollectError, type CollectedResponse, collect } from './response-collector.ts';
import type { ScrapeTarget } from './scrape-target.ts';
import { SecretFiles } from './secrets.ts';
import { UNIX_SOCKET_LABEL } from './target-labels.ts';

/** Idle connections are kept at least this long. */
const IDLE_MS_MIN = 5 * 60 * 1000;

/** Go follows as many. */
const REDIRECTS_MAX = 10;

/** A body without a configured limit may still not be larger than this, as it comes over the wire. */
const BODY_BYTES_MAX = 512 * 1024 * 1024;

/** Headers of an answer together. */
const HEADER_BYTES_MAX = 1024 * 1024;

/** Compression may make a body larger by no more than this beyond a thousandth. */
const GZIP_SLACK_BYTES = 64 * 1024;

const ZSTD_NOT_ENABLED = 'received a zstd-compressed response, but the "zstd-scrape" feature flag is not enabled';

let loading: Promise<typeof import('undici')> | undefined;

/** The HTTP client, loaded when it is first needed: a start would wait for it longer than for all the rest of ours. */
export function httpClient(): Promise<typeof import('undici')> {
  loading ??= import('undici');
  return loading;
}

/** A scrape that brought no body; the message is what the user sees. */
export class ScrapeFailure extends Error {
  override readonly name = 'ScrapeFailure';
  readonly code = 'SCRAPE_FAILED';
}

/** A body as the target sent it. */
export interface FetchedBody {
  pieces: Buffer[];
  contentEncoding: string;
  contentType: string;
}

/** What makes a request: where to, what with, and how to give it up. */
interface Attempt {
  target: ScrapeTarget;
  headers: Record<string, string | string[]>;
  maxBytes: number;
  /** Set once the time is up or the server stops. */
  aborted: Error | undefined;
  abort: (reason: Error) => void;
}

export class PoolClient {
  readonly #config: ScrapeConfig;
  readonly #clock: Clock;
  readonly #secrets: SecretFiles;
  readonly #headers: Record<string, string>;
  readonly #isExempt: (hostname: string, port: string) => boolean;
  /** Dispatchers by what they connect through: nothing, the proxy, or a socket's path. */
  readonly #dispatchers = new Map<string, Dispatcher>();
  /** The TLS material the dispatchers were made with. */
  #tlsKey = '';
  /** Targets that answered last time: their connection may have gone away unnoticed. */
  readonly #answered = new WeakSet<ScrapeTarget>();

  constructor(config: ScrapeConfig, clock: Clock, userAgent: string) {
    this.#config = config;
    this.#clock = clock;
    this.#secrets = new SecretFiles(clock);
    this.#isExempt = proxyExemptions(config.no_proxy);
    this.#headers = {
      accept: acceptHeader(config.scrape_protocols, config.metric_name_escaping_scheme),
      'accept-encoding': acceptEncodingHeader(config.enable_compression),
      'user-agent': userAgent,
    };
  }

  /**
   * Fetches a target's metrics within its timeout.
   * @throws ScrapeFailure with what the user should see; the signal's reason where it aborts
   */
  async fetch(target: ScrapeTarget, signal: AbortSignal): Promise<FetchedBody> {
    signal.throwIfAborted();
    const attempt: Attempt = {
      target,
      headers: {},
      maxBytes: this.#maxBytes(),
      aborted: undefined,
      abort: () => undefined,
    };
    const stop = (reason: Error): void => {
      attempt.aborted ??= reason;
      attempt.abort(attempt.aborted);
    };
    const cancelTimer = this.#clock.setTimer(target.timeoutMs, () => stop(new Error(DEADLINE_EXCEEDED)));
    const onSignal = (): void => stop(new Error('context canceled'));
    signal.addEventListener('abort', onSignal, { once: true });
    try {
      return await this.#fetch(attempt);
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

  async #fetch(attempt: Attempt): Promise<FetchedBody> {
    const { target } = attempt;
    attempt.headers = await this.#requestHeaders(target).catch((error: unknown) => {
      throw new ScrapeFailure(`Get ${quote(target.scrapeUrl)}: ${messageOf(error)}`, { cause: error });
    });
    const response = await this.#follow(attempt);
    if (response.status !== 200) {
      const text = `${response.status} ${response.statusText}`.trimEnd();
      throw new ScrapeFailure(`server returned HTTP status ${text}`);
    }
    if (response.byteLength > BODY_BYTES_MAX) throw new ScrapeFailure('body size limit exceeded');
    const encoding = headerOf(response, 'content-encoding').toLowerCase();
    if (encoding === 'zstd') throw new ScrapeFailure(ZSTD_NOT_ENABLED);
    this.#answered.add(target);
    return {
      pieces: response.pieces,
      contentEncoding: encoding === 'gzip' ? 'gzip' : '',
      contentType: headerOf(response, 'content-type'),
    };
  }

  async #follow(attempt: Attempt): Promise<CollectedResponse> {
    let url = parseUrl(attempt.target.scrapeUrl);
    for (let hop = 0; ; hop++) {
      const response = await this.#once(attempt, url);
      const location = headerOf(response, 'location');
      const redirects = [301, 302, 303, 307, 308].includes(response.status) && location !== '';
      if (!redirects || !this.#config.follow_redirects) return response;
      if (hop >= REDIRECTS_MAX - 1) {
        throw new ScrapeFailure(`Get ${quote(location)}: stopped after ${REDIRECTS_MAX} redirects`);
      }
      const next = parseUrl(location, url);
      if (next.host !== url.host) {
        const { authorization: _, ...others } = attempt.headers;
        attempt.headers = others;
      }
      url = next;
    }
  }

  /** One request; a kept connection that the other side had closed is no failure yet. */
  async #once(attempt: Attempt, url: URL): Promise<CollectedResponse> {
    const retry = this.#answered.delete(attempt.target);
    try {
      return await this.#send(attempt, url);
    } catch (error) {
      if (!(error instanceof CollectError)) throw error;
      if (retry && !error.responded && !attempt.aborted) return this.#once(attempt, url);
      const text = error.responded ? bodyError(error.cause) : requestError(url.href, error.cause);
      throw new ScrapeFailure(text, { cause: error.cause });
    }
  }

  async #send(attempt: Attempt, url: URL): Promise<CollectedResponse> {
    const dispatcher = await this.#dispatcherFor(attempt.target, url).catch((error: unknown) => {
      throw new ScrapeFailure(`Get ${quote(url.href)}: ${messageOf(error)}`, { cause: error });
    });
    if (attempt.aborted) throw new CollectError(attempt.aborted, false);
    return collect(dispatcher, url, attempt.headers, {
      maxBytes: attempt.maxBytes,
      onAbort: (abort) => {
        attempt.abort = abort;
      },
    });
  }

  #maxBytes(): number {
    const limit = this.#config.body_size_limit;
    return limit > 0 ? Math.min(limit + Math.ceil(limit / 1000) + GZIP_SLACK_BYTES, BODY_BYTES_MAX) : BODY_BYTES_MAX;
  }

  async #requestHeaders(target: ScrapeTarget): Promise<Record<string, string | string[]>> {
    const headers: Record<string, string | string[]> = {
      ...this.#headers,
      'x-prometheus-scrape-timeout-seconds': String(target.timeoutMs / 1000),
    };
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

  async #dispatcherFor(target: ScrapeTarget, url: URL): Promise<Dispatcher> {
    const undici = await httpClient();
    const tls = url.protocol === 'https:' ? await this.#tlsOptions() : {};
    const tlsKey = JSON.stringify(tls);
    if (url.protocol === 'https:' && tlsKey !== this.#tlsKey) {
      if (this.#tlsKey !== '') this.close();
      this.#tlsKey = tlsKey;
    }
    const socketPath = target.allLabels[UNIX_SOCKET_LABEL] ?? '';
    const kind = `${url.protocol} ${socketPath || this.#proxyKind(url)}`;
    let dispatcher = this.#dispatchers.get(kind);
    if (!dispatcher) {
      dispatcher = this.#makeDispatcher(undici, socketPath, this.#proxyKind(url), tls);
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
    const idleMs = Math.max(IDLE_MS_MIN, Math.ceil(this.#config.scrape_interval * 1.5));
    const common = {
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: idleMs,
      pipelining: 1,
      maxHeaderSize: HEADER_BYTES_MAX,
      // The scrape's own timeout is the only one.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    const connect = { ...tls, timeout: Math.max(10_000, this.#config.scrape_timeout) };
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

function headerOf(response: CollectedResponse, name: string): string {
  const value = response.headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
}

function parseUrl(text: string, base?: URL): URL {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch (error) {
    throw new ScrapeFailure(`Get ${quote(text)}: invalid URL`, { cause: error });
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  throw new ScrapeFailure(`Get ${quote(text)}: unsupported protocol scheme ${quote(url.protocol.slice(0, -1))}`);
}
