/** The programs that benches compare with: where they come from, and where they are. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PEERS = [
  {
    name: 'prometheus',
    version: '3.16.0',
    tags: 'netgo,remove_all_sd,enable_kubernetes_sd,enable_dns_sd,enable_consul_sd',
    programs: [
      { name: 'prometheus', package: 'github.com/prometheus/prometheus/cmd/prometheus' },
      { name: 'promtool', package: 'github.com/prometheus/prometheus/cmd/promtool' },
    ],
  },
  {
    name: 'victoria-metrics',
    version: '20250718',
    programs: [
      { name: 'victoria-metrics', package: 'github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics' },
      { name: 'vmagent', package: 'github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent' },
    ],
  },
];

/** Where a peer's programs are built. */
export function peerDir(peer) {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(cache, 'narthex', 'peers', `${peer.name}-${peer.version}`);
}

/**
 * The path of a program: built from its pinned version, else on PATH, else `undefined`.
 * @param {string} program
 */
export function findProgram(program) {
  for (const peer of PEERS) {
    const path = join(peerDir(peer), program);
    if (peer.programs.some((p) => p.name === program) && existsSync(path)) return path;
  }
  const dirs = (process.env.PATH ?? '').split(delimiter);
  return dirs.map((dir) => join(dir, program)).find((path) => existsSync(path));
}

/** A program's version: the one it was built from, else the first line that it prints of it. */
export function versionOf(path) {
  const built = PEERS.find((peer) => path.startsWith(peerDir(peer)));
  if (built) return `${built.version}, built from its Go module`;
  for (const flag of ['--version', '-version']) {
    const out = spawnSync(path, [flag], { encoding: 'utf8' });
    const line = `${out.stdout}${out.stderr}`.split('\n')[0]?.trim();
    if (out.status === 0 && line) return line;
  }
  return 'unknown version';
}

/**
 * The path of Prometheus' own tests and benches of its engine, compiled from the pinned module where they are not there
 * yet; `undefined` where there is no Go.
 */
export function promqlBenches() {
  const peer = PEERS.find(({ name }) => name === 'prometheus');
  const path = join(peerDir(peer), 'promql.test');
  if (existsSync(path)) return path;
  if (spawnSync('go', ['version']).status !== 0) return undefined;
  console.log('compiling the benches of Prometheus (several minutes the first time) …');
  // The build may add to go.sum: it works on a copy of the module.
  const module = join(peerDir(peer), 'module');
  mkdirSync(module, { recursive: true });
  const goMod = join(dirname(dirname(fileURLToPath(import.meta.url))), 'peers', peer.name, 'go.mod');
  if (!existsSync(join(module, 'go.mod'))) copyFileSync(goMod, join(module, 'go.mod'));
  const args = ['test', '-c', '-trimpath', '-tags', peer.tags, '-o', path, 'github.com/prometheus/prometheus/promql'];
  const built = spawnSync('go', args, { cwd: module, stdio: 'inherit', env: { ...process.env, GOFLAGS: '-mod=mod' } });
  if (built.status !== 0) throw new Error('the benches of Prometheus did not compile; Go says why above');
  return path;
}
