#!/usr/bin/env node
/**
 * Everything that is judged without running a test: formats, lints, types, generated files, and that the core compiles
 * without an operating system. All checks run even where one fails; the table at the end names the ones that did.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runSteps } from './lib/steps.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wasmTarget = 'wasm32-unknown-unknown';
/** The crates that must not need files, threads or clocks of the platform. */
const portableCrates = [
  'model',
  'chunk',
  'storage',
  'tsdb',
  'promql-syntax',
  'promql',
  'exposition',
  'engine',
  'testkit',
  'wasm',
];

const steps = [
  { name: 'biome: format and lint', run: () => npmBin('biome', ['check', '--error-on-warnings', '.']) },
  { name: 'tsc: types', run: () => npmBin('tsc', ['--noEmit']) },
  { name: 'rustfmt', run: () => command('cargo', ['fmt', '--all', '--check']) },
  {
    name: 'clippy',
    run: () => command('cargo', ['clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings']),
  },
  { name: 'fuzz targets compile', run: () => command('cargo', ['check', '--locked'], 'fuzz') },
  { name: `core compiles for ${wasmTarget}`, run: checkWasm },
  { name: 'generated files unchanged', run: checkGenerated },
];

process.exitCode = (await runSteps('check', steps)) ? 0 : 1;

function checkWasm() {
  const sysroot = spawnSync('rustc', ['--print', 'target-libdir', '--target', wasmTarget], { encoding: 'utf8' });
  const installed =
    sysroot.status === 0 && spawnSync('sh', ['-c', `ls "${sysroot.stdout.trim()}"/libcore-*`]).status === 0;
  if (!installed) return { skipped: `the target is not installed (rustup target add ${wasmTarget})` };
  const packages = portableCrates.flatMap((name) => ['-p', name]);
  return command('cargo', ['check', '--locked', '--target', wasmTarget, ...packages]);
}

/** Builds and formatters must leave the files under version control as they are, lockfiles included. */
function checkGenerated() {
  const lock = spawnSync('cargo', ['metadata', '--locked', '--format-version=1', '--no-deps'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (lock.status !== 0) throw new Error('Cargo.lock does not fit the manifests');
  const tracked = spawnSync('git', ['ls-files', '--', 'dist', '*.node', '*.snap.new'], { cwd: root, encoding: 'utf8' });
  if (tracked.status !== 0) return { skipped: 'not a git checkout' };
  if (tracked.stdout !== '') throw new Error(`generated files are under version control:\n${tracked.stdout}`);
  return undefined;
}

function npmBin(name, args) {
  return command(join(root, 'node_modules', '.bin', name), args);
}

function command(program, args, folder = '.') {
  // One folder for what is built, also of the workspace of the fuzz targets.
  const env = { CARGO_TARGET_DIR: join(root, 'target'), ...process.env };
  const { status, error } = spawnSync(program, args, { cwd: join(root, folder), env, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`exit ${status}`);
  return undefined;
}
