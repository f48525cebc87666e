/**
 * The receiver of remote write. Bodies go to the core as they came, in the pieces they came in: nothing here looks
 * into them. Answers are plain text, as senders log them.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RemoteWriteReport } from '../core/engine.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { piecesOf, takePieces } from './request-pieces.ts';
import { sendText } from './respond.ts';
import { engineOf } from './route.ts';

/** The largest body that is taken, compressed; the core holds the decompressed one to the same. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;

const CLOSED = 'remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n';
const TOO_LARGE = `request body exceeds the ${BODY_BYTES_MAX} bytes limit\n`;

const REFUSAL_STATUS = { 'media-type': 415, 'too-large': 413, invalid: 400 } as const;

export function remoteWriteRoute(app: FastifyInstance, context: ApiContext): void {
  app.register(async (scope) => {
    takePieces(scope, BODY_BYTES_MAX);
    scope.post('/write', async (request, reply) => {
      if (!context.options.enableRemoteWriteReceiver) return sendText(reply, 404, CLOSED);
      return receive(context, request, reply);
    });
  });
}

async function receive(context: ApiContext, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const pieces = piecesOf(request);
  if (pieces.isTooLarge) return refuse(reply, 413, TOO_LARGE);
  let report: RemoteWriteReport;
  try {
    report = await engineOf(context).ingestRemoteWrite({
      pieces: pieces.buffers,
      contentType: request.headers['content-type'] ?? '',
      contentEncoding: request.headers['content-encoding'] ?? '',
      accepted: context.options.remoteWriteMessages,
    });
  } catch (thrown) {
    const error = ApiError.from(thrown);
    if (error.errorType === 'internal') {
      context.onInternalError(error, { method: request.method, url: request.url });
    }
    return refuse(reply, error.status, `${error.message}\n`);
  }
  if (report.hasCounts) {
    reply.header('X-Prometheus-Remote-Write-Samples-Written', report.samples);
    reply.header('X-Prometheus-Remote-Write-Histograms-Written', report.histograms);
    reply.header('X-Prometheus-Remote-Write-Exemplars-Written', report.exemplars);
  }
  if (report.refusal) return refuse(reply, REFUSAL_STATUS[report.refusal.kind], `${report.refusal.text}\n`);
  return reply.code(204).send();
}

function refuse(reply: FastifyReply, status: number, text: string): FastifyReply {
  return sendText(reply.header('x-content-type-options', 'nosniff'), status, text);
}
