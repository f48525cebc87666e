/**
 * Remote read for other servers. Requests go to the core as they came; answers come back finished, samples as one body,
 * chunks as a stream that is made no faster than the client reads. Errors are plain text, as Prometheus answers.
 */
import { once } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FrameStream, RemoteReadAnswer } from '../core/index.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { ReadGate } from './read-gate.ts';
import { piecesOf, takePieces } from './request-pieces.ts';
import { sendBody, sendText } from './respond.ts';
import { engineOf, requestSignal } from './route.ts';

/** The largest body that is taken, compressed; the core holds the decompressed one to the same. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;

const SAMPLES_TYPE = 'application/x-protobuf';
const CHUNKS_TYPE = 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse';

/** What Prometheus makes of a body that it reads only so far. */
const TOO_LARGE = 'snappy: corrupt input\n';

export function remoteReadRoute(app: FastifyInstance, context: ApiContext): void {
  const gate = new ReadGate(context.options.remoteRead.concurrentLimit, context.clock);
  context.addMetrics(() => gate.families());
  app.register(async (scope) => {
    scope.addHook('preParsing', async (_request, reply) => gate.enter(reply.raw));
    takePieces(scope, BODY_BYTES_MAX);
    scope.post('/read', (request, reply) => answer(context, request, reply));
  });
}

async function answer(context: ApiContext, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const pieces = piecesOf(request);
  if (pieces.isTooLarge) return refuse(reply, 400, TOO_LARGE);
  const { sampleLimit, maxBytesInFrame } = context.options.remoteRead;
  let made: RemoteReadAnswer;
  try {
    made = await engineOf(context).remoteRead(
      { pieces: pieces.buffers, externalLabels: context.externalLabels(), sampleLimit, maxBytesInFrame },
      { signal: requestSignal(reply) },
    );
  } catch (thrown) {
    const error = ApiError.from(thrown);
    report(context, request, error);
    // Prometheus knows no other status for what is not the request's fault.
    return refuse(reply, Math.max(error.status, 500), `${error.message}\n`);
  }
  if (made.refusal) return refuse(reply, made.refusal.status, `${made.refusal.text}\n`);
  if (made.samples) return sendBody(reply, SAMPLES_TYPE, made.samples);
  if (!made.chunks) throw new TypeError('an answer of remote read is one of three');
  reply.hijack();
  await stream(reply.header('content-type', CHUNKS_TYPE), made.chunks).catch((thrown: unknown) => {
    report(context, request, ApiError.from(thrown));
    // An end as usual would make the client take what it has for the whole answer.
    reply.raw.destroy();
  });
  return reply;
}

/** Sends frames as the client takes them. */
async function stream(reply: FastifyReply, chunks: FrameStream): Promise<void> {
  const { raw } = reply;
  const gone = new AbortController();
  const end = () => {
    gone.abort();
    chunks.close();
  };
  raw.once('close', end);
  if (raw.destroyed) return end();
  raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
  try {
    for (let piece = await chunks.next(); piece !== null; piece = await chunks.next()) {
      if (!raw.write(piece)) await once(raw, 'drain', { signal: gone.signal });
    }
    raw.end();
  } catch (error) {
    // Whoever has gone away needs no answer.
    if (!gone.signal.aborted) throw error;
  } finally {
    chunks.close();
  }
}

function report(context: ApiContext, request: FastifyRequest, error: ApiError): void {
  if (error.errorType === 'canceled') return;
  context.onInternalError(error, { method: request.method, url: request.url });
}

function refuse(reply: FastifyReply, status: number, text: string): FastifyReply {
  return sendText(reply.header('x-content-type-options', 'nosniff'), status, text);
}
