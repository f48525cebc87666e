/**
 * Prometheus' data directories, all of them: served by us they answer as Prometheus answered; restarted, compacted and
 * snapshotted by us they answer the same here, in Prometheus and in promtool, and neither finds fault with them; and so
 * they do here once Prometheus has compacted what we left.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'narthex';
import { describe, expect, test } from 'vitest';
import type { Recorded } from '../support/answers.ts';
import { narthex } from '../support/program.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { conformance, currentPeer } from '../support/require.ts';
import {
  blocksIn,
  complaints,
  corruptions,
  differences,
  firstDifference,
  metric,
  promtoolRuns,
  readDump,
  readRecorded,
  record,
  type Setup,
  scratch,
} from '../support/vectors.ts';

const vectors = conformance('tsdb');
const prometheus = currentPeer('prometheus');
const promtool = currentPeer('promtool');
const isAlone = prometheus === undefined || promtool === undefined;
const ours = [...narthex, 'server'];
const theirs = [prometheus ?? ''];
const space = scratch('conformance');
const HOUR_MS = 3_600_000;

const PLAIN: Setup = { config: '', features: [] };
const XOR2 = 'storage: {tsdb: {chunk_encoding: {floats: xor2}}}\n';
const LATE = 'storage: {tsdb: {out_of_order_time_window: 3h}}\n';

/** Samples in the logs of the directory with late ones, markers of staleness included. */
const LATE_SAMPLES = 22_251;

/** The directories that open, how they were written, and how many blocks they hold. */
const written: [name: string, setup: Setup, blocks: number][] = [
  ['a-blocks-wal', PLAIN, 2],
  ['a2-checkpoint', PLAIN, 1],
  ['b-histograms', { config: '', features: ['exemplar-storage', 'metadata-wal-records'] }, 1],
  ['c-out-of-order', { config: LATE, features: [] }, 3],
  ['d-xor2', { config: XOR2, features: [] }, 1],
  ['d2-xor2-start-timestamps', { config: XOR2, features: ['st-storage'] }, 1],
  ['e-tombstones', PLAIN, 1],
  ['e-tombstones-cleaned', PLAIN, 1],
  ['f-torn-cut', PLAIN, 0],
  ['f-torn-flip', PLAIN, 0],
  ['f-torn-zero', PLAIN, 0],
  ['f-torn-page-boundary', PLAIN, 0],
  ['f-torn-head-chunk', PLAIN, 0],
];

/** Overlapping blocks stay as they are, so that two servers have the same to answer from. */
const UNMERGED = '--no-storage.tsdb.allow-overlapping-compaction';

/** Half a day behind the newest sample: once this is in the head, all else becomes blocks. */
const LATER_MS = Date.UTC(2026, 0, 1, 18);

/** Every sample before that one; the largest question there is. */
const EVERYTHING = {
  path: '/api/v1/query',
  params: { query: '{__name__!=""}[1d]', time: String(LATER_MS / 1000 - 1) },
};

describe.skipIf(vectors === undefined).each(written)('%s', (name, setup, blocks) => {
  const folder = join(vectors ?? '', name);
  const dumped = vectors === undefined ? [] : readDump(folder);
  const recorded = vectors === undefined ? [] : readRecorded(join(folder, 'queries.jsonl'));
  const isTornLog = name.startsWith('f-torn') && name !== 'f-torn-head-chunk';
  /** Exemplars live in the log alone: a snapshot has none, and a checkpoint drops the old ones. */
  const lasting = recorded.filter(({ path }) => path !== '/api/v1/query_exemplars');
  /** What comes later is of a name that is known already. */
  const later = { __name__: /__name__="([^"]*)"/.exec(dumped[0] ?? '')?.[1] ?? '' };
  /** As we left it after two restarts and a kill. */
  let dataDir = '';

  /** Both programs and promtool find all samples and answers, and complain of nothing. */
  async function expectSame(state: string, dir: string, questions: Recorded[]): Promise<void> {
    for (const [program, command] of Object.entries({ ours, theirs })) {
      const copy = space.copy(dir, `${name}-${state}-${program}`);
      const tool = promtoolRuns(promtool ?? '', copy);
      const dump = tool.dump().filter((line) => !line.endsWith(` ${LATER_MS}`));
      // Where a block of late samples reaches beyond it, promtool leaves out the head: of that it sees less than we do.
      if (setup.config !== LATE || state === 'restarted') {
        expect(firstDifference(dump, dumped), 'promtool tsdb dump').toBeUndefined();
      } else {
        expect(new Set(dump).size, 'promtool tsdb dump').toBe(LATE_SAMPLES);
      }
      expect(tool.list().sort()).toEqual(blocksIn(copy).sort());
      expect(tool.analyze()).toHaveLength(blocksIn(copy).length);
      const server = await space.serve(command, copy, setup, UNMERGED);
      expect(await differences(server.url, questions), program).toEqual([]);
      expect(await corruptions(server.url), program).toEqual({});
      await server.stop();
      expect(complaints(server.output()), program).toEqual([]);
    }
  }

  test(`${recorded.length} answers are Prometheus' own, and again after a restart and a kill`, {
    timeout: 120_000,
  }, async () => {
    dataDir = space.unpack(folder, name);
    expect(blocksIn(dataDir)).toHaveLength(blocks);
    const lost: object[] = [];
    for (const ending of ['stop', 'kill', 'stop'] as const) {
      const server = await space.serve(ours, dataDir, setup, UNMERGED);
      expect(await differences(server.url, recorded), ending).toEqual([]);
      lost.push(await corruptions(server.url));
      await server[ending]();
    }
    expect(lost.slice(1), 'repaired once and for all').toEqual([{}, {}]);
  });

  test.skipIf(isAlone)(
    'all samples are those that Prometheus finds, and so is what is said to be lost',
    {
      timeout: 120_000,
    },
    async () => {
      const found: { lost: object; files: string[]; said: string[]; told: object }[] = [];
      for (const [program, command] of Object.entries({ theirs, ours })) {
        const dir = space.unpack(folder, `${name}-first-${program}`);
        const server = await space.serve(command, dir, setup, UNMERGED);
        if (program === 'theirs') {
          for (const list of [recorded, lasting]) list.push(await record(server.url, EVERYTHING));
        }
        expect(await differences(server.url, recorded), program).toEqual([]);
        const lost = await corruptions(server.url);
        const told = await statusOf(server.url);
        // Prometheus counts the segments of the late samples' log where there is one.
        if (setup.config === LATE) delete told.replayed;
        await server.stop();
        // Where in the segment: we name the beginning of what is bad, which is how much is kept; Prometheus the place up
        // to which it had read.
        const places = [...server.output().matchAll(/corruption in segment (\S+) at (\d+): (?:unexp|last)/g)];
        if (program === 'ours') {
          for (const [, file = '', kept] of places) expect(statSync(file).size).toBeGreaterThanOrEqual(Number(kept));
        }
        const said = places.map(([, file = '']) => file.replace(dir, ''));
        found.push({ lost, files: logFiles(dir), said: [...new Set(said)], told });
      }
      expect(found[1]).toEqual(found[0]);
      expect(Object.keys(found[0]?.lost ?? {})).toHaveLength(name.startsWith('f-torn') ? 1 : 0);
      expect(found[1]?.said).toEqual(isTornLog ? ['/wal/00000002'] : []);
    },
  );

  test.skipIf(isAlone)('restarted', { timeout: 120_000 }, async () => {
    await expectSame('restarted', dataDir, recorded);
  });

  test.skipIf(isAlone)('snapshotted', { timeout: 120_000 }, async () => {
    const server = await space.serve(ours, dataDir, setup, UNMERGED);
    const response = await fetch(`${server.url}/api/v1/admin/tsdb/snapshot`, { method: 'POST' });
    const { data } = (await response.json()) as { data: { name: string } };
    await server.stop();
    const snapshot = space.copy(join(dataDir, 'snapshots', data.name), `${name}-snapshot`);
    // promtool wants a log, be it empty.
    mkdirSync(join(snapshot, 'wal'), { recursive: true });
    expect(blocksIn(snapshot).length).toBeGreaterThan(blocks);
    await expectSame('snapshotted', snapshot, lasting);
  });

  test.skipIf(isAlone)('compacted', { timeout: 120_000 }, async () => {
    const compacted = space.copy(dataDir, `${name}-compacted`);
    const engine = await open({
      dir: compacted,
      retentionMs: 0,
      minBlockDurationMs: 2 * HOUR_MS,
      outOfOrderTimeWindowMs: setup.config === LATE ? 3 * HOUR_MS : 0,
      floatChunkEncoding: setup.config === XOR2 ? 'xor2' : 'xor',
      features: setup.features.filter((feature) => feature === 'st-storage'),
    });
    const [timestamps, values] = [Float64Array.of(LATER_MS), Float64Array.of(1)];
    await engine.append([{ labels: later, timestamps, values }]);
    await engine.maintain();
    await engine.close();
    expect(readdirSync(join(compacted, 'chunks_head')).length).toBeLessThan(2);
    await expectSame('compacted', compacted, lasting);
  });

  test.skipIf(isAlone)('compacted by Prometheus after us', { timeout: 120_000 }, async () => {
    const compacted = space.copy(dataDir, `${name}-compacted-by-prometheus`);
    const before = blocksIn(compacted);
    const server = await space.serve(theirs, compacted, setup, '--web.enable-remote-write-receiver');
    await remoteWrite(server.url, [{ labels: later, samples: [{ t: LATER_MS, v: 1 }] }]);
    await expect
      .poll(() => metric(server.url, 'prometheus_tsdb_head_min_time_seconds'), { timeout: 20_000 })
      .toBeGreaterThan(LATER_MS / 1000 - 7200);
    expect(await differences(server.url, lasting)).toEqual([]);
    await server.stop();
    expect(blocksIn(compacted)).not.toEqual(before);
    const reader = await space.serve(ours, compacted, setup);
    expect(await differences(reader.url, lasting)).toEqual([]);
    expect(await corruptions(reader.url)).toEqual({});
    await reader.stop();
    expect(complaints(reader.output())).toEqual([]);
  });
});

/** What the status pages say of the head; equal counts promise no order. */
async function statusOf(url: string): Promise<Record<string, unknown>> {
  const ask = async (path: string, params = {}) => (await record(url, { path, params })).response as { data: object };
  const replayed = (await ask('/api/v1/status/walreplay')).data;
  const { headStats, ...lists } = (await ask('/api/v1/status/tsdb', { limit: '10000' })).data as {
    headStats: { numSeries: number; numLabelPairs: number };
    [list: string]: object;
  };
  const sorted = Object.entries(lists).map(([list, entries]) => [
    list,
    (entries as { name: string; value: number }[]).map(({ name, value }) => `${name} ${value}`).sort(),
  ]);
  const { numSeries, numLabelPairs } = headStats;
  return { replayed, numSeries, numLabelPairs, ...Object.fromEntries(sorted) };
}

/** Names and sizes of the files of the logs, but for those still being written. */
function logFiles(dataDir: string): string[] {
  const wal = join(dataDir, 'wal');
  const names = readdirSync(wal)
    .filter((name) => /^\d{8}$/.test(name))
    .sort();
  return names.slice(0, -1).map((name) => `${name} ${statSync(join(wal, name)).size}`);
}

describe.skipIf(vectors === undefined)('f-torn-missing-segment', () => {
  test.each([['ours', ours], ...(isAlone ? [] : [['theirs', theirs] as const])] as const)(
    '%s: refused, and left as it was',
    { timeout: 60_000 },
    async (program, command) => {
      const dataDir = space.unpack(join(vectors ?? '', 'f-torn-missing-segment'), `missing-${program}`);
      const before = logFiles(dataDir);
      const failure = await space.serve([...command], dataDir, PLAIN).then(
        () => '',
        (error: Error) => error.message,
      );
      const recordedLog = readFileSync(join(vectors ?? '', 'f-torn-missing-segment', 'server-log.txt'), 'utf8');
      expect(recordedLog).toContain('segments are not sequential');
      expect(failure).toContain('segments are not sequential');
      expect(logFiles(dataDir)).toEqual(before);
    },
  );
});
