/** Prometheus 3.16 and us, each on an empty directory, for runs that compare their answers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { narthex } from '../../bench/lib/load.mjs';
import { findProgram, versionOf } from '../../bench/lib/peers.mjs';
import { answers, freePort, Program } from '../../bench/lib/process.mjs';

/** The `--name=value` arguments of this process. */
export function argumentsOf(argv) {
  return Object.fromEntries(argv.slice(2).map((arg) => arg.replace(/^--/, '').split('=')));
}

/** Runs `compare(theirs, ours, version)` with the two base URLs and ends the process with its exit code. */
export async function withPair(name, features, compare) {
  const prometheus = findProgram('prometheus');
  if (!prometheus) {
    console.log(`${name}: no Prometheus to compare with: run \`npm run bench:peers\``);
    process.exit(1);
  }
  const scratch = mkdtempSync(join(tmpdir(), `narthex-${name}-`));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  writeFileSync(join(scratch, 'prometheus.yml'), '');
  const [theirs, ours] = await Promise.all([
    start(scratch, 'prometheus', [prometheus], features),
    start(scratch, 'narthex', [...narthex, 'server'], features),
  ]);
  try {
    process.exitCode = await compare(theirs.base, ours.base, versionOf(prometheus));
  } finally {
    await Promise.all([theirs.program.stop(), ours.program.stop()]);
  }
  process.exit();
}

async function start(scratch, name, [path, ...first], features) {
  const port = await freePort();
  const flags = [
    `--config.file=${join(scratch, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(scratch, name)}`,
    `--web.listen-address=127.0.0.1:${port}`,
    `--enable-feature=${features}`,
  ];
  const program = new Program(path, [...first, ...flags], { name });
  const base = `http://127.0.0.1:${port}`;
  await program.until('answer', () => answers(`${base}/-/ready`));
  return { base, program };
}
