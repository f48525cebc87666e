/** Cross-origin headers for browsers, as Prometheus sets them on /api/v1. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiOptions } from './context.ts';
import { vary } from './respond.ts';

const HEADERS = {
  'access-control-allow-headers': 'Accept, Authorization, Content-Type, Origin',
  'access-control-allow-methods': 'GET, POST, OPTIONS',
  'access-control-expose-headers': 'Date',
};

/** An `onRequest` hook. */
export function corsHook(options: Pick<ApiOptions, 'corsOrigin'>) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    vary(reply, 'Origin');
    const { origin } = request.headers;
    if (origin === undefined || origin === '') return;
    reply.headers(HEADERS);
    if (options.corsOrigin.test(origin)) reply.header('access-control-allow-origin', origin);
  };
}
