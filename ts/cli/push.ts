/** `narthex tool push metrics …`: text sent by remote write, with the flags, output and exit codes of promtool. */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Command } from 'commander';
import { defaultHttpClient, parseHttpFile } from '../config/index.ts';
import { pushBody } from '../core/index.ts';
import { HttpClient, HttpFailure, headerOf } from '../http/index.ts';
import { messageOf, quote, sleep, systemClock } from '../util/index.ts';
import { goDuration, label, wrongValue } from './tsdb-values.ts';

const V1 = 'prometheus.WriteRequest';
const V2 = 'io.prometheus.write.v2.Request';

/** Of an answer so much is read, and told. */
const ANSWER_BYTES_MAX = 64 * 1024;
const CONNECT_MS = 30_000;

/** What fails for want of a server is tried again so often, after waits that double from one bound to the other. */
const RETRIES_MAX = 10;
const BACKOFF_MIN_MS = 1000;
const BACKOFF_MAX_MS = 10_000;

interface PushFlags {
  'http.config.file'?: string;
  label?: [string, string][];
  header?: [string, string][];
  timeout: number;
  protobuf_message: string;
  'remoteWrite.path': string;
}

/** Adds the command `push` to `parent`; `finish` takes the exit code. */
export function addPushCommands(parent: Command, finish: (exitCode: number) => void): void {
  const push = parent.command('push').description('Push to a Prometheus server.');
  const pair = (text: string, before: [string, string][] = []): [string, string][] => [...before, label(text)];
  push
    .command('metrics')
    .description('Push metrics to a prometheus remote write (for testing purpose only).')
    .argument('<remote-write-url>', 'Prometheus remote write url to push metrics.')
    .argument('[metric-files...]', 'The metric files to push, default is read from standard input.')
    .option('--http.config.file <file>', 'HTTP client configuration file.')
    .option('--label <name=value>', 'Label to attach to metrics. Can be repeated. (default job=promtool)', pair)
    .option('--timeout <duration>', 'The time to wait for pushing metrics.', goDuration, 30_000)
    .option('--header <name=value>', 'Prometheus remote write header. Can be repeated.', pair)
    .option('--protobuf_message <name>', `Protobuf message to use when writing (${V1} or ${V2}).`, V1)
    .option('--remote-write.path <path>', 'Override the default remote write API path.', '/api/v1/write')
    .action(async (url: string, files: string[], flags: PushFlags) => finish(await pushMetrics(url, files, flags)));
}

/** Pushes each file, or the standard input where there is none; 1 where one could not be. */
async function pushMetrics(url: string, files: string[], flags: PushFlags): Promise<number> {
  const missing = [...files, flags['http.config.file'] ?? ''].find((file) => file !== '' && !existsSync(file));
  if (missing !== undefined) throw wrongValue(`path '${missing}' does not exist`);
  const { protobuf_message: message } = flags;
  if (message !== V1 && message !== V2) {
    return failed(`invalid protobuf message ${quote(message)}, must be ${V1} or ${V2}`);
  }
  const target = await Target.open(url, flags, message === V2);
  try {
    if (files.length === 0) {
      process.stdout.write('Parsing standard input\n');
      const done = await target.push(await readInput());
      if (done) process.stdout.write('  SUCCESS: metrics pushed to remote write.\n');
      return done ? 0 : 1;
    }
    let exitCode = 0;
    for (const file of files) {
      const text = await readFile(file).catch((error: unknown) => failed(messageOf(error)));
      if (typeof text !== 'number') process.stdout.write(`Parsing metrics file ${file}\n`);
      if (typeof text === 'number' || !(await target.push(text))) exitCode = 1;
      else process.stdout.write(`  SUCCESS: metrics file ${file} pushed to remote write.\n`);
    }
    return exitCode;
  } finally {
    target.close();
  }
}

async function readInput(): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

function failed(why: string): number {
  process.stderr.write(`  FAILED: ${why}\n`);
  return 1;
}

/** Where metrics are pushed to. */
class Target {
  readonly #url: string;
  readonly #http: HttpClient;
  readonly #flags: PushFlags;
  readonly #isV2: boolean;

  private constructor(url: string, http: HttpClient, flags: PushFlags, isV2: boolean) {
    this.#url = url;
    this.#http = http;
    this.#flags = flags;
    this.#isV2 = isV2;
  }

  static async open(url: string, flags: PushFlags, isV2: boolean): Promise<Target> {
    const base = URL.canParse(url) ? new URL(url) : undefined;
    if (base?.protocol !== 'http:' && base?.protocol !== 'https:') throw wrongValue(`invalid URL ${quote(url)}`);
    const file = flags['http.config.file'];
    const config = file === undefined ? defaultHttpClient() : parseHttpFile(await readFile(file, 'utf8'), file);
    if (base.username !== '' && !config.basic_auth && !config.authorization) {
      const [username, password] = [base.username, base.password].map(decodeURIComponent);
      config.basic_auth = { ...EMPTY_BASIC, username: username ?? '', password: password ?? '' };
    }
    base.username = '';
    base.password = '';
    base.pathname = posix.join(base.pathname, flags['remoteWrite.path']);
    const clock = systemClock;
    const http = new HttpClient({ config, clock, idleMs: flags.timeout, connectTimeoutMs: CONNECT_MS });
    return new Target(base.href, http, flags, isV2);
  }

  /** Pushes a text; false where it could not be, which has been said. */
  async push(text: Uint8Array): Promise<boolean> {
    try {
      const labels = this.#flags.label ?? [['job', 'promtool']];
      await this.#post(pushBody(text, labels, { isV2: this.#isV2, nowMs: systemClock.nowMs() }));
      return true;
    } catch (error) {
      failed(messageOf(error));
      return false;
    }
  }

  close(): void {
    this.#http.close();
  }

  async #post(body: Uint8Array): Promise<void> {
    let [least, most] = [BACKOFF_MIN_MS, 2 * BACKOFF_MIN_MS];
    for (let attempt = 0; ; attempt++) {
      const { why, retryAfterMs } = await this.#attempt(body, attempt);
      if (why === undefined) return;
      if (retryAfterMs === undefined || attempt >= RETRIES_MAX) throw new HttpFailure(why);
      await sleep(systemClock, least + Math.random() * (most - least) + retryAfterMs);
      [least, most] = [Math.min(2 * least, BACKOFF_MAX_MS), Math.min(2 * most, BACKOFF_MAX_MS)];
    }
  }

  /** Why a request failed, and how long to wait before another where that is of use. */
  async #attempt(body: Uint8Array, attempt: number): Promise<{ why?: string; retryAfterMs?: number }> {
    const headers = {
      'content-encoding': 'snappy',
      'content-type': this.#isV2 ? `application/x-protobuf;proto=${V2}` : 'application/x-protobuf',
      'user-agent': 'narthex-tool',
      'x-prometheus-remote-write-version': this.#isV2 ? '2.0.0' : '0.1.0',
      ...(attempt > 0 ? { 'retry-attempt': String(attempt) } : {}),
      ...Object.fromEntries((this.#flags.header ?? []).map(([name, value]) => [name.toLowerCase(), value])),
    };
    const request = {
      method: 'POST' as const,
      url: this.#url,
      headers,
      body,
      timeoutMs: this.#flags.timeout,
      maxBytes: ANSWER_BYTES_MAX,
    };
    try {
      const response = await this.#http.request(request, new AbortController().signal);
      const { status, statusText, pieces } = response;
      if (status >= 200 && status < 300) return this.#isV2 ? notWritten((name) => headerOf(response, name)) : {};
      const why = `server returned HTTP status ${`${status} ${statusText}`.trimEnd()}: ${Buffer.concat(pieces)}`;
      if (status < 500 && status !== 429) return { why };
      return { why, retryAfterMs: retryAfter(headerOf(response, 'retry-after')) };
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error;
      return { why: messageOf(error), retryAfterMs: 0 };
    }
  }
}

const EMPTY_BASIC = {
  username: '',
  username_file: '',
  username_ref: '',
  password: '',
  password_file: '',
  password_ref: '',
};

/** Success without a word of what was written is that of a receiver that speaks 1.0 only and did not look. */
function notWritten(header: (name: string) => string): { why?: string } {
  const written = ['samples', 'histograms', 'exemplars'].map((kind) =>
    header(`x-prometheus-remote-write-${kind}-written`),
  );
  if (written.some((text) => Number(text) > 0)) return {};
  return {
    why:
      'sent v2 request; got 2xx, but PRW 2.0 response header statistics indicate 0 samples, 0 histograms and 0 exemplars ' +
      'were accepted; assuming failure e.g. the target only supports PRW 1.0 prometheus.WriteRequest, but does not check ' +
      'the Content-Type header correctly',
  };
}

/** Seconds or a date, in milliseconds; 0 for neither. */
function retryAfter(text: string): number {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? 0 : Math.max(0, dateMs - systemClock.nowMs());
}
