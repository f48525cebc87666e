/** Posts requests of remote write, and says what their answers mean. */

import type { RemoteWriteConfig } from '../config/index.ts';
import { HttpClient, HttpFailure, headerOf } from '../http/index.ts';
import { type Clock, messageOf } from '../util/index.ts';
import { roundRobinLookup } from './round-robin-dns.ts';

/** Idle connections are kept so long: as in Go's client for Prometheus. */
const IDLE_MS = 5 * 60 * 1000;
const CONNECT_MS = 30_000;

/** Of an answer's text so much is read, and told. */
const ANSWER_BYTES_MAX = 64 * 1024;
const TOLD_CHARS_MAX = 1024;

/** The message of remote write 2.0. */
export const V2 = 'io.prometheus.write.v2.Request';

/** What became of a request. */
export interface PostResult {
  /** `sent`: taken; `refused`: trying again is of no use; `failed`: it may be. */
  kind: 'sent' | 'refused' | 'failed';
  /** What was wrong, '' where nothing was. */
  text: string;
  /** What the other side says to have written, where it says so. */
  written: { samples: number; histograms: number; exemplars: number } | undefined;
  /** How long it asks us to wait; 0 where it does not. */
  retryAfterMs: number;
}

export class WriteClient {
  readonly #config: RemoteWriteConfig;
  readonly #clock: Clock;
  readonly #http: HttpClient;
  readonly #headers: Record<string, string>;
  #answered = false;

  constructor(config: RemoteWriteConfig, clock: Clock, userAgent: string) {
    this.#config = config;
    this.#clock = clock;
    const lookup = config.round_robin_dns ? { lookup: roundRobinLookup() } : {};
    this.#http = new HttpClient({ config, clock, idleMs: IDLE_MS, connectTimeoutMs: CONNECT_MS, ...lookup });
    const isV2 = config.protobuf_message === V2;
    this.#headers = {
      'content-encoding': 'snappy',
      'content-type': isV2 ? `application/x-protobuf;proto=${V2}` : 'application/x-protobuf',
      'user-agent': userAgent,
      'x-prometheus-remote-write-version': isV2 ? '2.0.0' : '0.1.0',
      ...Object.fromEntries(Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), value])),
    };
  }

  /** Posts a request; rejects only where `signal` aborts. `attempt` counts from 0. */
  async post(body: Uint8Array, attempt: number, signal: AbortSignal): Promise<PostResult> {
    const headers = attempt > 0 ? { ...this.#headers, 'retry-attempt': String(attempt) } : this.#headers;
    const retryStale = this.#answered;
    this.#answered = false;
    const nothing = { text: '', written: undefined, retryAfterMs: 0 };
    try {
      const response = await this.#http.request(
        {
          method: 'POST',
          url: this.#config.url,
          headers,
          body,
          timeoutMs: this.#config.remote_timeout,
          maxBytes: ANSWER_BYTES_MAX,
          retryStale,
        },
        signal,
      );
      this.#answered = true;
      const written = writtenOf((name) => headerOf(response, `x-prometheus-remote-write-${name}-written`));
      const { status } = response;
      if (status >= 200 && status < 300) return { ...nothing, kind: 'sent', written };
      const answer = Buffer.concat(response.pieces).toString().trim().slice(0, TOLD_CHARS_MAX);
      const text = `server returned HTTP status ${`${status} ${response.statusText}`.trimEnd()}: ${answer}`;
      const isFailure = status >= 500 || (status === 429 && this.#config.queue_config.retry_on_http_429);
      if (!isFailure) return { ...nothing, kind: 'refused', text, written };
      const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after'), this.#clock.nowMs());
      return { kind: 'failed', text, written, retryAfterMs };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof HttpFailure)) throw error;
      return { ...nothing, kind: 'failed', text: messageOf(error) };
    }
  }

  close(): void {
    this.#http.close();
  }
}

function writtenOf(header: (name: string) => string): PostResult['written'] {
  const texts = ['samples', 'histograms', 'exemplars'].map(header);
  if (texts.every((text) => text === '')) return undefined;
  const [samples = 0, histograms = 0, exemplars = 0] = texts.map((text) => (/^\d+$/.test(text) ? Number(text) : 0));
  return { samples, histograms, exemplars };
}

/** Seconds or a date, as HTTP has it; 0 for neither, or for what is past. */
export function parseRetryAfter(text: string, nowMs: number): number {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? 0 : Math.max(0, Math.floor((dateMs - nowMs) / 1000) * 1000);
}
