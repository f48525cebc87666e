/** The same requests to Prometheus and to us: status, envelope and words are the same. */
import { beforeAll, describe, expect, test } from 'vitest';
import { type Running, startServer } from '../support/program.ts';
import { currentPeer } from '../support/require.ts';
import { eventually, getJson } from './client.ts';
import { workspace } from './workspace.ts';

const prometheus = currentPeer('prometheus');
const space = workspace();
let ours: Running;
let theirs: Running;

beforeAll(async () => {
  if (prometheus === undefined) return;
  space.configure('scrape_configs: [{job_name: none}]\n');
  ours = await space.start();
  theirs = await startServer([
    prometheus,
    `--config.file=${space.configFile}`,
    `--storage.tsdb.path=${space.dir}/theirs`,
  ]);
  for (const { url } of [ours, theirs]) await eventually('the pool', async () => (await pools(url)).length === 1);
  return () => theirs.stop();
});

const pools = async (url: string) =>
  (await getJson<{ scrapePools: string[] }>(`${url}/api/v1/scrape_pools`)).data.scrapePools;

const T = '1767225600';

/** Method, path, and the body of a form where there is one. */
const REQUESTS: [method: string, path: string, body?: string][] = [
  ['GET', `/api/v1/query?query=1%2B1&time=${T}`],
  ['GET', `/api/v1/query?query=%22text%22&time=${T}.057`],
  ['GET', '/api/v1/query?query=vector(1)&time=2026-01-01T00:00:00.5Z'],
  ['GET', '/api/v1/query?query=vector(1)&time=-1.5'],
  ['GET', '/api/v1/query?query=up&time=NaN'],
  ['GET', '/api/v1/query'],
  ['GET', '/api/v1/query?query=up&time=x'],
  ['GET', '/api/v1/query?query=up&time=1e400'],
  ['GET', '/api/v1/query?query=up&timeout=x'],
  ['GET', '/api/v1/query?query=up&timeout=0'],
  ['GET', '/api/v1/query?query=up&timeout=-90'],
  ['GET', '/api/v1/query?query=up&timeout=-1s'],
  ['GET', '/api/v1/query?query=up&limit=x'],
  ['GET', '/api/v1/query?query=up&limit=-1'],
  ['GET', '/api/v1/query?query=up&limit=99999999999999999999'],
  ['GET', '/api/v1/query?query=up&lookback_delta=x'],
  ['GET', '/api/v1/query?query=up&limit=x&time=x&timeout=x'],
  ['GET', '/api/v1/query?query=a%20b'],
  ['GET', '/api/v1/query?query=sum('],
  ['GET', '/api/v1/query?query=rate(up)'],
  ['GET', '/api/v1/query?query=up%zz'],
  ['POST', '/api/v1/query', 'query=1;2'],
  ['POST', `/api/v1/query?query=2&time=${T}`, 'query=3'],
  ['GET', `/api/v1/query?query=vector(1)%20or%20vector(2)&time=${T}&limit=1`],
  ['GET', '/api/v1/query_range?query=up'],
  ['GET', '/api/v1/query_range?query=up&start=1'],
  ['GET', '/api/v1/query_range?query=up&start=1&end=0&step=1'],
  ['GET', '/api/v1/query_range?query=up&start=1&end=2&step=0'],
  ['GET', '/api/v1/query_range?query=up&start=1&end=2&step=-5'],
  ['GET', '/api/v1/query_range?query=up&start=1&end=2&step=x'],
  ['GET', '/api/v1/query_range?query=up&start=1&end=2&step=1e300'],
  ['GET', '/api/v1/query_range?query=up&start=1&end=2&step=NaN'],
  ['GET', '/api/v1/query_range?query=up&start=0&end=11000&step=1'],
  ['GET', '/api/v1/query_range?query=up&start=0&end=11001&step=1'],
  ['GET', '/api/v1/query_range?query=vector(1)&start=0&end=3&step=1.5'],
  ['GET', '/api/v1/query_range?query=1&start=0&end=60&step=30s'],
  ['GET', '/api/v1/query_range?query=%22a%22&start=0&end=60&step=30s'],
  ['GET', '/api/v1/query_range?query=up%5B5m%5D&start=0&end=60&step=30s'],
  ['GET', '/api/v1/series'],
  ['GET', '/api/v1/series?match[]=up'],
  ['GET', '/api/v1/series?match[]=up%7B'],
  ['GET', '/api/v1/series?match[]=%7B%7D'],
  ['GET', '/api/v1/series?match[]=up&start=x'],
  ['POST', '/api/v1/series', 'match[]=up&match[]=%7Bjob%3D~%22.%2B%22%7D'],
  ['GET', '/api/v1/labels'],
  ['GET', '/api/v1/labels?match[]=up%7B'],
  ['GET', '/api/v1/labels?match[]=%7B%7D'],
  ['GET', '/api/v1/labels?match[]=%7Ba%3D%22%22%7D'],
  ['GET', '/api/v1/labels?match[]=up&match[]=%7Ba%3D~%22.*%22%7D'],
  ['GET', '/api/v1/labels?match[]=%7B%7D&match[]=%7B'],
  ['GET', '/api/v1/labels?match[]=%7Ba%3D~%22*%22%7D'],
  ['GET', '/api/v1/labels?start=x'],
  ['GET', '/api/v1/labels?limit=-1'],
  ['GET', '/api/v1/label/job/values'],
  ['GET', '/api/v1/label/U__foo_2e_bar/values'],
  ['GET', '/api/v1/label/a.b/values?match[]=%7B%7D'],
  ['GET', '/api/v1/label/U__/values'],
  ['GET', '/api/v1/targets?state=active'],
  ['GET', '/api/v1/targets'],
  ['GET', '/api/v1/targets?state=nonsense'],
  ['GET', '/api/v1/targets/metadata'],
  ['GET', '/api/v1/targets/metadata?limit=x'],
  ['GET', '/api/v1/targets/metadata?match_target=%7B'],
  ['GET', '/api/v1/targets/metadata?match_target=%7B%7D'],
  ['GET', '/api/v1/targets/metadata?match_target=%7Ba%3D~%22(%22%7D'],
  ['GET', '/api/v1/metadata'],
  ['GET', '/api/v1/metadata?limit=x'],
  ['GET', '/api/v1/metadata?limit_per_metric=x'],
  ['GET', '/api/v1/scrape_pools'],
  ['GET', '/api/v1/scrape_pools/config'],
  ['GET', '/api/v1/scrape_pools/config?scrapePool=x'],
  ['GET', '/api/v1/format_query?query=sum(rate(x%5B5m%5D))by(a)'],
  ['POST', '/api/v1/format_query', 'query=a%2Bb'],
  ['GET', '/api/v1/format_query?query=sum('],
  ['GET', '/api/v1/parse_query?query=up%7Ba!%3D%22b%22%7D%20offset%205m'],
  ['GET', '/api/v1/parse_query?query=sum%20by%20(a)(rate(x%5B5m%5D))%20%2B%20on(a)%20group_left%20-y%20%40%20end()'],
  ['GET', '/api/v1/parse_query?query=%2B'],
  ['GET', '/api/v1/query_exemplars?query=up'],
  ['GET', '/api/v1/query_exemplars?query=%22vectorSelector%22'],
  ['GET', '/api/v1/query_exemplars?query=u('],
  ['GET', '/api/v1/query_exemplars?query=up&start=2&end=1'],
  ['GET', '/api/v1/rules'],
  ['GET', '/api/v1/rules?type=x'],
  ['GET', '/api/v1/rules?group_limit=x'],
  ['GET', '/api/v1/rules?group_limit=0'],
  ['GET', '/api/v1/rules?group_next_token=x'],
  ['GET', '/api/v1/rules?group_limit=1&group_next_token=x'],
  ['GET', '/api/v1/rules?exclude_alerts=x'],
  ['GET', '/api/v1/rules?match[]=%7B'],
  ['GET', '/api/v1/alerts'],
  ['GET', '/api/v1/alertmanagers'],
  ['GET', '/api/v1/status/tsdb?limit=x'],
  ['GET', '/api/v1/status/tsdb?limit=0'],
  ['GET', '/api/v1/status/tsdb?limit=100000'],
  ['GET', '/api/v1/status/tsdb/blocks'],
  ['POST', '/api/v1/write', ''],
  ['POST', '/api/v1/otlp/v1/metrics', ''],
  ['POST', '/api/v1/admin/tsdb/snapshot', ''],
  ['PUT', '/api/v1/admin/tsdb/delete_series', ''],
  ['GET', '/federate'],
  ['GET', '/federate?match[]=up'],
  ['GET', '/federate?match[]=up%7B'],
  ['GET', '/-/healthy'],
  ['GET', '/-/ready'],
  ['GET', '/-/reload'],
  ['POST', '/-/reload', ''],
  ['PUT', '/-/quit', ''],
];

async function ask(server: Running, [method, path, body]: (typeof REQUESTS)[number]): Promise<object> {
  const headers: Record<string, string> =
    body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
  const response = await fetch(server.url + path, {
    method,
    headers,
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const type = response.headers.get('content-type');
  return { status: response.status, type, body: type === 'application/json' ? JSON.parse(text) : text };
}

describe.skipIf(prometheus === undefined)('the same answer as Prometheus', () => {
  test.each(REQUESTS)('%s %s', async (...request) => {
    expect(await ask(ours, request)).toEqual(await ask(theirs, request));
  });
});
