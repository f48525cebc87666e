/** The metrics about remote write of Prometheus 3.16 and ours, with the same entries: names, types, help and labels. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { eventually } from '../e2e/client.ts';
import { withBoth } from '../support/both.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { currentPeer } from '../support/require.ts';

const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-send-metrics-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const IS_OURS = /^prometheus_(remote_storage|wal_watcher)_/;

/** Help, type and series of the families about remote write. */
async function families(url: string): Promise<Map<string, string[]>> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const found = new Map<string, string[]>();
  let family = '';
  for (const line of page.split('\n')) {
    const [, name] = /^# (?:HELP|TYPE) (\S+)/.exec(line) ?? [];
    if (name !== undefined) family = name;
    if (!IS_OURS.test(family)) continue;
    const labels = [...line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([pair]) => pair).sort();
    const series = line.startsWith('#') ? line : `${/^[^{ ]+/.exec(line)?.[0]} ${labels.join(',')}`;
    found.set(family, [...(found.get(family) ?? []), series].sort());
  }
  return found;
}

/** Whether each of the two queues has come as far as the sample that it drops, which is the last. */
function bothQueuesDropped(found: Map<string, string[]>): boolean {
  const series = found.get('prometheus_remote_storage_samples_dropped_total') ?? [];
  return ['one', 'two'].every((name) => series.some((each) => each.includes(`remote_name="${name}"`)));
}

test.skipIf(prometheus === undefined)('names, help and labels are the same', { timeout: 90_000 }, async () => {
  const drop = [{ source_labels: ['__name__'], regex: 'dropped', action: 'drop' }];
  const url = 'http://user:secret@127.0.0.1:1/write';
  const config = {
    global: { scrape_interval: '1h' },
    remote_write: [
      { url, name: 'one', write_relabel_configs: drop },
      { url, name: 'two', protobuf_message: 'io.prometheus.write.v2.Request', write_relabel_configs: drop },
    ],
  };
  const flags = ['--web.enable-remote-write-receiver', '--storage.remote.flush-deadline=1s'];
  await withBoth({ prometheus: prometheus ?? '', scratch, config, flags }, async (ours, theirs) => {
    for (const server of [ours, theirs]) {
      const sample = { t: Date.now() + 1000, v: 1 };
      await remoteWrite(server.url, [
        { labels: { __name__: 'kept' }, samples: [sample] },
        { labels: { __name__: 'dropped' }, samples: [sample] },
      ]);
    }
    const [mine, other] = await eventually('both have read it', async () => {
      const all = [await families(ours.url), await families(theirs.url)];
      return all.every(bothQueuesDropped) && all;
    });
    expect(Object.fromEntries(mine ?? [])).toEqual(Object.fromEntries(other ?? []));
  });
});
