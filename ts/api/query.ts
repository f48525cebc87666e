/** /api/v1/query, query_range, query_exemplars, format_query and parse_query. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Body, CallOptions, InstantQuery, QueryLimits, RangeQuery } from '../core/engine.ts';
import { EngineError } from '../core/errors.ts';
import { messageOf } from '../util/index.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { formOf } from './form.ts';
import {
  limit,
  lookbackDelta,
  openEnd,
  openStart,
  type Param,
  parseGoBool,
  readParams,
  requiredTime,
  step,
  text,
  time,
  timeout,
} from './params.ts';
import { costLimits, wantsCost } from './query-cost.ts';
import { acceptEncoding, JSON_TYPE, sendBody, sendData, sendRawData } from './respond.ts';
import { askOptions, engineOf, requestSignal } from './route.ts';

/** Points per series that a range query may ask for: a week by the minute, a year by the hour. */
const MAX_POINTS = 11_000;

const GET_POST = ['GET', 'POST'];

export function queryRoutes(app: FastifyInstance, context: ApiContext): void {
  app.route({ method: GET_POST, url: '/query', handler: instantQuery(context, answerOf(context)) });
  app.route({ method: GET_POST, url: '/query_range', handler: rangeQuery(context, answerOf(context)) });
  if (context.queryCeilings() !== undefined) {
    app.route({ method: GET_POST, url: '/query_cost', handler: instantQuery(context, costOf(context)) });
    app.route({ method: GET_POST, url: '/query_range_cost', handler: rangeQuery(context, costOf(context)) });
  }
  app.route({ method: GET_POST, url: '/query_exemplars', handler: exemplars(context) });
  app.route({ method: GET_POST, url: '/format_query', handler: formatQuery(context) });
  app.route({ method: GET_POST, url: '/parse_query', handler: parseQuery(context) });
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

interface LimitParams {
  limit: number;
  timeout: number | undefined;
  lookback_delta: number | undefined;
  stats: string;
}

/** What is done with a query once it is read. */
type Ask = (query: InstantQuery | RangeQuery, options: CallOptions) => Promise<Body>;

function answerOf(context: ApiContext): Ask {
  return (query, options) => {
    const engine = engineOf(context);
    return 'timeMs' in query ? engine.queryJson(query, options) : engine.queryRangeJson(query, options);
  };
}

/** The parameters that only shape an answer are checked and have no effect. */
function costOf(context: ApiContext): Ask {
  return ({ compareCostMs: _, ...query }, options) =>
    engineOf(context).queryCostJson(query, context.scrapeIntervalMs(), options);
}

function instantQuery(context: ApiContext, ask: Ask): Handler {
  const spec = {
    limit,
    time: time(() => Math.trunc(context.clock.nowMs())),
    timeout,
    lookback_delta: lookbackDelta,
    stats: text,
    query: text,
  };
  return async (request, reply) => {
    const params = readParams(spec, formOf(request));
    const limits = queryLimits(request, params, context);
    const body = await named('query', () =>
      ask({ query: params.query, timeMs: params.time, ...limits }, askOptions(context, reply)),
    );
    return sendBody(reply, JSON_TYPE, body);
  };
}

function rangeQuery(context: ApiContext, ask: Ask): Handler {
  const window = { limit, start: requiredTime, end: endAfterStart, step };
  const rest = { timeout, lookback_delta: lookbackDelta, stats: text, query: text };
  return async (request, reply) => {
    const form = formOf(request);
    const { start, end, step: stepMs, limit: count } = readParams(window, form);
    if (Math.floor((end - start) / stepMs) > MAX_POINTS) {
      throw ApiError.badData(
        'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
      );
    }
    const params = { limit: count, ...readParams(rest, form) };
    const limits = queryLimits(request, params, context);
    const query = { query: params.query, startMs: start, endMs: end, stepMs: Math.max(1, Math.trunc(stepMs)) };
    const body = await named('query', () => ask({ ...query, ...limits }, askOptions(context, reply)));
    return sendBody(reply, JSON_TYPE, body);
  };
}

/** The end of a range query; it must not lie before the start. */
const endAfterStart: Param<number> = (form, name) => {
  const end = requiredTime(form, name);
  if (end >= requiredTime(form, 'start')) return end;
  throw ApiError.invalidParameter(name, 'end timestamp must not be before start time');
};

function exemplars(context: ApiContext): Handler {
  const spec = { start: openStart, end: openEnd, query: text };
  return async (request, reply) => {
    const { start, end, query } = readParams(spec, formOf(request));
    if (end < start) throw ApiError.badData('end timestamp must not be before start timestamp');
    const body = await engineOf(context).exemplarsJson(
      { query, startMs: start, endMs: end, acceptEncoding: acceptEncoding(request) },
      { signal: requestSignal(reply) },
    );
    return body === null ? reply.code(204).send() : sendBody(reply, JSON_TYPE, body);
  };
}

function formatQuery(context: ApiContext): Handler {
  return async (request, reply) => {
    const { query } = readParams({ query: text }, formOf(request));
    const formatted = await named('query', () => engineOf(context).formatQuery(query));
    return sendData(request, reply, formatted);
  };
}

function parseQuery(context: ApiContext): Handler {
  return async (request, reply) => {
    const { query } = readParams({ query: text }, formOf(request));
    const tree = await named('query', () => engineOf(context).parseQueryJson(query));
    return sendRawData(request, reply, tree);
  };
}

function queryLimits(request: FastifyRequest, params: LimitParams, context: ApiContext): QueryLimits {
  checkStartTimestampsHeader(request);
  const form = formOf(request);
  const limits: QueryLimits = {
    limit: params.limit,
    acceptEncoding: acceptEncoding(request),
    origin: { clientIP: request.ip, method: request.method, path: request.url.replace(/\?.*/s, '') },
    ...costLimits(form, context),
  };
  if (wantsCost(form, context)) limits.compareCostMs = context.scrapeIntervalMs();
  if (params.timeout !== undefined) limits.timeoutMs = Math.ceil(params.timeout);
  if (params.lookback_delta !== undefined) limits.lookbackDeltaMs = Math.max(1, Math.trunc(params.lookback_delta));
  if (params.stats !== '') limits.stats = params.stats;
  return limits;
}

function checkStartTimestampsHeader(request: FastifyRequest): void {
  const value = request.headers['x-prometheus-use-start-timestamps'];
  if (typeof value !== 'string' || value === '') return;
  try {
    parseGoBool(value);
  } catch (error) {
    throw ApiError.badData(`error parsing X-Prometheus-Use-Start-Timestamps header: ${messageOf(error)}`, error);
  }
}

/** Runs a call of the engine; a query or selector it cannot read becomes the fault of `parameter`. */
export async function named<T>(parameter: string, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const isCoded = error instanceof EngineError || error instanceof ApiError;
    if (isCoded && error.errorType === 'bad_data') throw ApiError.invalidParameter(parameter, error.message, error);
    throw error;
  }
}
