/**
 * Acceptance of the storage stage: Prometheus' directories open as described, Prometheus reads ours, crashes and faults
 * lose nothing that was acknowledged, and the figures stay above their floors.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PEERS, peerDir } from '../../bench/lib/peers.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const conformance = process.env.NARTHEX_CONFORMANCE ?? join(root, '..', 'shared', 'conformance');
/** Nothing may be skipped here. */
const strict = { NARTHEX_REQUIRE: 'conformance,promtool,peers', NARTHEX_CONFORMANCE: conformance };

export const steps = [
  // First what a busy machine would change: times, then bytes.
  ...['append', 'restart', 'block', 'memory'].map((workload) => ({
    name: `bench-${workload}`,
    run: () => command('npm', ['run', '--silent', 'bench', '--', 'compare', workload]),
  })),
  { name: 'conformance', run: conformanceTests },
  // Its list is the table of directories by what was done to them.
  { name: 'prometheus-reads-ours', run: () => vitest(['test/compat', '--reporter=verbose']) },
  { name: 'remote-write', run: () => vitest(['test/e2e/remote-write.test.ts']) },
  { name: 'torture', run: torture },
];

/** All of the database's own tests, those over Prometheus' directories among them: none may be skipped. */
function conformanceTests() {
  if (!existsSync(join(conformance, 'tsdb'))) throw new Error(`no test vectors in ${conformance}/tsdb`);
  // The release that we stand in for; a distribution's may be older.
  const promtool = PEERS.map((peer) => join(peerDir(peer), 'promtool')).find(existsSync);
  if (promtool === undefined) throw new Error('promtool 3.16 is built by `npm run bench:peers`');
  const env = { ...strict, NARTHEX_PROMTOOL: promtool };
  command('cargo', ['test', '--locked', '-p', 'tsdb', '-p', 'chunk'], { env });
}

/** The crash, fault and fuzz-replay suites in full. */
function torture() {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (scripts.torture === undefined) throw new Error('package.json has no script `torture`');
  command('npm', ['run', '--silent', 'torture']);
}

function vitest(files) {
  command(join(root, 'node_modules', '.bin', 'vitest'), ['run', ...files], { env: strict });
}

function command(program, args, { env = {} } = {}) {
  const { status, error } = spawnSync(program, args, { cwd: root, env: { ...process.env, ...env }, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${status}`);
}
