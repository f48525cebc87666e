/**
 * Data directories written by Prometheus: served by us they answer as Prometheus answered, also after a restart, and
 * Prometheus answers the same from the directory that we left.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { differenceOf, type Recorded } from '../support/answers.ts';
import { narthex, startServer } from '../support/program.ts';
import { conformance, currentPeer } from '../support/require.ts';

const vectors = conformance('tsdb');
const prometheus = currentPeer('prometheus');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-compat-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The directories, and the configuration under which they were written. */
const written: [name: string, config: string][] = [
  ['a-blocks-wal', ''],
  ['a2-checkpoint', ''],
  ['c-out-of-order', 'storage:\n  tsdb:\n    out_of_order_time_window: 3h\n'],
];

/** Serves a directory once and lists the questions that were answered differently. */
async function differences(command: string[], folder: string, config: string, recorded: Recorded[]): Promise<string[]> {
  const file = join(folder, 'prometheus.yml');
  writeFileSync(file, config);
  const server = await startServer([
    ...command,
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    '--storage.tsdb.retention.time=100y',
  ]);
  try {
    const found: string[] = [];
    for (const each of recorded) {
      const difference = await differenceOf(server.url, each);
      if (difference !== undefined) found.push(difference);
    }
    return found;
  } finally {
    await server.stop();
  }
}

function readRecorded(path: string): Recorded[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Recorded);
}

describe.skipIf(vectors === undefined).each(written)('%s', (name, config) => {
  const folder = join(scratch, name);
  const recorded = vectors === undefined ? [] : readRecorded(join(vectors, name, 'queries.jsonl'));

  test(`${recorded.length} answers are Prometheus' own, before and after a restart`, { timeout: 60_000 }, async () => {
    mkdirSync(folder, { recursive: true });
    execFileSync('tar', ['-xzf', join(vectors ?? '', name, 'data.tar.gz'), '-C', folder]);
    expect(await differences([...narthex, 'server'], folder, config, recorded)).toEqual([]);
    expect(await differences([...narthex, 'server'], folder, config, recorded)).toEqual([]);
  });

  test.skipIf(prometheus === undefined)(
    'Prometheus answers the same from what we left',
    { timeout: 60_000 },
    async () => {
      expect(await differences([prometheus ?? ''], folder, config, recorded)).toEqual([]);
    },
  );
});
