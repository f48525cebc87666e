/** Promises that the core's threads settle: many at a time, and where a thread of JavaScript ends before they do. */

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { open } from './index.ts';

const ADDON = fileURLToPath(new URL('../../dist/native/narthex.node', import.meta.url));

/** Opens a database in a thread or process of its own: `engine` is there for what follows. */
const OPEN = `
  const addon = require(${JSON.stringify(ADDON)});
  const options = { dir: ':memory:' };
  const opened = addon.openEngine(options, options, options, () => {});
  const ask = (engine, i) => engine.queryJson({ query: String(i), timeMs: 1000 });
`;

it('settle with their own results, however many there are', async () => {
  const engine = await open({ dir: ':memory:' });
  const numbers = Array.from({ length: 2000 }, (_, i) => i);
  const answers = await Promise.all(
    numbers.map(async (i) => {
      const wrong = i % 10 === 9;
      const query = wrong ? `wrong${i}(` : `vector(${i})`;
      const { series } = await engine.query({ query, timeMs: 1000 }).catch(() => ({ series: [] }));
      return wrong ? series.length === 0 : series[0]?.values.at(-1) === i;
    }),
  );
  // What the pool has no room for is refused.
  expect(answers.filter((right) => right).length).toBeGreaterThan(200);
  expect((await engine.query({ query: 'vector(1)', timeMs: 1000 })).series).toHaveLength(1);
  await engine.close();
});

it('trouble nobody where their thread has ended', { timeout: 60_000 }, async () => {
  for (let round = 0; round < 10; round++) {
    const code = `${OPEN}
      const { parentPort } = require('node:worker_threads');
      opened.then(async (engine) => {
        for (;;) {
          const asked = Array.from({ length: 64 }, (_, i) => ask(engine, i));
          parentPort.postMessage('asked');
          await Promise.allSettled(asked);
        }
      });
    `;
    const worker = new Worker(code, { eval: true });
    for (let i = 0; i < 1 + (round % 3); i++) await once(worker, 'message');
    await worker.terminate();
  }
  const engine = await open({ dir: ':memory:' });
  expect((await engine.query({ query: 'vector(1)', timeMs: 1000 })).series).toHaveLength(1);
  await engine.close();
});

it('keep a process alive while they are open, and no longer', async () => {
  const code = `${OPEN}
    opened.then((engine) => ask(engine, 7).then(() => engine.close()).then(() => console.log('closed')));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', code], { timeout: 10_000 });
  expect(stdout).toBe('closed\n');
});
