#!/usr/bin/env node
/**
 * Builds the programs that benches compare with, from their Go modules, into the user's cache. Where Go is absent it
 * says so and exits 0: a comparison then uses what is on PATH.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { PEERS, peerDir } from './lib/peers.mjs';

const here = dirname(fileURLToPath(import.meta.url));

const go = spawnSync('go', ['version'], { encoding: 'utf8' });
if (go.status !== 0) {
  console.log('bench:peers: Go is not installed (https://go.dev/dl), so no peer is built; those on PATH are used.');
  process.exit(0);
}

for (const peer of PEERS) {
  const dir = peerDir(peer);
  if (peer.programs.every((p) => existsSync(join(dir, p.name)))) {
    console.log(`bench:peers: ${peer.name} ${peer.version} is there: ${dir}`);
    continue;
  }
  // The build may add to go.sum: it works on a copy of the module.
  const module = join(dir, 'module');
  mkdirSync(module, { recursive: true });
  copyFileSync(join(here, 'peers', peer.name, 'go.mod'), join(module, 'go.mod'));
  console.log(`bench:peers: building ${peer.name} ${peer.version} (several minutes the first time) …`);
  const args = ['build', '-trimpath', '-o', `${dir}/`];
  if (peer.tags) args.push('-tags', peer.tags);
  const built = spawnSync('go', [...args, ...peer.programs.map((p) => p.package)], {
    cwd: module,
    stdio: 'inherit',
    env: { ...process.env, GOFLAGS: '-mod=mod' },
  });
  if (built.status !== 0) {
    console.error(`bench:peers: ${peer.name} did not build; Go says why above.`);
    process.exitCode = 1;
  }
}
