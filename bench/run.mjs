#!/usr/bin/env node
/**
 * Benches. `npm run bench -- compare WORKLOAD` puts us beside every peer there is, on the same bytes, in interleaved
 * runs, prints medians and ratios, and exits 1 below the workload's floor. `npm run bench -- suite` measures the binding,
 * `npm run bench -- suite wasm` the engine in WASM beside the addon.
 */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { median, printTable, short } from './lib/table.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const [command, name, ...flags] = process.argv.slice(2);
const suites = readdirSync(join(here, 'suites')).map((file) => file.replace(/\.mjs$/, ''));
const workloads = readdirSync(join(here, 'workloads')).map((file) => file.replace(/\.mjs$/, ''));

if (command === 'compare' && workloads.includes(name)) {
  process.exitCode = await compare(await load('workloads', name));
} else if (command === 'suite' && (name === undefined || suites.includes(name))) {
  await (await load('suites', name ?? 'binding')).run();
} else {
  console.log(
    `usage: npm run bench -- compare ${workloads.join('|')} [--runs=N] [--only=NAME,…]\n       npm run bench -- suite [${suites.join('|')}]`,
  );
  process.exitCode = 1;
}
process.exit();

function load(folder, file) {
  return import(pathToFileURL(join(here, folder, `${file}.mjs`)).href);
}

async function compare(workload) {
  const flag = (name) => flags.find((f) => f.startsWith(`--${name}=`))?.slice(name.length + 3);
  const runs = Number(flag('runs') ?? workload.runs);
  // A workload with figures of its own reports them itself.
  if (workload.compare) return workload.compare({ runs, only: flag('only')?.split(','), flags });
  const contestants = await workload.contestants();
  console.log(`${workload.title}; medians of ${runs} interleaved runs`);
  for (const c of contestants) console.log(`  ${c.name}: ${c.version}`);
  const results = new Map(contestants.map((c) => [c.name, []]));
  for (let run = 1; run <= runs; run++) {
    for (const c of contestants) {
      const result = await c.run();
      results.get(c.name).push(result);
      console.log(`  run ${run}, ${c.name}: ${short(result.samples / result.cpuSeconds)} samples per CPU-second`);
    }
  }
  await contestants.close?.();
  return report(workload, results);
}

function report(workload, results) {
  const figure = (name, of) => median(results.get(name).map(of));
  const rate = (r) => r.samples / r.cpuSeconds;
  const ours = figure('narthex', rate);
  const rows = [...results.keys()].map((name) => [
    name,
    short(figure(name, rate)),
    figure(name, (r) => r.cpuSeconds).toFixed(2),
    figure(name, (r) => r.wallSeconds).toFixed(2),
    `${(figure(name, (r) => r.memoryBytes) / 2 ** 20).toFixed(0)} MiB`,
    name === 'narthex' ? '' : `${(ours / figure(name, rate)).toFixed(2)} ×`,
  ]);
  printTable(['', 'samples/CPU-s', 'CPU s', 'wall s', 'peak memory', 'we are'], rows);
  const { against, ratio } = workload.floor;
  if (!results.has(against)) {
    console.log(`no ${against} to compare with: run \`npm run bench:peers\``);
    return 1;
  }
  const reached = ours / figure(against, rate);
  const verdict = reached >= ratio ? 'reached' : 'NOT reached';
  const cells = Object.fromEntries([...results.keys()].map((name) => [name, short(figure(name, rate))]));
  workload.keep?.({ cells, ratio: reached, reached: reached >= ratio, runs: results.get('narthex').length });
  console.log(`floor: ${ratio} × ${against} per CPU-second: ${verdict} (${reached.toFixed(2)} ×)`);
  return reached >= ratio ? 0 : 1;
}
