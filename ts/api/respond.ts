/** Answers: Prometheus' JSON envelope, compression, and bodies that the core hands out in pieces. */

import type { OutgoingHttpHeaders } from 'node:http';
import { deflateSync, gzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Body } from '../core/engine.ts';
import type { ApiError } from './errors.ts';
import { writePieces } from './pieces.ts';

export const JSON_TYPE = 'application/json';
export const TEXT_TYPE = 'text/plain; charset=utf-8';

/** Below this, compression costs more than it saves. */
const COMPRESS_MIN_BYTES = 256;
/** Above this, compressing would hold the event loop for longer than a client gains. */
const COMPRESS_MAX_BYTES = 4 * 1024 * 1024;

/** A body up to this length is sent at once. */
const WHOLE_MAX_BYTES = 64 * 1024;

/** The error envelope. */
export function errorEnvelope(error: ApiError): string {
  return JSON.stringify({ status: 'error', errorType: error.errorType, error: error.message });
}

export function sendError(request: FastifyRequest, reply: FastifyReply, error: ApiError): FastifyReply {
  return sendBytes(request, reply.code(error.status), JSON_TYPE, errorEnvelope(error));
}

/** The success envelope around a value. */
export function sendData(request: FastifyRequest, reply: FastifyReply, data: unknown): FastifyReply {
  return sendRawData(request, reply, JSON.stringify(data));
}

/** The success envelope around text that is JSON already. */
export function sendRawData(request: FastifyRequest, reply: FastifyReply, json: string): FastifyReply {
  return sendBytes(request, reply, JSON_TYPE, `{"status":"success","data":${json}}`);
}

/** Plain text, uncompressed, as the management routes answer. */
export function sendText(reply: FastifyReply, status: number, body: string): FastifyReply {
  return reply.code(status).header('content-type', TEXT_TYPE).send(Buffer.from(body));
}

/** A whole answer, compressed where the client allows it and it pays. */
export function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  contentType: string,
  body: string,
): FastifyReply {
  let bytes: Buffer = Buffer.from(body);
  reply.header('content-type', contentType);
  vary(reply, 'Accept-Encoding');
  const encoding = bytes.length < COMPRESS_MIN_BYTES ? '' : acceptedEncoding(request);
  if (encoding !== '' && bytes.length <= COMPRESS_MAX_BYTES) {
    bytes = encoding === 'gzip' ? gzipSync(bytes, { level: 1 }) : deflateSync(bytes, { level: 1 });
    reply.header('content-encoding', encoding);
  }
  return reply.send(bytes);
}

/** A body of the core, pulled as fast as the client reads. */
export function sendBody(reply: FastifyReply, contentType: string, body: Body): FastifyReply {
  reply.header('content-type', contentType).header('content-length', body.byteLength);
  vary(reply, 'Accept-Encoding');
  if (body.contentEncoding !== '') reply.header('content-encoding', body.contentEncoding);
  if (body.byteLength <= WHOLE_MAX_BYTES) {
    const bytes = Buffer.allocUnsafe(body.byteLength);
    body.read(bytes);
    return reply.send(bytes);
  }
  reply.hijack();
  reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
  writePieces(reply.raw, body);
  return reply;
}

/** All of a body as text; for answers that are small by nature. */
export function bodyText(body: Body): string {
  const pieces: Uint8Array[] = [];
  for (let piece = body.next(); piece !== null; piece = body.next()) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

/** Adds a name to the Vary header. */
export function vary(reply: FastifyReply, name: string): void {
  const present = reply.getHeader('vary');
  if (present === undefined) reply.header('vary', name);
  else if (!String(present).includes(name)) reply.header('vary', `${String(present)}, ${name}`);
}

/** The client's Accept-Encoding, '' where it sent none. */
export function acceptEncoding(request: FastifyRequest): string {
  const header = request.headers['accept-encoding'];
  return Array.isArray(header) ? header.join(',') : (header ?? '');
}

/** The first of gzip and deflate that the client names, without weights, as Prometheus chooses. */
function acceptedEncoding(request: FastifyRequest): '' | 'gzip' | 'deflate' {
  for (const item of acceptEncoding(request).split(',')) {
    const name = item.trim();
    if (name === 'gzip' || name === 'deflate') return name;
  }
  return '';
}
