/**
 * Workload `query-threads`: what a second core brings. The queries over all instances run in one process over the same
 * blocks, from text to JSON, with one thread and with two in turns: a server could not be measured so, for its client
 * needs a core too. `--runs=N`, `--queries=3,4`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { buildLoad } from '../lib/load.mjs';
import { QUERIES, timesOf } from '../lib/queries.mjs';
import { recordQuery } from '../lib/query-results.mjs';
import { keptDir, startMsOfData } from '../lib/query-sites.mjs';
import { scratchDir, servers } from '../lib/storage.mjs';
import { median } from '../lib/table.mjs';

const FLOOR = 1.7;

export const runs = 20;

export async function compare({ runs, flags }) {
  const numbers = flags
    .find((f) => f.startsWith('--queries='))
    ?.slice('--queries='.length)
    .split(',')
    .map(Number);
  const queries = QUERIES.filter(({ number, large }) => numbers?.includes(number) ?? large);
  const scratch = scratchDir();
  const [server] = servers(['narthex']);
  const dir = mkdtempSync(join(scratch, 'threads-'));
  try {
    cpSync(await keptDir(server, 'block', scratch), dir, { recursive: true });
    // Writing back what was just copied would keep a core busy.
    spawnSync('sync');
    const results = await measure(dir, queries, runs);
    return queries.reduce((code, query, i) => code | report(query, results[i], runs), 0);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measure(dir, queries, runs) {
  const startMs = startMsOfData();
  const child = spawn(buildLoad(), ['threads', dir, String(runs)], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  const ended = new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  for (const query of queries) {
    const times = timesOf(query, startMs);
    child.stdin.write(`${times.startMs} ${times.endMs} ${times.stepMs} ${query.query}\n`);
  }
  child.stdin.end();
  if ((await ended) !== 0) throw new Error(`load threads: ${output}`);
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function report({ query, large }, { one, two }, runs) {
  const [alone, both] = [one, two].map((ns) => median(ns) / 1e6);
  const ratio = alone / both;
  const row = {
    figure: `two threads instead of one, in the process: \`${query}\``,
    cells: { narthex: `${both.toFixed(1)} ms instead of ${alone.toFixed(1)} ms` },
    ratio: `${ratio.toFixed(2)} (to one thread)`,
    floor: `${FLOOR} ×`,
    reached: ratio >= FLOOR,
    runs,
  };
  if (large) recordQuery(row);
  else console.log(`${row.figure}: ${row.cells.narthex}, ${ratio.toFixed(2)} ×`);
  return large && ratio < FLOOR ? 1 : 0;
}
