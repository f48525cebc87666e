/**
 * Everything that remote write carries, sent on by the running program to Prometheus 3.16, and by Prometheus to us, by
 * 1.0 and 2.0: native histograms, exemplars, metadata, start timestamps, stale markers. The answers are then the same.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../e2e/client.ts';
import { freePort, narthex, type Running, startServer } from '../support/program.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { currentPeer } from '../support/require.ts';
import { relabelled, sentSeriesOf, seriesOfEveryKind } from '../support/sent-series.ts';

const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-kinds-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Prometheus sends what is younger than its own start, so the samples lie ahead of it. */
const ahead = (): number => Math.floor(Date.now() / 1000) * 1000 + 75_000;
const V1 = 'prometheus.WriteRequest';
const V2 = 'io.prometheus.write.v2.Request';
const FEATURES = 'exemplar-storage,metadata-wal-records,st-storage,use-start-timestamps,promql-experimental-functions';

const running: Running[] = [];
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(scratch, 'case-'));
});
afterEach(async () => {
  for (const server of running.splice(0).toReversed()) await server.stop();
});

async function start(
  program: string[],
  name: string,
  config: object,
  features: string,
  port?: number,
): Promise<Running> {
  const file = join(dir, `${name}.yml`);
  writeFileSync(file, JSON.stringify(config));
  const flags = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(dir, name)}`,
    '--web.enable-remote-write-receiver',
    `--enable-feature=${features}`,
  ];
  const server = await startServer([...program, ...flags], port);
  running.push(server);
  return server;
}

const ours = [...narthex, 'server'];
const theirs = [prometheus ?? ''];

/** A configuration that sends everything on. */
function sendingTo(port: number, message: string, more: object = {}): object {
  return {
    global: { external_labels: { dc: 'eu' } },
    remote_write: [
      {
        url: `http://127.0.0.1:${port}/api/v1/write`,
        protobuf_message: message,
        send_exemplars: true,
        send_native_histograms: true,
        queue_config: { batch_send_deadline: '100ms' },
        ...more,
      },
    ],
  };
}

/** What metadata become with the feature type-and-unit-labels. */
const DESCRIBED: Record<string, Record<string, string>> = {
  sent_seconds_total: { __type__: 'counter', __unit__: 'seconds' },
  sent_ends: { __type__: 'gauge' },
  sent_integer: { __type__: 'histogram', __unit__: 'bytes' },
};

async function startTimestamp(url: string, of: string, endMs: number): Promise<unknown> {
  const search = new URLSearchParams({ query: `max(start_timestamp(${of}))`, time: String(endMs / 1000) });
  const { data } = (await (await fetch(`${url}/api/v1/query?${search}`)).json()) as { data: { result: unknown } };
  return data.result;
}

describe.skipIf(prometheus === undefined)('every kind of sample', () => {
  test.each([
    ['we', 'Prometheus', ours, theirs, V1],
    ['we', 'Prometheus', ours, theirs, V2],
    ['Prometheus', 'us', theirs, ours, V1],
    ['Prometheus', 'us', theirs, ours, V2],
  ])('%s send to %s', { timeout: 120_000 }, async (_, __, from, to, message) => {
    const port = await freePort();
    const receiver = await start(to, 'to', {}, `${FEATURES},type-and-unit-labels`, port);
    const sender = await start(from, 'from', sendingTo(port, message), FEATURES);
    const endMs = ahead();
    await remoteWrite(sender.url, seriesOfEveryKind(endMs));
    const sent = await sentSeriesOf(sender.url, endMs);
    expect(sent.series.length).toBe(6);
    const isCarried = ({ metric }: { metric: Record<string, string> }) =>
      message === V2 || metric.__name__ !== 'sent_custom';
    // By 2.0 Prometheus sends exemplars without a sample of their series, and its receiver, like ours, refuses those.
    const exemplars = from === theirs && message === V2 ? [] : sent.exemplars;
    const carried = { series: sent.series.filter(isCarried), exemplars };
    const want = relabelled(carried, (labels) => ({
      ...labels,
      dc: 'eu',
      ...(message === V2 ? DESCRIBED[labels.__name__ ?? ''] : {}),
    }));
    const got = await eventually('all series and exemplars', async () => {
      const there = await sentSeriesOf(receiver.url, endMs);
      const size = (of: typeof there) => JSON.stringify(of).length;
      return size(there) >= size(want) && there;
    }).catch(() => sentSeriesOf(receiver.url, endMs));
    expect(got).toEqual(want);
    for (const name of ['sent_seconds_total', 'sent_integer']) {
      const [mine, other] = [
        await startTimestamp(sender.url, name, endMs),
        await startTimestamp(receiver.url, name, endMs),
      ];
      if (message === V2) expect(other, name).toEqual(mine);
      else expect(other, name).not.toEqual(mine);
    }
  });

  test.each([V1, V2])(
    'custom buckets become classic ones by %s as with Prometheus',
    { timeout: 120_000 },
    async (message) => {
      const more = { convert_nhcb_to_classic: true, send_native_histograms: false };
      const pairs: { sender: Running; receiver: Running }[] = [];
      for (const [name, from] of [
        ['ours', ours],
        ['theirs', theirs],
      ] as const) {
        const port = await freePort();
        const receiver = await start(theirs, `to-${name}`, {}, FEATURES, port);
        pairs.push({ sender: await start(from, name, sendingTo(port, message, more), FEATURES), receiver });
      }
      const endMs = ahead();
      const custom = seriesOfEveryKind(endMs).find(({ labels }) => labels.__name__ === 'sent_custom');
      const [first, second, third] = custom?.histograms ?? [];
      if (!custom || !first || !second || !third) throw new Error('no such series');
      // Other bounds, then its end.
      const spans: [number, number][] = [[0, 4]];
      const changed = { ...second, bounds: [0.5, 7, 9], positiveSpans: spans, positive: [1, 1, 3, 2], count: 7 };
      const results: unknown[] = [];
      for (const { sender, receiver } of pairs) {
        await remoteWrite(sender.url, [{ ...custom, histograms: [first, changed] }]);
        await remoteWrite(sender.url, [{ labels: custom.labels, samples: [{ t: third.t, v: Number.NaN }] }]);
        const got = await eventually('all of it', async () => {
          const there = await sentSeriesOf(receiver.url, endMs);
          // Buckets of 0.5, 2.5, 7, 9 and +Inf, count and sum.
          return there.series.length >= 7 && there;
        }).catch(() => sentSeriesOf(receiver.url, endMs));
        results.push(got);
      }
      expect(results[0]).toEqual(results[1]);
      expect(JSON.stringify(results[0])).toContain('"le":"7.0"');
    },
  );
});
