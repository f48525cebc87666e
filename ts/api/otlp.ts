/**
 * The receiver of OTLP metrics over HTTP. Bodies, protobuf or JSON, go to the core as they came. Answers are those of
 * Prometheus: an empty 200, or a reason as plain text.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OtlpReport } from '../core/engine.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { piecesOf, takePieces } from './request-pieces.ts';
import { sendText } from './respond.ts';
import { engineOf } from './route.ts';

/** The largest body that is taken, compressed; the core holds the decompressed one to the same. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;

const CLOSED = 'otlp write receiver needs to be enabled with --web.enable-otlp-receiver';
const TOO_LARGE = `request body exceeds the ${BODY_BYTES_MAX} bytes limit`;

export function otlpRoute(app: FastifyInstance, context: ApiContext): void {
  app.register(async (scope) => {
    takePieces(scope, BODY_BYTES_MAX);
    scope.post('/otlp/v1/metrics', async (request, reply) => {
      if (!context.options.enableOtlpReceiver) return refuse(reply, 404, CLOSED);
      return receive(context, request, reply);
    });
  });
}

async function receive(context: ApiContext, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const pieces = piecesOf(request);
  if (pieces.isTooLarge) return refuse(reply, 400, TOO_LARGE);
  let report: OtlpReport;
  try {
    report = await engineOf(context).ingestOtlp({
      pieces: pieces.buffers,
      contentType: request.headers['content-type'] ?? '',
      contentEncoding: request.headers['content-encoding'] ?? '',
    });
  } catch (thrown) {
    const error = ApiError.from(thrown);
    if (error.errorType === 'internal') {
      context.onInternalError(error, { method: request.method, url: request.url });
    }
    return refuse(reply, error.status, error.message);
  }
  if (report.refusal) return refuse(reply, report.refusal.isBadRequest ? 400 : 500, report.refusal.text);
  return reply.code(200).send();
}

function refuse(reply: FastifyReply, status: number, text: string): FastifyReply {
  return sendText(reply.header('x-content-type-options', 'nosniff'), status, `${text}\n`);
}
