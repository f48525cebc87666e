/** /api/v1/series, labels and label/:name/values. */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { SeriesQuery } from '../core/engine.ts';
import { quote } from '../util/index.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { formOf } from './form.ts';
import { unescapeLabelName } from './label-name.ts';
import { limit, list, openEnd, openStart, readParams } from './params.ts';
import { named } from './query.ts';
import { acceptEncoding, JSON_TYPE, sendBody } from './respond.ts';
import { askOptions, engineOf } from './route.ts';

const SPEC = { limit, start: openStart, end: openEnd, 'match[]': list };

export function seriesRoutes(app: FastifyInstance, context: ApiContext): void {
  app.route({
    method: ['GET', 'POST'],
    url: '/series',
    handler: async (request, reply) => {
      if (formOf(request).all('match[]').length === 0) throw ApiError.badData('no match[] parameter provided');
      const query = await seriesQuery(context, request, true);
      const body = await engineOf(context).seriesJson(query, askOptions(context, reply));
      return sendBody(reply, JSON_TYPE, body);
    },
  });
  app.route({
    method: ['GET', 'POST'],
    url: '/labels',
    handler: async (request, reply) => {
      const query = await seriesQuery(context, request);
      const body = await engineOf(context).labelNamesJson(query, askOptions(context, reply));
      return sendBody(reply, JSON_TYPE, body);
    },
  });
  app.get<{ Params: { name: string } }>('/label/:name/values', async (request, reply) => {
    const name = unescapeLabelName(request.params.name);
    if (name === '') throw ApiError.badData(`invalid label name: ${quote(name)}`);
    const query = await seriesQuery(context, request);
    const body = await engineOf(context).labelValuesJson(name, query, askOptions(context, reply));
    return sendBody(reply, JSON_TYPE, body);
  });
}

/** Reads the parameters and checks the selectors; `namesParameter`: their faults name the parameter. */
async function seriesQuery(context: ApiContext, request: FastifyRequest, namesParameter = false): Promise<SeriesQuery> {
  const params = readParams(SPEC, formOf(request));
  const check = () => engineOf(context).checkSelectors(params['match[]']);
  if (namesParameter) await named('match[]', check);
  else await check();
  return {
    match: params['match[]'],
    startMs: params.start,
    endMs: params.end,
    limit: params.limit,
    acceptEncoding: acceptEncoding(request),
  };
}
