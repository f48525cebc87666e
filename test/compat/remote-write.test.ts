/** The same bad requests of remote write to Prometheus 3.16 and to us: the same answers, and the same left behind. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { withBoth as startBoth } from '../support/both.ts';
import type { Running } from '../support/program.ts';
import { encodeRequest, REMOTE_WRITE_2, type SentSeries } from '../support/remote-write.ts';
import { currentPeer } from '../support/require.ts';

const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-write-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const now = Date.now();
const MB = 1024 * 1024;
const REMOTE_WRITE_1 = 'application/x-protobuf';

function withBoth(more: string[], use: (ours: Running, theirs: Running) => Promise<void>): Promise<void> {
  const flags = ['--web.enable-remote-write-receiver', ...more];
  return startBoth({ prometheus: prometheus ?? '', scratch, config: {}, flags }, use);
}

interface Sent {
  name: string;
  body: Uint8Array<ArrayBuffer>;
  type?: string;
  encoding?: string;
  /** Where Prometheus' text is that of Go's decoder, only statuses are compared. */
  otherText?: boolean;
}

async function send(url: string, { body, type = REMOTE_WRITE_2, encoding = 'snappy' }: Sent) {
  const headers = { 'content-type': type, 'content-encoding': encoding };
  const response = await fetch(`${url}/api/v1/write`, { method: 'POST', headers, body });
  const written = ['Samples', 'Histograms', 'Exemplars'].map((what) =>
    response.headers.get(`X-Prometheus-Remote-Write-${what}-Written`),
  );
  return { status: response.status, written, text: await response.text() };
}

const sample = (second: number, v: number) => ({ t: now + second * 1000, v });
const request = (...series: SentSeries[]) => encodeRequest(series);
const plain = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));
const histogram = { t: now, count: 3, sum: 1, schema: 0, positiveSpans: [[0, 1]] as [number, number][], positive: [3] };

/** A block of snappy that becomes `bytes` zeroes: one, and copies of what is before. */
function bomb(bytes: number): Uint8Array<ArrayBuffer> {
  const head: number[] = [];
  for (let rest = bytes; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      head.push(rest);
      break;
    }
    head.push((rest % 128) + 128);
  }
  const copies = Buffer.alloc(Math.ceil((bytes - 64) / 64) * 3);
  for (let i = 0; i < copies.length; i += 3) copies.set([(63 << 2) | 2, 64, 0], i);
  const literal = Buffer.concat([Buffer.from([60 << 2, 63]), Buffer.alloc(64)]);
  return Uint8Array.from(Buffer.concat([Buffer.from(head), literal, copies]));
}

const cases: Sent[] = [
  { name: 'the first', body: request({ labels: { __name__: 'a' }, samples: [sample(0, 1)] }) },
  { name: 'another type', body: plain(''), type: 'text/plain' },
  { name: 'another message', body: request(), type: `${REMOTE_WRITE_1};proto=other` },
  { name: 'a parameter without a value', body: request(), type: `${REMOTE_WRITE_1};proto` },
  { name: 'another encoding', body: plain(''), encoding: 'gzip' },
  { name: 'no body', body: plain(''), otherText: true },
  { name: 'no snappy', body: plain('this is no snappy block') },
  { name: 'a length that it does not have', body: plain('\xff\xff\x07\x00a') },
  { name: 'a bomb', body: plain('\xff\xff\xff\xff\x07\x00') },
  { name: 'a bomb that goes off', body: bomb(40 * MB) },
  { name: 'a bomb just within the limit, of nothing', body: bomb(31 * MB), otherText: true },
  { name: 'a length that is too small', body: plain('\x01\x0cabcd') },
  { name: 'a copy from before the beginning', body: plain('\x08\x0cabcd\x01\x09') },
  { name: 'a length of more than 32 bits', body: plain('\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00') },
  { name: 'too long a body', body: new Uint8Array(33 * MB) },
  { name: 'no protobuf', body: plain('\x03\x08\x2a\x05\x01') },
  { name: 'a wrong wire type', body: plain('\x02\x04\x28\x01') },
  { name: 'a wrong wire type of 1.0', body: plain('\x02\x04\x08\x01'), type: REMOTE_WRITE_1 },
  { name: 'a sample that is none', body: plain('\x06\x14\x0a\x04\x12\x02\x08\x01'), type: REMOTE_WRITE_1 },
  { name: 'a number without end', body: plain(`\x0b\x28${'\xff'.repeat(11)}`) },
  { name: 'a field 0', body: plain('\x01\x00\x00') },
  { name: 'a wire type that does not exist', body: plain('\x01\x00\x3e') },
  { name: 'no samples', body: request({ labels: { __name__: 'b' } }) },
  { name: 'no name', body: request({ labels: { x: '1' }, samples: [sample(0, 1)] }) },
  { name: 'an empty label name', body: request({ labels: { __name__: 'b', '': '1' }, samples: [sample(0, 1)] }) },
  {
    name: 'late, duplicate, early and good ones',
    body: request(
      { labels: { __name__: 'a' }, samples: [sample(-5, 1)] },
      { labels: { __name__: 'a', x: '1' }, samples: [sample(-100_000, 1)] },
      { labels: { __name__: 'a', x: '2' }, samples: [sample(6000, 1)] },
      { labels: { __name__: 'c' }, samples: [sample(0, 1), sample(1, 2)] },
    ),
  },
  { name: 'a duplicate', body: request({ labels: { __name__: 'a' }, samples: [sample(0, 2)] }) },
  { name: 'a histogram', body: request({ labels: { __name__: 'h' }, histograms: [histogram] }) },
  {
    name: 'a histogram with more in its buckets',
    body: request({ labels: { __name__: 'h2' }, histograms: [{ ...histogram, positive: [4] }] }),
  },
  {
    name: 'a histogram with spans that do not fit',
    body: request({ labels: { __name__: 'h3' }, histograms: [{ ...histogram, positiveSpans: [[0, 2]] }] }),
  },
  {
    name: 'a histogram of an unknown schema',
    body: request({ labels: { __name__: 'h4' }, histograms: [{ ...histogram, schema: 70 }] }),
  },
  {
    name: 'exemplars',
    body: request({
      labels: { __name__: 'e' },
      samples: [sample(0, 1)],
      exemplars: [
        { labels: { id: '1' }, t: now, v: 1 },
        { labels: { id: '2' }, t: now - 5000, v: 1 },
        { labels: { id: 'x'.repeat(200) }, t: now, v: 1 },
      ],
    }),
  },
];

describe.skipIf(prometheus === undefined)('remote write', () => {
  test('bad requests get the answers of Prometheus', { timeout: 120_000 }, async () => {
    await withBoth(['--enable-feature=exemplar-storage'], async (ours, theirs) => {
      const differences: object[] = [];
      for (const each of cases) {
        const [mine, peers] = [await send(ours.url, each), await send(theirs.url, each)];
        if (each.otherText) mine.text = peers.text;
        if (JSON.stringify(mine) !== JSON.stringify(peers)) differences.push({ name: each.name, mine, peers });
      }
      expect(differences).toEqual([]);
      const query = new URLSearchParams({ query: '{__name__=~".+"}[10m]', time: `${now / 1000 + 10}` });
      const answers = await Promise.all(
        [ours, theirs].map(async ({ url }) => {
          const response = await fetch(`${url}/api/v1/query?${query}`);
          const { data } = (await response.json()) as { data: { result: { metric: { __name__: string } }[] } };
          return data.result.toSorted((a, b) => (a.metric.__name__ < b.metric.__name__ ? -1 : 1));
        }),
      );
      expect(answers[0]).toEqual(answers[1]);
    });
  });

  test('only accepted messages are taken', { timeout: 120_000 }, async () => {
    const flag = '--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest';
    await withBoth([flag], async (ours, theirs) => {
      const each = { name: '', body: request({ labels: { __name__: 'a' }, samples: [sample(0, 1)] }) };
      expect(await send(ours.url, each)).toEqual(await send(theirs.url, each));
    });
  });
});
