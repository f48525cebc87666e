/** /api/v1/status/*, features. */

import type { FastifyInstance } from 'fastify';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { type Form, formOf } from './form.ts';
import { plainNumber } from './params.ts';
import { bodyText, sendData, sendRawData } from './respond.ts';
import { engineOf } from './route.ts';

const DEFAULT_TSDB_LIMIT = 10;
const MAX_TSDB_LIMIT = 10_000;

export function statusRoutes(app: FastifyInstance, context: ApiContext): void {
  app.get('/status/config', async (request, reply) => sendData(request, reply, { yaml: context.configYaml() }));
  app.get('/status/runtimeinfo', async (request, reply) => sendData(request, reply, await context.runtimeInfo()));
  app.get('/status/buildinfo', async (request, reply) => sendData(request, reply, context.buildInfo));
  app.get('/status/flags', async (request, reply) => sendData(request, reply, context.flags));
  app.get('/features', async (request, reply) => sendData(request, reply, features(context)));
}

/** What there is to say about the database, where there is one. */
export function databaseRoutes(app: FastifyInstance, context: ApiContext): void {
  app.get('/status/tsdb', async (request, reply) => {
    const limit = tsdbLimit(formOf(request));
    const body = await engineOf(context).statusTsdbJson(limit);
    return sendRawData(request, reply, bodyText(body));
  });
  app.get('/status/tsdb/blocks', async (request, reply) => {
    const metas = engineOf(context)
      .blocks()
      .map((block) => block.metaJson);
    return sendRawData(request, reply, `{"blocks":[${metas.join(',')}]}`);
  });
}

/** The one status route that answers while the log is replayed. */
export function replayRoute(app: FastifyInstance, context: ApiContext): void {
  app.get('/status/walreplay', async (request, reply) => sendData(request, reply, context.walReplay()));
}

function tsdbLimit(form: Form): number {
  const fault = 'limit must be a positive number';
  const limit = plainNumber(fault)(form, 'limit') ?? DEFAULT_TSDB_LIMIT;
  if (limit < 1) throw ApiError.badData(fault);
  if (limit > MAX_TSDB_LIMIT) throw ApiError.badData(`limit must not exceed ${MAX_TSDB_LIMIT}`);
  return limit;
}

function features({ options }: ApiContext): object {
  return {
    api: {
      admin: options.enableAdminApi,
      label_values_match: true,
      lifecycle: options.enableLifecycle,
      otlp_write_receiver: options.enableOtlpReceiver,
      query_stats: true,
      query_warnings: true,
      remote_write_receiver: options.enableRemoteWriteReceiver,
      time_range_labels: true,
      time_range_series: true,
    },
    prometheus: { agent_mode: options.isAgent, server_mode: !options.isAgent },
  };
}
