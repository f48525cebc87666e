/** /api/v1/targets, targets/metadata, metadata and scrape_pools. */

import type { FastifyInstance } from 'fastify';
import type { MetricMetadata } from '../core/engine.ts';
import { quote } from '../util/index.ts';
import type { ApiContext, TargetView } from './context.ts';
import { ApiError } from './errors.ts';
import { formOf, queryOf } from './form.ts';
import { globalUrl } from './global-url.ts';
import { plainNumber, readParams, text } from './params.ts';
import { named } from './query.ts';
import { sendData } from './respond.ts';
import { engineOf } from './route.ts';
import { selectorTest } from './selector.ts';

/** How Prometheus' JSON writes a time that is none. */
const ZERO_TIME = '0001-01-01T00:00:00Z';

export function targetRoutes(app: FastifyInstance, context: ApiContext): void {
  app.get('/scrape_pools', async (request, reply) =>
    sendData(request, reply, { scrapePools: [...context.targets.pools()].sort() }),
  );
  app.get('/scrape_pools/config', async (request, reply) => {
    const pool = formOf(request).get('scrapePool');
    if (pool === '') throw ApiError.badData('no scrapePool parameter provided');
    const yaml = context.targets.poolConfigYaml(pool);
    if (yaml === undefined) {
      throw ApiError.badData(`error retrieving scrape config: scrape pool ${quote(pool)} not found`);
    }
    return sendData(request, reply, { yaml });
  });
  app.get('/targets', async (request, reply) => {
    const query = queryOf(request);
    return sendData(request, reply, targetDiscovery(context, query.get('state'), query.get('scrapePool')));
  });
  app.get('/targets/metadata', async (request, reply) => {
    const spec = { limit: plainNumber('limit must be a number'), match_target: text, metric: text };
    const params = readParams(spec, formOf(request));
    const engine = engineOf(context);
    const selector = params.match_target;
    const matches = selector === '' ? () => true : await named('match_target', () => selectorTest(engine, selector));
    return sendData(request, reply, targetMetadata(context, params.limit ?? -1, params.metric, matches));
  });
  app.get('/metadata', async (request, reply) => {
    const spec = {
      limit: plainNumber('limit must be a number'),
      limit_per_metric: plainNumber('limit_per_metric must be a number'),
      metric: text,
    };
    const params = readParams(spec, formOf(request));
    const families = metricMetadata(context, params.metric, params.limit_per_metric ?? -1);
    const wanted = params.limit === undefined || params.limit < 0 ? families.length : params.limit;
    return sendData(request, reply, Object.fromEntries(families.slice(0, wanted)));
  });
}

function targetDiscovery(context: ApiContext, stateParam: string, pool: string): object {
  const state = stateParam.toLowerCase();
  const any = state === '' || state === 'any';
  const activeTargets = any || state === 'active' ? pooled(context.targets.active(), pool, activeTarget(context)) : [];
  if (!any && state !== 'dropped') return { activeTargets, droppedTargets: [], droppedTargetCounts: null };
  const droppedTargets = pooled(context.targets.dropped(), pool, (target, scrapePool) => ({
    discoveredLabels: target.discoveredLabels,
    scrapePool,
  }));
  return { activeTargets, droppedTargets, droppedTargetCounts: context.targets.droppedCounts() };
}

/** Applies `show` to the targets of all pools, by the pools' names, or of the one named. */
function pooled<T>(
  pools: ReadonlyMap<string, readonly T[]>,
  only: string,
  show: (target: T, pool: string) => object,
): object[] {
  const names = [...pools.keys()].filter((name) => only === '' || name === only).sort();
  return names.flatMap((name) => (pools.get(name) ?? []).map((target) => show(target, name)));
}

function activeTarget(context: ApiContext) {
  return (target: TargetView, scrapePool: string): object => ({
    discoveredLabels: target.discoveredLabels,
    labels: target.labels,
    scrapePool,
    scrapeUrl: target.scrapeUrl,
    globalUrl: globalUrl(target.scrapeUrl, context.options),
    lastError: target.lastError,
    lastScrape: target.lastScrapeMs === undefined ? ZERO_TIME : new Date(target.lastScrapeMs).toISOString(),
    lastScrapeDuration: target.lastScrapeDurationSeconds,
    health: target.health,
    scrapeInterval: target.scrapeInterval,
    scrapeTimeout: target.scrapeTimeout,
  });
}

function* allTargets(context: ApiContext): Iterable<TargetView> {
  for (const targets of context.targets.active().values()) yield* targets;
}

function targetMetadata(
  context: ApiContext,
  limit: number,
  metric: string,
  matches: (labels: Record<string, string>) => boolean,
): object[] {
  const result: object[] = [];
  for (const target of allTargets(context)) {
    if (limit >= 0 && result.length >= limit) break;
    if (!matches(target.labels)) continue;
    for (const { metric: name, type, help, unit } of target.metadata()) {
      if (metric === '') result.push({ target: target.labels, metric: name, type, help, unit });
      else if (metric === name) result.push({ target: target.labels, type, help, unit });
    }
  }
  return result;
}

/** Distinct metadata of each family, over all targets. */
function metricMetadata(context: ApiContext, metric: string, limitPerMetric: number): [string, object[]][] {
  const families = new Map<string, Map<string, object>>();
  for (const target of allTargets(context)) {
    for (const item of target.metadata()) {
      if (metric === '' || item.metric === metric) addMetadata(families, item, limitPerMetric);
    }
  }
  return [...families].map(([name, items]) => [name, [...items.values()]]);
}

function addMetadata(families: Map<string, Map<string, object>>, item: MetricMetadata, limitPerMetric: number): void {
  const { metric, type, help, unit } = item;
  const items = families.get(metric) ?? new Map<string, object>();
  if (limitPerMetric > 0 && items.size >= limitPerMetric) return;
  const shown = { type, unit, help };
  items.set(JSON.stringify(shown), shown);
  families.set(metric, items);
}
