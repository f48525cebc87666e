/** How a route is put together: readiness, the engine, cancellation, one place for each. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CallOptions, Engine } from '../core/engine.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { sendText } from './respond.ts';

/** 503 with Prometheus' text until the server is ready; a `preHandler` hook. */
export function readinessGate(context: ApiContext) {
  return async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const readiness = context.readiness();
    if (readiness === 'ready') return undefined;
    reply.header('x-prometheus-stopping', String(readiness === 'stopping'));
    return sendText(reply, 503, 'Service Unavailable');
  };
}

/** 422 with Prometheus' text where the server is an agent, which has no such thing; a `preHandler` hook. */
export function serverOnly(context: ApiContext) {
  return async (): Promise<void> => {
    if (context.options.isAgent) throw new ApiError('execution', 'unavailable with Prometheus Agent');
  };
}

/** The open engine; behind the readiness gate it is there. */
export function engineOf(context: ApiContext): Engine {
  const engine = context.engine();
  if (engine === undefined) throw new ApiError('unavailable', 'TSDB not ready', { status: 503 });
  return engine;
}

/** Ends a call when the client goes away, and has it ask other servers too where the configuration names any. */
export function askOptions(context: ApiContext, reply: FastifyReply): CallOptions {
  const remote = context.remoteReader();
  const signal = requestSignal(reply);
  return remote === undefined ? { signal } : { signal, remote };
}

/** Aborts when the client goes away before the answer is out. */
export function requestSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
