/** The load generator, built once. */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Builds bench/load in release mode; returns the program's path. */
export function buildLoad() {
  const args = ['build', '--release', '-p', 'load', '--message-format=json-render-diagnostics'];
  const built = spawnSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  const line = built.stdout.split('\n').find((l) => l.includes('"executable":"') && l.includes('"name":"load"'));
  if (built.status !== 0 || !line) throw new Error('bench/load did not build');
  return JSON.parse(line).executable;
}

/** The command line of our own program. */
export const narthex = [process.execPath, join(root, 'dist', 'cli', 'main.js')];
