/** Routes outside /api/v1: health, readiness, lifecycle, version, metrics and federation. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import { messageOf } from '../util/index.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { formOf } from './form.ts';
import { acceptEncoding, sendBody, sendBytes, sendText, TEXT_TYPE } from './respond.ts';
import { engineOf, readinessGate, requestSignal } from './route.ts';

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

export function managementRoutes(app: FastifyInstance, context: ApiContext): void {
  const preHandler = readinessGate(context);
  const name = context.options.isAgent ? 'Prometheus Agent' : 'Prometheus Server';
  app.get('/-/healthy', async (_request, reply) => sendText(reply, 200, `${name} is Healthy.\n`));
  app.head('/-/healthy', async (_request, reply) => reply.send());
  app.get('/-/ready', { preHandler }, async (_request, reply) => sendText(reply, 200, `${name} is Ready.\n`));
  app.head('/-/ready', { preHandler }, async (_request, reply) => reply.send());
  app.get('/version', async (_request, reply) => sendText(reply, 200, `${JSON.stringify(context.buildInfo)}\n`));
  app.get('/metrics', async (request, reply) => sendBytes(request, reply, METRICS_TYPE, await context.metricsText()));
  app.get('/federate', { preHandler }, async (request, reply) => {
    // Prometheus does not say of this one that an agent has it not.
    if (context.options.isAgent) return sendText(reply, 500, 'unsupported operation with WAL-only storage\n');
    const match = [...formOf(request).all('match[]')];
    const query = {
      match,
      timeMs: Math.trunc(context.clock.nowMs()),
      externalLabels: context.externalLabels(),
      acceptEncoding: acceptEncoding(request),
    };
    try {
      const body = await engineOf(context).federate(query, { signal: requestSignal(reply) });
      return sendBody(reply, METRICS_TYPE, body);
    } catch (thrown) {
      const error = ApiError.from(thrown);
      return sendBytes(request, reply.code(error.status), TEXT_TYPE, `${error.message}\n`);
    }
  });
  lifecycleRoutes(app, context);
}

function lifecycleRoutes(app: FastifyInstance, context: ApiContext): void {
  lifecycle(app, context, '/-/reload', async (reply) => {
    try {
      await context.reload();
      return reply.send();
    } catch (error) {
      return sendText(reply, 500, `failed to reload config: ${messageOf(error)}\n`);
    }
  });
  lifecycle(app, context, '/-/quit', async (reply) =>
    sendText(reply, 200, context.quit() ? 'Requesting termination... Goodbye!' : 'Termination already in progress.'),
  );
}

function lifecycle(
  app: FastifyInstance,
  context: ApiContext,
  url: string,
  act: (reply: FastifyReply) => Promise<FastifyReply>,
): void {
  app.get(url, async (_request, reply) => sendText(reply, 405, 'Only POST or PUT requests allowed'));
  app.route({
    method: ['POST', 'PUT'],
    url,
    handler: async (_request, reply) =>
      context.options.enableLifecycle ? act(reply) : sendText(reply, 403, 'Lifecycle API is not enabled.'),
  });
}
