/** Posts requests of remote read, and says what came of them. What is in the bodies is the core's business. */

import type { RemoteReadConfig } from '../config/index.ts';
import type { RemoteRequest, RemoteResponse } from '../core/index.ts';
import { type CollectedResponse, HttpClient, HttpFailure, headerOf } from '../http/index.ts';
import type { Clock } from '../util/index.ts';
import type { ReadMetrics } from './read-metrics.ts';

/** Idle connections are kept so long: as in Go's client for Prometheus. */
const IDLE_MS = 5 * 60 * 1000;
const CONNECT_MS = 30_000;

/** More of an answer is not read. */
const ANSWER_BYTES_MAX = 512 * 1024 * 1024;

/** How answers are counted, by their content types. */
const RESPONSE_TYPES = [
  { name: 'sampled', type: 'application/x-protobuf' },
  { name: 'chunked', type: 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse' },
];

export interface ReadClientOptions {
  config: RemoteReadConfig;
  name: string;
  /** As it is shown. */
  url: string;
  clock: Clock;
  userAgent: string;
  metrics: ReadMetrics;
}

export class ReadClient {
  readonly #options: ReadClientOptions;
  readonly #http: HttpClient;
  readonly #headers: Record<string, string>;
  readonly #labels: readonly string[];

  constructor(options: ReadClientOptions) {
    const { config, clock, userAgent } = options;
    this.#options = options;
    this.#http = new HttpClient({ config, clock, idleMs: IDLE_MS, connectTimeoutMs: CONNECT_MS });
    this.#labels = [options.name, options.url];
    this.#headers = {
      'content-encoding': 'snappy',
      'accept-encoding': 'snappy',
      'content-type': 'application/x-protobuf',
      'user-agent': userAgent,
      'x-prometheus-remote-read-version': '0.1.0',
      ...Object.fromEntries(Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), value])),
    };
  }

  /** Posts a request; rejects only where `signal` aborts. */
  async read({ body, timeoutMs }: RemoteRequest, signal: AbortSignal): Promise<RemoteResponse> {
    const { config, clock, metrics } = this.#options;
    const startMs = clock.monotonicMs();
    metrics.queries.inc(this.#labels);
    try {
      const response = await this.#http.request(
        {
          method: 'POST',
          url: config.url,
          headers: this.#headers,
          body,
          timeoutMs: Math.min(config.remote_timeout, timeoutMs),
          maxBytes: ANSWER_BYTES_MAX,
          // Reading twice does no harm.
          retryStale: true,
        },
        signal,
      );
      return this.#taken(response, (clock.monotonicMs() - startMs) / 1000);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof HttpFailure)) throw error;
      return { error: `remote_read: error sending request: ${error.message}` };
    } finally {
      metrics.queries.inc(this.#labels, -1);
    }
  }

  close(): void {
    this.#http.close();
  }

  #taken(response: CollectedResponse, seconds: number): RemoteResponse {
    const { metrics, url } = this.#options;
    const { status, statusText, pieces, byteLength } = response;
    if (status < 200 || status > 299) {
      const text = Buffer.concat(pieces)
        .toString()
        .replace(/^\n+|\n+$/g, '');
      const shown = `${status} ${statusText}`.trimEnd();
      return { error: `remote_read: remote server ${url} returned http status ${shown}: ${text}` };
    }
    const contentType = headerOf(response, 'content-type');
    const kind = RESPONSE_TYPES.find(({ type }) => contentType.startsWith(type))?.name ?? 'unsupported';
    metrics.duration.observe([...this.#labels, kind], seconds);
    metrics.queriesTotal.inc([...this.#labels, kind, String(status)]);
    if (byteLength > ANSWER_BYTES_MAX) {
      return { error: `remote_read: error reading response: it exceeds the ${ANSWER_BYTES_MAX} bytes limit` };
    }
    return { contentType, pieces };
  }
}
