/**
 * Workload `range-query`: the shapes of Prometheus' BenchmarkRangeQuery, 44 expressions over one and a hundred series
 * at 1, 1,000 and some at 10,000 steps, in the process: Prometheus' own bench, compiled from its module, against ours.
 *
 * Each shape runs for 50 ms a round; `--all` gives each a second, as Go does by default. Every shape is in both. A round
 * takes about a minute and a half. `--runs=N` rounds; `--part=TEXT` shows those whose name contains the text.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { buildLoad, root } from '../lib/load.mjs';
import { promqlBenches } from '../lib/peers.mjs';
import { geometricMean, recordQuery } from '../lib/query-results.mjs';
import { scratchDir } from '../lib/storage.mjs';
import { median, printTable } from '../lib/table.mjs';

const SHAPE_MS = 50;
const SHAPE_MS_ALL = 1000;
const FLOOR = 4;
const RESULTS = join(root, 'bench', 'results', 'range-query.md');

export const runs = 3;

export async function compare({ runs, flags, only }) {
  const part = flags.find((f) => f.startsWith('--part='))?.slice('--part='.length) ?? '';
  const shapeMs = flags.includes('--all') ? SHAPE_MS_ALL : SHAPE_MS;
  const theirs = (only ?? ['prometheus']).includes('prometheus') ? promqlBenches() : undefined;
  const rounds = { narthex: [], prometheus: [] };
  for (let run = 1; run <= runs; run++) {
    rounds.narthex.push(await ours(shapeMs, part));
    // Go can choose benches by name only level by level, and names hold slashes: a part runs all of theirs.
    if (theirs) rounds.prometheus.push(await prometheus(theirs, shapeMs));
    console.log(`  run ${run} of ${runs} is done`);
  }
  const names = [...rounds.narthex[0].keys()];
  const ms = (name, of) => median(of.map((round) => round.get(name))) / 1e6;
  if (!theirs) {
    printTable(
      ['shape', 'narthex ms'],
      names.map((name) => [name, ms(name, rounds.narthex).toFixed(3)]),
    );
    if (!only) console.log('no Prometheus to compare with: its bench is compiled with Go');
    return only ? 0 : 1;
  }
  const missing = names.filter((name) => !rounds.prometheus.every((round) => round.has(name)));
  if (missing.length > 0) throw new Error(`Prometheus' bench has no ${missing.join(', ')}`);
  const rows = names.map((name) => {
    const [mine, other] = [ms(name, rounds.narthex), ms(name, rounds.prometheus)];
    return { name, mine, other, ratio: other / mine };
  });
  return report(rows, runs, part === '');
}

/** Nanoseconds of each shape, by its name. */
async function ours(shapeMs, part) {
  const dir = mkdtempSync(join(scratchDir(), 'range-query-'));
  try {
    const args = ['range-query', dir, String(shapeMs), ...(part ? [part] : [])];
    const lines = (await output(buildLoad(), args)).split('\n').filter((line) => line.startsWith('{'));
    return new Map(lines.map((line) => JSON.parse(line)).map(({ name, ns }) => [name, ns]));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function prometheus(path, shapeMs) {
  const bench = ['-test.run=^$', '-test.bench=^BenchmarkRangeQuery$', `-test.benchtime=${shapeMs}ms`];
  const times = new Map();
  for (const line of (await output(path, [...bench, '-test.timeout=60m'])).split('\n')) {
    const found = /^BenchmarkRangeQuery\/(.*?)(?:-\d+)?\s+\d+\s+([\d.]+) ns\/op/.exec(line);
    if (found) times.set(found[1], Number(found[2]));
  }
  return times;
}

async function output(program, args) {
  const child = spawn(program, args, { cwd: scratchDir(), stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  const code = await new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject));
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${text.slice(-2000)}`);
  return text;
}

function report(rows, runs, whole) {
  const mean = geometricMean(rows.map(({ ratio }) => ratio));
  const groups = [1, 100, 1000, 10_000].map((steps) => {
    const some = rows.filter(({ name }) => name.endsWith(`steps=${steps}`));
    return { steps, count: some.length, mean: geometricMean(some.map(({ ratio }) => ratio)) };
  });
  const cells = ({ name, mine, other, ratio }) => [name, mine.toFixed(3), other.toFixed(3), ratio.toFixed(2)];
  const sorted = [...rows].sort((a, b) => a.ratio - b.ratio);
  printTable(['shape, slowest against Prometheus first', 'narthex ms', 'prometheus ms', 'ratio'], sorted.map(cells));
  for (const { steps, count, mean: one } of groups.filter((group) => group.count > 0)) {
    console.log(`${count} shapes of ${steps} steps: ${one.toFixed(2)} × in the geometric mean`);
  }
  if (!whole) {
    console.log(`geometric mean: ${mean.toFixed(2)} ×`);
    return 0;
  }
  const bySteps = groups.map(({ steps, mean: one }) => `${one.toFixed(1)} × at ${steps}`).join(', ');
  mkdirSync(join(root, 'bench', 'results'), { recursive: true });
  const lines = rows.map(
    (row) => `| \`${cells(row)[0].replaceAll('|', '\\|')}\` | ${cells(row).slice(1).join(' | ')} |`,
  );
  writeFileSync(
    RESULTS,
    `# BenchmarkRangeQuery: results

Written by \`npm run bench -- compare range-query\`: milliseconds of Prometheus' own bench and of ours over the same series,
in the process, medians of ${runs} rounds. Geometric mean: ${mean.toFixed(2)} (${bySteps} steps).

| shape | Narthex ms | Prometheus 3.16 ms | ratio |
|---|---|---|---|
${lines.join('\n')}
`,
  );
  recordQuery({
    figure: `BenchmarkRangeQuery, geometric mean of ${rows.length} shapes (range-query.md)`,
    cells: {},
    ratio: mean.toFixed(2),
    floor: `${FLOOR} ×`,
    reached: mean >= FLOOR,
    runs,
  });
  return mean >= FLOOR ? 0 : 1;
}
