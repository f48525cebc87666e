/** One connection that speaks HTTP/2: requests share it, and those that it cannot take any more go to another. */

import { STATUS_CODES } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { quote } from '../util/index.ts';
import type { Destination } from './destination.ts';
import { DEADLINE_EXCEEDED } from './go-errors.ts';
import type { ResponseCollector, Sent } from './response-collector.ts';

/** Bytes of one response, and of all together, that may be on their way. */
const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
const SESSION_WINDOW_BYTES = 16 * 1024 * 1024;

/** Error codes of HTTP/2 by their number (RFC 9113, section 7). */
const CODES = [
  'NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR',
  'REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED',
].flatMap((line) => line.split(' '));

const codeName = (code: number): string => CODES[code] ?? `unknown error code 0x${code.toString(16)}`;

export class H2Session {
  readonly #session: ClientHttp2Session;
  #isRetired = false;
  #streams = 0;
  /** What the other side said when it announced the end. */
  #farewell = '';

  /** Takes over a connection to the host of `origin`. `onGone` is called once it takes no more requests. */
  constructor(socket: Duplex, origin: string, idleMs: number, onGone: () => void) {
    const session = connect(origin, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
    });
    this.#session = session;
    session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
    session.on('goaway', (code, lastStream, data) => {
      const debug = data === undefined ? '' : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString();
      const what = `LastStreamID=${lastStream}, ErrCode=${codeName(code)}, debug=${quote(debug)}`;
      this.#farewell = `http2: server sent GOAWAY and closed the connection; ${what}`;
      this.#isRetired = true;
      onGone();
    });
    session.on('error', () => undefined);
    session.once('close', onGone);
    session.setTimeout(idleMs, () => {
      if (this.#streams === 0) session.close();
    });
  }

  /** Whether it takes requests. */
  get isOpen(): boolean {
    return !this.#isRetired && !this.#session.closed && !this.#session.destroyed;
  }

  /** Sends a request; the collector hears of the answer. */
  send(to: Destination, { method, headers, body }: Sent, collector: ResponseCollector): void {
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request(
        {
          ...headers,
          ':method': method,
          ':scheme': to.protocol.slice(0, -1),
          ':authority': to.host,
          ':path': to.path,
          ...(body !== undefined && { 'content-length': String(body.byteLength) }),
        },
        { endStream: body === undefined },
      );
    } catch (error) {
      collector.giveUp(error instanceof Error ? error : new Error(String(error)), true);
      return;
    }
    this.#streams++;
    if (body !== undefined) stream.end(body);
    this.#listen(stream, collector);
  }

  /** Lets the requests under way end, and takes no others. */
  close(): void {
    this.#isRetired = true;
    this.#session.close();
  }

  /** Ends at once. */
  destroy(): void {
    this.#session.destroy();
  }

  #listen(stream: ClientHttp2Stream, collector: ResponseCollector): void {
    let responded = false;
    let received = 0;
    let expected = -1;
    const controller = {
      abort: (reason: Error): void => {
        stream.close(constants.NGHTTP2_CANCEL);
        // A connection on which nothing came may be dead: the next request must not wait for it, too.
        if (!responded && reason.message === DEADLINE_EXCEEDED) this.close();
      },
    };
    collector.onRequestStart(controller);
    stream.once('response', (headers: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      responded = true;
      const status = headers[':status'] ?? 0;
      expected = Number(headers['content-length'] ?? -1);
      collector.onResponseStart(controller, status, headers, STATUS_CODES[status]);
    });
    stream.on('data', (piece: Buffer) => {
      received += piece.byteLength;
      collector.onResponseData(controller, piece);
    });
    stream.on('error', () => undefined);
    stream.once('close', () => {
      this.#streams--;
      const code = stream.rstCode;
      if (code === constants.NGHTTP2_NO_ERROR && responded && (expected < 0 || expected === received)) {
        collector.onResponseEnd();
      } else {
        collector.giveUp(new Error(this.#failure(stream, code)), code === constants.NGHTTP2_REFUSED_STREAM);
      }
    });
  }

  #failure(stream: ClientHttp2Stream, code: number): string {
    if (this.#session.destroyed) return this.#farewell || 'unexpected EOF';
    if (code === constants.NGHTTP2_NO_ERROR) return 'unexpected EOF';
    return `stream error: stream ID ${stream.id ?? 0}; ${codeName(code)}; received from peer`;
  }
}
