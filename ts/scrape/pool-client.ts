/** The HTTP client of one pool: what a scrape asks for, how long connections outlive it, and what counts as an answer. */

import type { ScrapeConfig } from '../config/index.ts';
import { Attempt, HttpClient, HttpFailure, headerOf } from '../http/index.ts';
import type { Clock } from '../util/index.ts';
import { acceptEncodingHeader, acceptHeader } from './accept.ts';
import type { ScrapeTarget } from './scrape-target.ts';
import { UNIX_SOCKET_LABEL } from './target-labels.ts';

/** Idle connections are kept at least this long. */
const IDLE_MS_MIN = 5 * 60 * 1000;

/** Connecting may take this long even where the scrape may not. */
const CONNECT_MS_MIN = 10_000;

/** A body without a configured limit may still not be larger than this, as it comes over the wire. */
const BODY_BYTES_MAX = 512 * 1024 * 1024;

/** Compression may make a body larger by no more than this beyond a thousandth. */
const GZIP_SLACK_BYTES = 64 * 1024;

const ZSTD_NOT_ENABLED = 'received a zstd-compressed response, but the "zstd-scrape" feature flag is not enabled';

/** A scrape that brought no body; the message is what the user sees. */
export class ScrapeFailure extends Error {
  override readonly name = 'ScrapeFailure';
  readonly code = 'SCRAPE_FAILED';
}

const isOk = (status: number): boolean => status === 200;

/** A body as the target sent it. */
export interface FetchedBody {
  pieces: Buffer[];
  contentEncoding: string;
  contentType: string;
}

export class PoolClient {
  readonly #config: ScrapeConfig;
  readonly #http: HttpClient;
  readonly #headers: Readonly<Record<string, string>>;
  /** The headers of a request by its timeout, which is one of them. */
  readonly #headersOf = new Map<number, Readonly<Record<string, string>>>();

  readonly #zstd: boolean;
  /** Targets that answered last time: their connection may have gone away unnoticed. */
  readonly #answered = new WeakSet<ScrapeTarget>();

  constructor(config: ScrapeConfig, clock: Clock, userAgent: string, zstd = false) {
    this.#config = config;
    this.#zstd = zstd;
    this.#http = new HttpClient({
      config,
      clock,
      idleMs: Math.max(IDLE_MS_MIN, Math.ceil(config.scrape_interval * 1.5)),
      connectTimeoutMs: Math.max(CONNECT_MS_MIN, config.scrape_timeout),
    });
    this.#headers = {
      accept: acceptHeader(config.scrape_protocols, config.metric_name_escaping_scheme),
      'accept-encoding': acceptEncodingHeader(config.enable_compression, zstd),
      'user-agent': userAgent,
    };
  }

  /**
   * Fetches a target's metrics within its timeout.
   * @throws ScrapeFailure with what the user should see, also where the attempt is given up
   */
  async fetch(target: ScrapeTarget, attempt = new Attempt()): Promise<FetchedBody> {
    const to = target.destination;
    const request = {
      method: 'GET' as const,
      url: target.scrapeUrl,
      ...(to && { to }),
      attempt,
      headers: this.#headersFor(target.timeoutMs),
      timeoutMs: target.timeoutMs,
      maxBytes: this.#maxBytes(),
      keeps: isOk,
      socketPath: target.allLabels[UNIX_SOCKET_LABEL] ?? '',
      retryStale: this.#answered.delete(target),
    };
    const response = await this.#http.request(request).catch((error: unknown) => {
      if (error instanceof HttpFailure) throw new ScrapeFailure(error.message, { cause: error.cause });
      throw error;
    });
    if (response.status !== 200) {
      const text = `${response.status} ${response.statusText}`.trimEnd();
      throw new ScrapeFailure(`server returned HTTP status ${text}`);
    }
    if (response.byteLength > BODY_BYTES_MAX) throw new ScrapeFailure('body size limit exceeded');
    const encoding = headerOf(response, 'content-encoding').toLowerCase();
    if (encoding === 'zstd' && !this.#zstd) throw new ScrapeFailure(ZSTD_NOT_ENABLED);
    this.#answered.add(target);
    return {
      pieces: response.pieces,
      contentEncoding: encoding === 'gzip' || encoding === 'zstd' ? encoding : '',
      contentType: headerOf(response, 'content-type'),
    };
  }

  /** Closes idle connections; requests under way are finished first. */
  close(): void {
    this.#http.close();
  }

  /** Closes all connections at once; requests under way fail. */
  destroy(): void {
    this.#http.destroy();
  }

  #headersFor(timeoutMs: number): Readonly<Record<string, string>> {
    let headers = this.#headersOf.get(timeoutMs);
    if (!headers) {
      headers = { ...this.#headers, 'x-prometheus-scrape-timeout-seconds': String(timeoutMs / 1000) };
      this.#headersOf.set(timeoutMs, headers);
    }
    return headers;
  }

  #maxBytes(): number {
    const limit = this.#config.body_size_limit;
    return limit > 0 ? Math.min(limit + Math.ceil(limit / 1000) + GZIP_SLACK_BYTES, BODY_BYTES_MAX) : BODY_BYTES_MAX;
  }
}
