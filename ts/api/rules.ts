/** /api/v1/rules, alerts and alertmanagers: what they answer where there are none. */

import type { FastifyInstance } from 'fastify';
import { messageOf } from '../util/index.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { type Form, formOf, queryOf } from './form.ts';
import { guarded, parseGoBool, parseGoInt } from './params.ts';
import { sendData } from './respond.ts';
import { engineOf } from './route.ts';

export function ruleRoutes(app: FastifyInstance, context: ApiContext): void {
  app.get('/rules', async (request, reply) => {
    await engineOf(context).checkSelectors(formOf(request).all('match[]'));
    checkRuleFilters(queryOf(request));
    return sendData(request, reply, { groups: [] });
  });
  app.get('/alerts', async (request, reply) => sendData(request, reply, { alerts: [] }));
  app.get('/alertmanagers', async (request, reply) =>
    sendData(request, reply, { activeAlertmanagers: [], droppedAlertmanagers: [] }),
  );
}

function checkRuleFilters(query: Form): void {
  const type = query.get('type').toLowerCase();
  if (!['', 'alert', 'record'].includes(type)) {
    throw ApiError.invalidParameter('type', `not supported value "${type}"`);
  }
  const excludeAlerts = query.get('exclude_alerts').toLowerCase();
  if (excludeAlerts !== '') {
    guarded('exclude_alerts', () => parseGoBool(excludeAlerts), 'error converting exclude_alerts: ');
  }
  checkPagination(query.get('group_limit'), query.get('group_next_token'));
}

function checkPagination(groupLimit: string, nextToken: string): void {
  if (nextToken !== '' && groupLimit === '') {
    const reason = 'group_limit needs to be present in order to paginate over the groups';
    throw ApiError.invalidParameter('group_next_token', reason);
  }
  if (groupLimit === '') return;
  if (groupSize(groupLimit) <= 0) {
    throw ApiError.invalidParameter('group_limit', 'group_limit needs to be greater than 0');
  }
  if (nextToken !== '') {
    const reason = `invalid group_next_token '${nextToken}'. were rule groups changed?`;
    throw ApiError.invalidParameter('group_next_token', reason);
  }
}

function groupSize(text: string): number {
  try {
    return parseGoInt(text, 'ParseInt');
  } catch (error) {
    const reason = `group_limit needs to be a valid number: ${messageOf(error)}`;
    throw ApiError.invalidParameter('group_limit', reason, error);
  }
}
