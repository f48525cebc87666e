/**
 * Acceptance of ingest and the remote protocols: the figures stay above their floors (bench/results/ingest.md), the
 * exposition vectors get Prometheus' verdict, real senders and receivers understand us both ways, and bad input and
 * faults cost no more than they must.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const conformance = process.env.NARTHEX_CONFORMANCE ?? join(root, '..', 'shared', 'conformance');
/** Nothing may be skipped here. */
const strict = { NARTHEX_REQUIRE: 'conformance,promtool,peers,node_exporter', NARTHEX_CONFORMANCE: conformance };

/** Tests of ingest and of remote protocols by the first word of their names, so that new ones are part of this. */
const COMPAT = /^(remote-|otlp|scrape|agent|federat|push|exposition|start-timestamp)/;
const END_TO_END = /^(remote-|opentelemetry|otlp|exemplars|self-scrape|scrape|agent|federat|push)/;
const FAULTS = /^(hostile|http-edges|shutdown|reload|receiver|targets?-)/;

export const steps = [
  { name: 'build', run: () => command('node', ['scripts/prepare.mjs']) },
  // First what a busy machine would change; once where the floor is far below, or there is none.
  { name: 'bench-remote-write', run: () => bench('remote-write', '--runs=3') },
  { name: 'bench-remote-write-1m', run: () => bench('remote-write', '--series=1m', '--runs=1') },
  { name: 'bench-remote-write-2', run: () => bench('remote-write-2', '--runs=1') },
  { name: 'bench-otlp', run: () => bench('otlp', '--runs=1') },
  { name: 'bench-scrape', run: () => bench('scrape', '--runs=3') },
  { name: 'bench-scrape-1000', run: () => bench('scrape', '--targets=1000', '--runs=1') },
  { name: 'bench-churn', run: () => bench('churn', '--runs=1') },
  { name: 'bench-query-under-load', run: () => bench('query-under-load', '--runs=3') },
  { name: 'bench-ingest-threads', run: () => bench('ingest-threads') },
  { name: 'conformance', run: conformanceTests },
  { name: 'senders-and-receivers', run: () => vitest([...tests('compat', COMPAT), ...tests('e2e', END_TO_END)]) },
  { name: 'faults', run: () => vitest([...tests('e2e', FAULTS), ...tests('crash', /./)]) },
  { name: 'units', run: () => vitest(['ts/api', 'ts/http', 'ts/remote', 'ts/scrape', 'ts/server']) },
];

/** Every vector of the parsers, damaged bodies of each protocol, and all that the engine does with them. */
function conformanceTests() {
  if (!existsSync(join(conformance, 'exposition'))) throw new Error(`no test vectors in ${conformance}/exposition`);
  const crates = ['exposition', 'protobuf', 'wire', 'engine'].flatMap((name) => ['-p', name]);
  command('cargo', ['test', '--locked', ...crates]);
}

/** The test files of a folder whose names match. */
function tests(folder, names) {
  const files = readdirSync(join(root, 'test', folder)).filter((file) => file.endsWith('.test.ts') && names.test(file));
  if (files.length === 0) throw new Error(`test/${folder} has no test of ${names}`);
  return files.map((file) => `test/${folder}/${file}`);
}

/** Runs tests; one that is skipped fails too. */
function vitest(files) {
  const scratch = mkdtempSync(join(tmpdir(), 'narthex-accept-'));
  const report = join(scratch, 'report.json');
  try {
    const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`];
    command(join(root, 'node_modules', '.bin', 'vitest'), ['run', ...reporters, ...files]);
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const skipped = testResults.flatMap((file) => file.assertionResults).filter(({ status }) => status !== 'passed');
    if (skipped.length > 0) throw new Error(`not run: ${skipped.map(({ fullName }) => fullName).join('; ')}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function bench(workload, ...flags) {
  command('npm', ['run', '--silent', 'bench', '--', 'compare', workload, ...flags]);
}

function command(program, args) {
  const options = { cwd: root, env: { ...process.env, ...strict }, stdio: 'inherit' };
  const { status, error } = spawnSync(program, args, options);
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${status}`);
}
