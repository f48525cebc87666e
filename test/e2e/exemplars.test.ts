/** Exemplars from both ways in, asked for over HTTP; the same of Prometheus, where there is one. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Running, startServer } from '../support/program.ts';
import { currentPeer } from '../support/require.ts';
import { eventually } from './client.ts';
import { scrapeConfig, workspace } from './workspace.ts';

const prometheus = currentPeer('prometheus');
const FLAGS = ['--web.enable-remote-write-receiver', '--web.enable-lifecycle', '--enable-feature=exemplar-storage'];
const V2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

const nowSeconds = Math.floor(Date.now() / 1000);
const BODY = `# TYPE requests counter
requests_total{code="200"} 5 # {trace_id="a",span="b"} 0.25 ${nowSeconds - 3}.125
requests_total{code="500"} 1 # {trace_id="c"} +Inf ${nowSeconds - 2}
# TYPE size histogram
size_bucket{le="1"} 1 # {} 1 ${nowSeconds - 1}
size_bucket{le="+Inf"} 2
size_count 2
size_sum 3
# EOF
`;

const space = workspace();
const target = createServer((_request, response) => {
  response.setHeader('content-type', 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  response.end(BODY);
});
const servers: { name: string; running: Running }[] = [];

beforeAll(async () => {
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  const address = target.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  space.configure(scrapeConfig('target', [`127.0.0.1:${address.port}`], '1s'));
  servers.push({ name: 'narthex', running: await space.start(...FLAGS) });
  if (prometheus !== undefined) {
    const dir = `--storage.tsdb.path=${join(space.dir, 'prometheus')}`;
    const command = [prometheus, `--config.file=${space.configFile}`, dir, ...FLAGS];
    servers.push({ name: 'prometheus', running: await startServer(command) });
  }
  const body = snappy(request());
  for (const { running } of servers) {
    const headers = { 'content-type': V2, 'content-encoding': 'snappy' };
    const sent = await fetch(`${running.url}/api/v1/write`, { method: 'POST', body, headers });
    expect([sent.status, sent.headers.get('x-prometheus-remote-write-exemplars-written')]).toEqual([204, '2']);
    await eventually('the scrape', async () => (await ask(running, 'query=requests_total')).data.length === 2);
  }
}, 60_000);

afterAll(async () => {
  target.closeAllConnections();
  target.close();
  for (const { running } of servers) if (running.process.exitCode === null) await running.kill();
});

interface Answer {
  status: number;
  data: { seriesLabels: Record<string, string>; exemplars: object[] }[];
  text: string;
}

async function ask({ url }: Running, params: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${url}/api/v1/query_exemplars${init.body === undefined ? `?${params}` : ''}`, init);
  const text = await response.text();
  return { status: response.status, data: text === '' ? [] : JSON.parse(text).data, text };
}

function narthex(): Running {
  const [first] = servers;
  if (first === undefined) throw new Error('not started');
  return first.running;
}

const pairs = (text: string) => [...text.matchAll(/"(\w+)":"([^"]*)"/g)].map(([, name, value]) => [name, value]);

describe('query_exemplars', () => {
  test('brings what a scrape had', async () => {
    const { data } = await ask(narthex(), 'query=rate(requests_total[5m])');
    expect(data.map(({ seriesLabels }) => seriesLabels.code)).toEqual(['200', '500']);
    expect(data[0]?.exemplars).toEqual([
      { labels: { span: 'b', trace_id: 'a' }, value: '0.25', timestamp: nowSeconds - 3 + 0.125 },
    ]);
    expect(data[1]?.exemplars).toEqual([{ labels: { trace_id: 'c' }, value: '+Inf', timestamp: nowSeconds - 2 }]);
  });

  test('brings what remote write had, in order of time', async () => {
    const { text } = await ask(narthex(), 'query=written');
    expect(pairs(text).filter(([name]) => name === 'value')).toEqual([
      ['value', '1.5'],
      ['value', '2.5'],
    ]);
    expect((await ask(narthex(), `query=written&start=${nowSeconds - 4}&end=${nowSeconds}`)).data).toHaveLength(1);
    expect((await ask(narthex(), `query=written&start=${nowSeconds - 1}`)).data).toEqual([]);
  });

  test('takes a form', async () => {
    const body = new URLSearchParams({ query: 'written or size_bucket' });
    expect((await ask(narthex(), '', { method: 'POST', body })).data).toHaveLength(2);
  });

  test
    .skipIf(prometheus === undefined)
    .each([
      'query=requests_total',
      'query={__name__=~".%2B"}',
      'query=written%20or%20size_bucket',
      'query=sum(size_bucket)',
      `query=written&start=${nowSeconds - 4}`,
      `query=written&end=${nowSeconds - 4}`,
      'query=absent_metric',
      'query=1',
      'query=',
      'query=up(',
      'query=up&start=x',
      'query=up&start=2&end=1',
    ])('answers %s as Prometheus does', async (params) => {
    const answers = await Promise.all(servers.map(({ running }) => ask(running, params)));
    const [ours, theirs] = answers.map(({ status, text }) => ({ status, text }));
    expect(ours).toEqual(theirs);
  });

  test('a reload changes how many are kept', async () => {
    space.configure('storage: {exemplars: {max_exemplars: 1}}\n');
    expect((await fetch(`${narthex().url}/-/reload`, { method: 'POST' })).status).toBe(200);
    const { data } = await ask(narthex(), 'query={__name__=~".%2B"}');
    expect(data.flatMap(({ exemplars }) => exemplars)).toHaveLength(1);
  });
});

/** A request of remote write 2.0: the series `written` with a sample and two exemplars. */
function request(): number[] {
  const symbols = ['', '__name__', 'written', 'trace_id', 'x', 'y'];
  const at = (seconds: number) => varint((nowSeconds + seconds) * 1000);
  const sample = [0x09, ...double(1), 0x10, ...at(0)];
  const exemplar = (symbol: number, value: number, seconds: number) => [
    ...field(1, [3, symbol]),
    0x11,
    ...double(value),
    0x18,
    ...at(seconds),
  ];
  const series = [
    ...field(1, [1, 2]),
    ...field(2, sample),
    ...field(4, exemplar(4, 1.5, -5)),
    ...field(4, exemplar(5, 2.5, -3)),
  ];
  return [...symbols.flatMap((symbol) => field(4, [...Buffer.from(symbol)])), ...field(5, series)];
}

function field(number: number, bytes: number[]): number[] {
  return [(number << 3) | 2, ...varint(bytes.length), ...bytes];
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}

function double(value: number): number[] {
  return [...new Uint8Array(Float64Array.of(value).buffer)];
}

/** A block of snappy that holds `bytes` as one literal; at most 256 of them. */
function snappy(bytes: number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...varint(bytes.length), 60 << 2, bytes.length - 1, ...bytes]);
}
