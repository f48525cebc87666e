/**
 * Collects one response without a stream in between: the pieces of the body are kept as they come
 * from the socket.
 */

import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

/** A response with its body in pieces. */
export interface CollectedResponse {
  status: number;
  statusText: string;
  headers: IncomingHttpHeaders;
  pieces: Buffer[];
  byteLength: number;
}

/** A request that failed, and whether a response had begun. */
export class CollectError extends Error {
  override readonly name = 'CollectError';
  readonly code = 'REQUEST_FAILED';
  override readonly cause: Error;
  readonly responded: boolean;

  constructor(cause: Error, responded: boolean) {
    super(cause.message, { cause });
    this.cause = cause;
    this.responded = responded;
  }
}

/** How one response is collected. */
export interface CollectOptions {
  /** More bytes than this are not read; the response then ends early. */
  maxBytes: number;
  /** Gives up with this error. */
  onAbort(abort: (reason: Error) => void): void;
}

/** What is sent. */
export interface Sent {
  method: 'GET' | 'POST';
  headers: Record<string, string | string[]>;
  body?: Uint8Array;
}

/** Sends a request and collects the response. @throws CollectError */
export function collect(
  dispatcher: Dispatcher,
  url: URL,
  sent: Sent,
  options: CollectOptions,
): Promise<CollectedResponse> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let response: CollectedResponse | undefined;
    let ended = false;
    const fail = (error: Error): void => {
      if (ended) return;
      ended = true;
      reject(new CollectError(error, response !== undefined));
      controller?.abort(error);
    };
    options.onAbort(fail);
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started;
        if (ended) started.abort(new Error('request was given up'));
      },
      onResponseStart(_, status, received, statusText = '') {
        if (status < 200) return;
        response = { status, statusText, headers: received, pieces: [], byteLength: 0 };
      },
      onResponseData(current, chunk) {
        if (!response || ended) return;
        response.pieces.push(chunk);
        response.byteLength += chunk.byteLength;
        if (response.byteLength <= options.maxBytes) return;
        ended = true;
        resolve(response);
        current.abort(new Error('body is too large'));
      },
      onResponseEnd() {
        if (ended || !response) return;
        ended = true;
        resolve(response);
      },
      onResponseError(_, error) {
        fail(error);
      },
    };
    try {
      dispatcher.dispatch({ origin: url.origin, path: url.pathname + url.search, ...sent }, handler);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
}
