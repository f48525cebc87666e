/**
 * Collects one response without a stream in between: the pieces of the body are kept as they come from the socket.
 * It is told of the response by whoever sent the request, in the terms of undici's handlers.
 */

import type { IncomingHttpHeaders } from 'node:http';

/** Of a body that nobody wants so much is read, so that its connection can be kept. */
const UNWANTED_BYTES_MAX = 256 * 1024;

/** A response with its body in pieces. */
export interface CollectedResponse {
  status: number;
  statusText: string;
  headers: IncomingHttpHeaders;
  pieces: Buffer[];
  byteLength: number;
}

/** A request that failed. */
export class CollectError extends Error {
  override readonly name = 'CollectError';
  readonly code = 'REQUEST_FAILED';
  override readonly cause: Error;
  /** Whether a response had begun. */
  readonly responded: boolean;
  /** Whether the other side said that it did nothing with the request. */
  readonly refused: boolean;

  constructor(cause: Error, responded: boolean, refused = false) {
    super(cause.message, { cause });
    this.cause = cause;
    this.responded = responded;
    this.refused = refused;
  }
}

/** What is sent. */
export interface Sent {
  method: 'GET' | 'POST';
  headers: Readonly<Record<string, string | string[]>>;
  body: Uint8Array | undefined;
}

/** How one response is collected. */
export interface CollectOptions {
  /** More bytes than this are not read; the response then ends early. */
  maxBytes: number;
  /** Whether the body of an answer with this status is wanted; others are not kept. */
  keeps(status: number): boolean;
}

/** How the request is given up. */
interface Controller {
  abort(reason: Error): void;
}

export class ResponseCollector {
  /** Settles with the response; rejects with a CollectError. */
  readonly promise: Promise<CollectedResponse>;
  /** Called when it is about to settle, with whether the answer came to its end: otherwise its connection goes. */
  onSettled: ((isWhole: boolean) => void) | undefined;
  readonly #options: CollectOptions;
  #resolve: (response: CollectedResponse) => void = () => undefined;
  #reject: (error: CollectError) => void = () => undefined;
  #controller: Controller | undefined;
  #response: CollectedResponse | undefined;
  #maxBytes = 0;
  #isKept = false;
  #ended = false;

  constructor(options: CollectOptions) {
    this.#options = options;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Gives up with this error. */
  giveUp(error: Error, refused = false): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reject(new CollectError(error, this.#response !== undefined, refused));
    this.#controller?.abort(error);
    this.onSettled?.(false);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#ended) controller.abort(new Error('request was given up'));
  }

  onResponseStart(_: Controller, status: number, headers: IncomingHttpHeaders, statusText = ''): void {
    if (status < 200) return;
    this.#response = { status, statusText, headers, pieces: [], byteLength: 0 };
    this.#isKept = this.#options.keeps(status);
    this.#maxBytes = this.#isKept ? this.#options.maxBytes : UNWANTED_BYTES_MAX;
  }

  onResponseData(controller: Controller, piece: Buffer): void {
    const response = this.#response;
    if (!response || this.#ended) return;
    if (this.#isKept) response.pieces.push(piece);
    response.byteLength += piece.byteLength;
    if (response.byteLength <= this.#maxBytes) return;
    this.#ended = true;
    this.#resolve(response);
    controller.abort(new Error('body is too large'));
    this.onSettled?.(false);
  }

  onResponseEnd(): void {
    if (this.#ended || !this.#response) return;
    this.#ended = true;
    this.#resolve(this.#response);
    this.onSettled?.(true);
  }

  onResponseError(_: Controller, error: Error): void {
    this.giveUp(error);
  }
}
