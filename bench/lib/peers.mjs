/** The programs that benches compare with: where they come from, and where they are. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

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
