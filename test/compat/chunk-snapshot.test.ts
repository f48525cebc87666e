/**
 * Chunk snapshots: Prometheus and we open a data directory in turn, each from the snapshot that the other has left, and
 * all answers stay what Prometheus recorded.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { differenceOf, type Recorded } from '../support/answers.ts';
import { narthex, startServer } from '../support/program.ts';
import { conformance, currentPeer } from '../support/require.ts';

const vectors = conformance('tsdb');
const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-compat-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The directories with open chunks of all encodings, late samples, deletions, exemplars. */
const written = [
  'a-blocks-wal',
  'b-histograms',
  'c-out-of-order',
  'd-xor2',
  'd2-xor2-start-timestamps',
  'e-tombstones',
];

interface How {
  config: string;
  flags: string[];
}

/** Every line that the server said about a snapshot, or that is a warning or an error. */
function worth(output: string): string[] {
  return output
    .split('\n')
    .filter((line) => /chunk snapshot|unknown series|level=(warn|error)/i.test(line))
    .filter((line) => !/creating chunk snapshot|chunk snapshot (loading|complete)|is enabled|OS signal/i.test(line));
}

describe.skipIf(vectors === undefined || prometheus === undefined).each(written)('%s', (name) => {
  const folder = join(scratch, name);
  const from = join(vectors ?? '', name);
  let recorded: Recorded[] = [];
  let how: How = { config: '', flags: [] };

  beforeAll(() => {
    mkdirSync(folder, { recursive: true });
    execFileSync('tar', ['-xzf', join(from, 'data.tar.gz'), '-C', folder]);
    const lines = readFileSync(join(from, 'queries.jsonl'), 'utf8').trimEnd().split('\n');
    recorded = lines.map((line) => JSON.parse(line) as Recorded);
    how = JSON.parse(readFileSync(join(from, 'how.json'), 'utf8')) as How;
    writeFileSync(join(folder, 'prometheus.yml'), how.config);
  });

  const snapshots = () => readdirSync(join(folder, 'data')).filter((entry) => entry.startsWith('chunk_snapshot.'));

  /** Serves a directory once; returns what was answered differently and what was said. */
  async function serve(
    command: string[],
    data = join(folder, 'data'),
  ): Promise<{ differences: string[]; said: string[] }> {
    const features = how.flags.flatMap((flag) => /^--enable-feature=(.*)/.exec(flag)?.[1]?.split(',') ?? []);
    const kept = how.flags.filter((flag) => /^--(no-)?storage\./.test(flag));
    const server = await startServer([
      ...command,
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${data}`,
      ...kept,
      `--enable-feature=${[...features, 'memory-snapshot-on-shutdown'].join(',')}`,
    ]);
    const differences: string[] = [];
    try {
      for (const each of recorded) {
        const difference = await differenceOf(server.url, each);
        if (difference !== undefined) differences.push(difference);
      }
    } finally {
      await server.stop();
    }
    return { differences, said: worth(server.output()) };
  }

  const ours = [...narthex, 'server'];
  const theirs = [prometheus ?? ''];
  /** What we answer differently from the log, which is no matter of snapshots: exemplars and remarks. */
  let fromLog: string[] = [];
  test('Narthex, from the log', { timeout: 60_000 }, async () => {
    const copy = join(folder, 'copy');
    cpSync(join(folder, 'data'), copy, { recursive: true });
    fromLog = (await serve(ours, copy)).differences;
    expect(fromLog.filter((each) => !/: \.infos|\/query_exemplars/.test(each))).toEqual([]);
  });

  const turns = [
    ['Prometheus, from the log', theirs, false],
    ['Narthex, from the snapshot by Prometheus', ours, true],
    ['Prometheus, from the snapshot by Narthex', theirs, true],
    ['Prometheus, from its own', theirs, true],
    ['Narthex, from the snapshot by Prometheus once more', ours, true],
    ['Narthex, from its own', ours, true],
  ] as const;

  test.each(turns)('%s', { timeout: 60_000 }, async (_, command, loads) => {
    const before = snapshots();
    const { differences, said } = await serve(command);
    expect(differences).toEqual(command === ours ? fromLog : []);
    expect(said.filter((line) => !/chunk snapshot loaded/.test(line))).toEqual([]);
    expect(said).toHaveLength(loads ? 1 : 0);
    expect(snapshots()).toHaveLength(1);
    expect(snapshots()).not.toEqual(before);
  });
});
