/** A client of Prometheus' query API for the tools: range queries, with what `--http.config.file` says of HTTP. */

import type { HttpClientConfig } from '../config/index.ts';
import { HttpClient } from '../http/index.ts';
import { messageOf, systemClock } from '../util/index.ts';
import { wrongValue } from './tsdb-values.ts';

/** An answer may not be larger. */
const BODY_BYTES_MAX = 1 << 30;
/** A query of two hours may take long, but not for ever. */
const ANSWER_MS_MAX = 10 * 60_000;
const CONNECT_MS_MAX = 30_000;
const IDLE_MS = 60_000;
const USER_AGENT = 'narthex-tool';

/** When the API is asked for values. */
export interface QuerySpan {
  startNs: bigint;
  endNs: bigint;
  stepNs: bigint;
}

export class PrometheusClient {
  readonly #endpoint: string;
  readonly #http: HttpClient;

  private constructor(endpoint: string, http: HttpClient) {
    this.#endpoint = endpoint;
    this.#http = http;
  }

  /** A client of the server at `url`, under which `/api/v1` stands. @throws Error for what cannot be used */
  static open(url: string, config: HttpClientConfig): PrometheusClient {
    const base = parseUrl(url);
    if (base.username !== '' && (config.basic_auth || config.authorization || config.oauth2)) {
      throw wrongValue('Cannot set basic auth in the server URL and use a http.config.file at the same time');
    }
    base.pathname = `${base.pathname.replace(/\/$/, '')}/api/v1/query_range`;
    const timeouts = { idleMs: IDLE_MS, connectTimeoutMs: CONNECT_MS_MAX };
    const http = new HttpClient({ config, clock: systemClock, ...timeouts });
    return new PrometheusClient(base.href, http);
  }

  /** The body of the answer to a range query, JSON also where the API refuses. @throws Error where it is none */
  async queryRange(query: string, { startNs, endNs, stepNs }: QuerySpan): Promise<Uint8Array> {
    const form = new URLSearchParams({
      query,
      start: seconds(startNs),
      end: seconds(endNs),
      step: seconds(stepNs),
    }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': USER_AGENT };
    const common = { timeoutMs: ANSWER_MS_MAX, maxBytes: BODY_BYTES_MAX, headers };
    try {
      let answer = await this.#http.request({
        ...common,
        method: 'POST',
        url: this.#endpoint,
        body: Buffer.from(form),
      });
      if (answer.status === 405 || answer.status === 501) {
        answer = await this.#http.request({ ...common, method: 'GET', url: `${this.#endpoint}?${form}` });
      }
      if (answer.byteLength > BODY_BYTES_MAX) throw new Error(`the answer is larger than ${BODY_BYTES_MAX} bytes`);
      const { status } = answer;
      if (![200, 400, 422].includes(status)) {
        throw new Error(`${status >= 500 ? 'server_error: server' : 'client_error: client'} error: ${status}`);
      }
      return Buffer.concat(answer.pieces);
    } catch (error) {
      throw new Error(`query range: ${messageOf(error)}`, { cause: error });
    }
  }

  close(): void {
    this.#http.destroy();
  }
}

/** Seconds as Go writes the nearest double without an exponent. */
function seconds(ns: bigint): string {
  return String(Number(ns / 1_000_000_000n) + Number(ns % 1_000_000_000n) / 1e9);
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed;
  throw wrongValue(`invalid URL "${url}"`);
}
