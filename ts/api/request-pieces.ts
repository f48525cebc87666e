/** Bodies that go to the core as they came, in the pieces they came in. */

import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** A body in pieces. */
export class Pieces {
  readonly buffers: Buffer[] = [];
  isTooLarge = false;
}

/** In this scope, which must be one of its own, bodies of every media type stay bytes, `bytesMax` at most. */
export function takePieces(scope: FastifyInstance, bytesMax: number): void {
  scope.removeAllContentTypeParsers();
  const parse = async (_request: FastifyRequest, payload: IncomingMessage) => collect(payload, bytesMax);
  scope.addContentTypeParser('*', parse);
}

/** The body of a request in such a scope; empty where there is none. */
export function piecesOf(request: FastifyRequest): Pieces {
  return request.body instanceof Pieces ? request.body : new Pieces();
}

async function collect(payload: IncomingMessage, bytesMax: number): Promise<Pieces> {
  const pieces = new Pieces();
  let bytes = 0;
  for await (const chunk of payload) {
    bytes += (chunk as Buffer).length;
    // The rest of a body that is too large is read and dropped: closing on it would reset the answer away.
    pieces.isTooLarge ||= bytes > bytesMax;
    if (pieces.isTooLarge) pieces.buffers.length = 0;
    else pieces.buffers.push(chunk as Buffer);
  }
  return pieces;
}
