/**
 * The fastify instance with all routes. It listens on nothing itself: the server hands requests to
 * `app.routing`. What fastify's defaults would refuse and Prometheus takes is set right here.
 */

import formbody from '@fastify/formbody';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { adminRoutes } from './admin.ts';
import type { ApiContext } from './context.ts';
import { corsHook } from './cors.ts';
import { ApiError } from './errors.ts';
import { OtherBody, parseForm, parseMultipart } from './form.ts';
import { managementRoutes } from './management.ts';
import { otlpRoute } from './otlp.ts';
import { pageRoutes } from './page.ts';
import { queryRoutes } from './query.ts';
import { remoteReadRoute } from './remote-read.ts';
import { remoteWriteRoute } from './remote-write.ts';
import { sendError, vary } from './respond.ts';
import { readinessGate, serverOnly } from './route.ts';
import { RouteTable } from './route-table.ts';
import { ruleRoutes } from './rules.ts';
import { seriesRoutes } from './series.ts';
import { databaseRoutes, replayRoute, statusRoutes } from './status.ts';
import { targetRoutes } from './targets.ts';

/** How long a body may be; the same as with Prometheus. */
const BODY_BYTES_MAX = 10 * 1024 * 1024;

/** No route has a schema; given these, fastify leaves its compilers, half of its code, unloaded. */
const noSchemas = {
  buildValidator: () => () => {
    throw new TypeError('routes have no schemas');
  },
  buildSerializer: () => () => {
    throw new TypeError('routes have no schemas');
  },
};

/** Builds the instance and all its routes; ready to take requests. */
export async function createApp(context: ApiContext): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    exposeHeadRoutes: false,
    schemaController: { compilersFactory: noSchemas },
    forceCloseConnections: true,
    routerOptions: {
      ignoreTrailingSlash: true,
      ignoreDuplicateSlashes: true,
      maxParamLength: context.options.headerBytesMax,
      querystringParser: (query) => parseForm(query) as never,
    },
    frameworkErrors: (error, request, reply) => {
      sendError(request, reply, ApiError.from(error));
    },
  });
  await bodyParsers(app);
  const table = new RouteTable(context.options.routePrefix);
  app.addHook('onRoute', (route) => {
    const handler = table.add(route.url, route.method);
    if (handler !== undefined) context.onRoute(handler);
  });
  app.addHook('onResponse', async (request, reply) => {
    const handler = table.handlerName(request.routeOptions.url);
    if (handler !== undefined) context.onAnswer(record(handler, reply));
  });
  app.setErrorHandler((thrown, request, reply) => answerError(context, thrown, request, reply));
  app.setNotFoundHandler((request, reply) => answerUnknown(table, request, reply));
  await app.register(async (prefixed) => routes(prefixed, context), { prefix: prefixOf(context) });
  if (context.options.routePrefix !== '/') {
    app.get('/', async (_request, reply) => reply.redirect(context.options.routePrefix, 302));
  }
  await app.ready();
  return app;
}

function prefixOf(context: ApiContext): string {
  return context.options.routePrefix === '/' ? '' : context.options.routePrefix;
}

async function bodyParsers(app: FastifyInstance): Promise<void> {
  app.removeAllContentTypeParsers();
  await app.register(formbody, { bodyLimit: BODY_BYTES_MAX, parser: (text) => parseForm(text) as never });
  app.addContentTypeParser(
    'multipart/form-data',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => parseMultipart(body, request.headers['content-type'] ?? ''),
  );
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => new OtherBody(request.headers['content-type'] ?? '', body.length),
  );
}

async function routes(app: FastifyInstance, context: ApiContext): Promise<void> {
  managementRoutes(app, context);
  pageRoutes(app, context);
  await app.register(
    async (api) => {
      api.addHook('onRequest', corsHook(context.options));
      api.options('/*', async (_request, reply) => {
        vary(reply, 'Accept-Encoding');
        return reply.code(204).send();
      });
      replayRoute(api, context);
      await api.register(async (gated) => {
        gated.addHook('preHandler', readinessGate(context));
        await gated.register(async (served) => {
          served.addHook('preHandler', serverOnly(context));
          queryRoutes(served, context);
          seriesRoutes(served, context);
          ruleRoutes(served, context);
          databaseRoutes(served, context);
          adminRoutes(served, context);
        });
        targetRoutes(gated, context);
        statusRoutes(gated, context);
        remoteReadRoute(gated, context);
        remoteWriteRoute(gated, context);
        otlpRoute(gated, context);
      });
    },
    { prefix: '/api/v1' },
  );
}

function record(handler: string, reply: FastifyReply) {
  return {
    handler,
    code: reply.statusCode,
    durationSeconds: reply.elapsedTime / 1000,
    responseBytes: Number(reply.getHeader('content-length') ?? 0),
  };
}

function answerError(context: ApiContext, thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = ApiError.from(thrown);
  if (error.errorType === 'internal') {
    context.onInternalError(error, { method: request.method, url: request.url });
  }
  // The rest of an oversized body is read and dropped: closing on it would reset the answer away.
  if (error.status === 413) reply.removeHeader('connection');
  return sendError(request, reply, error);
}

/** Where the path is known with other methods: what they are, for OPTIONS as an answer; else 404. */
function answerUnknown(table: RouteTable, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? '';
  const allowed = table.methods(path).join(', ');
  if (allowed === '') return sendError(request, reply, new ApiError('not_found', `404 page not found: ${path}`));
  reply.header('allow', allowed);
  if (request.method === 'OPTIONS') return reply.code(200).send();
  const message = `Method Not Allowed: ${request.method} is not allowed here, use ${allowed}`;
  return sendError(request, reply, new ApiError('bad_data', message, { status: 405 }));
}
