/** Receivers that a flag must open and that are not there yet; remote write has a file of its own. */

import type { FastifyInstance } from 'fastify';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { sendText } from './respond.ts';

export function gatedRoutes(app: FastifyInstance, context: ApiContext): void {
  receiver(app, '/otlp/v1/metrics', {
    open: context.options.enableOtlpReceiver,
    closed: 'otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n',
  });
}

function receiver(app: FastifyInstance, url: string, gate: { open: boolean; closed: string }): void {
  app.post(url, async (_request, reply) => {
    if (!gate.open) return sendText(reply, 404, gate.closed);
    throw notThere(`the receiver ${url}`);
  });
}

function notThere(what: string): ApiError {
  return new ApiError('unavailable', `${what} is not part of this version of Narthex`, { status: 501 });
}
