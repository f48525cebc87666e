/**
 * What a test needs from outside: conformance vectors, programs of peers. Where it is absent the test is skipped and
 * says so by name; where `NARTHEX_REQUIRE` lists it, absence is a failure.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { basename, delimiter, dirname, extname, join, resolve } from 'node:path';
import { PEERS, peerDir } from '../../bench/lib/peers.mjs';
import { hashOfInputs, isBuilt, modules } from '../../scripts/lib/wasm-modules.mjs';
import { root } from '../layout/files.ts';

/** The words `NARTHEX_REQUIRE` may list. */
export type Requirement = 'conformance' | 'promtool' | 'node_exporter' | 'peers' | 'wasm';

/** Whether the absence of something is a failure rather than a reason to skip. */
export function isRequired(name: Requirement): boolean {
  return (process.env.NARTHEX_REQUIRE ?? '').split(',').includes(name);
}

/**
 * Passes a found thing on. Absent: throws where it is required, else prints why tests are skipped.
 *
 * @param way how to get it, for whoever reads the message
 */
export function orSkip<T>(name: Requirement, found: T | undefined, way: string): T | undefined {
  if (found !== undefined) return found;
  if (isRequired(name)) throw new Error(`${name} is required and absent: ${way}`);
  console.warn(`skipped, ${name} is absent: ${way}`);
  return undefined;
}

/** A folder of the conformance vectors. */
export function conformance(folder: string): string | undefined {
  const base = process.env.NARTHEX_CONFORMANCE ?? resolve(root, '..', 'shared', 'conformance');
  const path = join(base, folder);
  return orSkip('conformance', existsSync(path) ? path : undefined, `no ${path}; NARTHEX_CONFORMANCE says where`);
}

/**
 * A module of crates/wasm, by its path in dist: the compiled one, or its glue. One of other sources than these counts as
 * absent: what it does says nothing about them.
 */
export function wasmBuild(path: string): string | undefined {
  const file = join(root, 'dist', path);
  const how = '`npm run build:wasm -- --testkit`';
  if (!existsSync(file)) return orSkip('wasm', undefined, `no ${file}: ${how}`);
  const folder = dirname(file);
  const module = modules.find((m) => m.folder === folder && m.name === basename(file, extname(file)));
  wasmInputs ??= hashOfInputs();
  const isFresh = module !== undefined && isBuilt(module, wasmInputs);
  return orSkip('wasm', isFresh ? file : undefined, `${file} is stale, built of other sources: ${how}`);
}

let wasmInputs: string | undefined;

/** A program: among the peers built by `npm run bench:peers`, or on PATH. */
export function findProgram(name: string): string | undefined {
  return findIn([...PEERS.map(peerDir), ...(process.env.PATH ?? '').split(delimiter)], name);
}

/** A program of the Prometheus release that we stand in for; older ones do not count. */
export function currentPeer(name: 'prometheus' | 'promtool'): string | undefined {
  // A plain `go build` leaves the version empty, so those count by where they are.
  const built = findIn(PEERS.map(peerDir), name);
  const other = findProgram(name);
  const current = built ?? (other !== undefined && versionOf(other).startsWith('3.16.') ? other : undefined);
  return orSkip('peers', current, `${name} 3.16 is built by \`npm run bench:peers\``);
}

function findIn(folders: string[], name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** The version a Prometheus program prints, '' where it prints none. */
function versionOf(path: string): string {
  const output = execFileSync(path, ['--version'], { encoding: 'utf8' });
  return /version ([\d.]+)/.exec(output)?.[1] ?? '';
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
