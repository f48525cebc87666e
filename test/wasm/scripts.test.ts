/** The scripts that the evaluator passes natively (crates/testkit/tests/promqltest.rs), run in WASM. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../layout/files.ts';
import { conformance } from '../support/require.ts';
import { testkit, testkitInstance } from './testkit.ts';

const own = join(root, 'crates', 'testkit', 'scripts');
const vectors = conformance('promqltest');

/** Runs every script of a folder: how many statements there are, and the places of those that fail. */
async function runAll(folder: string): Promise<{ statements: number; failures: string[] }> {
  const instance = await testkitInstance();
  const failures: string[] = [];
  let statements = 0;
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.test'))) {
    for (const { line, failure } of instance.call((glue) => glue.runScript(readFileSync(join(folder, file), 'utf8')))) {
      statements++;
      if (failure !== null) failures.push(`${file}:${line}: ${failure.slice(0, 200)}`);
    }
  }
  return { statements, failures };
}

test.skipIf(testkit === undefined)('own scripts pass', async () => {
  const { statements, failures } = await runAll(own);
  expect(failures).toEqual([]);
  expect(statements).toBeGreaterThan(0);
});

test.skipIf(testkit === undefined || vectors === undefined)(
  'conformance scripts pass as they do natively',
  async () => {
    const { statements, failures } = await runAll(vectors ?? '');
    expect(failures).toEqual([]);
    expect(statements).toBe(1713);
  },
  120_000,
);
