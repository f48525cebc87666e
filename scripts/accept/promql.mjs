/**
 * Acceptance of the PromQL stage: the vectors pass natively and in WASM, random expressions neither stop nor split us,
 * random queries are answered as Prometheus 3.16 answers them, and the figures stay above their floors
 * (bench/results/promql.md).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const conformance = process.env.NARTHEX_CONFORMANCE ?? join(root, '..', 'shared', 'conformance');
/** Nothing may be skipped here. */
const strict = { NARTHEX_REQUIRE: 'conformance,promtool,peers,wasm', NARTHEX_CONFORMANCE: conformance };
const DIFFERENTIAL_QUERIES = 5000;
/** Inputs for each fuzz target. */
const FUZZ_INPUTS = 10_000;

export const steps = [
  { name: 'build', run: () => command('node', ['scripts/prepare.mjs']) },
  // First what a busy machine would change: times, then bytes. The last one removes the servers' data.
  { name: 'bench-range-query', run: () => bench('range-query') },
  { name: 'bench-query-threads', run: () => bench('query-threads') },
  { name: 'bench-query-memory', run: () => bench('query-memory') },
  { name: 'bench-query', run: () => bench('query', '--clean') },
  { name: 'conformance', run: conformanceTests },
  { name: 'conformance-wasm', run: wasmTests },
  { name: 'fuzz', run: fuzz },
  { name: 'differential', run: () => differential('--seed=1') },
  { name: 'differential-features', run: () => differential('--seed=2', '--features=all') },
];

/** Parser and evaluator with all their tests; testkit's runs every vector and prints the table. */
function conformanceTests() {
  if (!existsSync(join(conformance, 'promqltest'))) throw new Error(`no test vectors in ${conformance}/promqltest`);
  const crates = ['promql-syntax', 'promql', 'testkit'].flatMap((name) => ['-p', name]);
  command('cargo', ['test', '--locked', ...crates, '--', '--nocapture']);
}

/** The same scripts by the module built for the browser. */
function wasmTests() {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (scripts['build:wasm'] === undefined) throw new Error('package.json has no script `build:wasm`');
  command('npm', ['run', '--silent', 'build:wasm']);
  if (!existsSync(join(root, 'test', 'wasm'))) throw new Error('there is no test/wasm');
  command(join(root, 'node_modules', '.bin', 'vitest'), ['run', 'test/wasm']);
}

/** Random expressions over random series, and the corpora again. */
function fuzz() {
  const crates = ['promql-syntax', 'promql', 'testkit'].filter((name) =>
    existsSync(join(root, 'crates', name, 'tests', 'fuzz.rs')),
  );
  if (crates.length === 0) throw new Error('no crate of PromQL has tests/fuzz.rs');
  const env = { NARTHEX_TORTURE_FUZZ: `${FUZZ_INPUTS}` };
  for (const name of crates) {
    command('cargo', ['test', '--locked', '-p', name, '--test', 'fuzz', '--', '--nocapture'], env);
  }
}

function differential(...flags) {
  command('node', ['test/compat/differential/run.mjs', `--queries=${DIFFERENTIAL_QUERIES}`, ...flags]);
}

function bench(workload, ...flags) {
  command('npm', ['run', '--silent', 'bench', '--', 'compare', workload, ...flags]);
}

function command(program, args, env = {}) {
  const options = { cwd: root, env: { ...process.env, ...strict, ...env }, stdio: 'inherit' };
  const { status, error } = spawnSync(program, args, options);
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${status}`);
}
