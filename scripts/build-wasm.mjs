#!/usr/bin/env node
/**
 * Builds the WASM modules with wasm-pack: dist/wasm/syntax.{js,wasm} (syntax services alone), dist/wasm/engine.{js,wasm}
 * (everything), and with --testkit dist/.wasm-testkit/engine.{js,wasm}, the engine that also runs the PromQL test
 * language. What has not changed since the last build is skipped. Prints the sizes.
 *
 * Usage: node scripts/build-wasm.mjs [--testkit] [--only=syntax|engine|testkit] [--install-tools] [--force] [--names]
 *
 * --names builds anew and leaves the names of functions in, for profilers; such a module counts as stale afterwards.
 * --install-tools builds wasm-pack and wasm-bindgen into the user's cache, by version.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { hashOfInputs, isBuilt, modules, stamp, wasmOf } from './lib/wasm-modules.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const target = 'wasm32-unknown-unknown';
const WASM_PACK_VERSION = '0.15.1';
/** The glue that wasm-bindgen writes fits the crate of its own version alone. */
const BINDGEN_VERSION =
  /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(readFileSync(join(root, 'Cargo.lock'), 'utf8'))?.[1] ?? '';
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
const toolsDir = join(cache, 'narthex', `wasm-tools-${WASM_PACK_VERSION}-${BINDGEN_VERSION}`);

/** What stops a build and is told to the user as it is. */
class Refusal extends Error {}

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  note(error.message);
  process.exitCode = 1;
}

function main(args) {
  const only = modules.find(({ key }) => args.includes(`--only=${key}`));
  const known = ['--testkit', '--install-tools', '--force', '--names', `--only=${only?.key}`];
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) throw new Refusal(`unknown argument ${unknown}`);
  if (args.includes('--install-tools')) installTools();
  const names = args.includes('--names');
  const hash = hashOfInputs();
  const due = modules.filter(
    (module) =>
      (only ? module === only : !module.extra || args.includes('--testkit')) &&
      (names || args.includes('--force') || !isBuilt(module, hash)),
  );
  if (due.length === 0) return;
  const { chain, missing } = toolchain();
  if (chain === undefined) throw new Refusal(`the WASM modules cannot be built here:\n  ${missing.join('\n  ')}`);
  for (const module of due) {
    const started = process.hrtime.bigint();
    build(module, chain, names);
    stamp(module, names ? 'built with names' : hash);
    const seconds = (Number(process.hrtime.bigint() - started) / 1e9).toFixed(0);
    note(`${relative(root, wasmOf(module))}: ${sizes(wasmOf(module))}, built in ${seconds} s`);
  }
}

/** The tools, and how the standard library for WASM is had; or what is missing. */
function toolchain() {
  const env = { ...process.env, PATH: [join(toolsDir, 'bin'), process.env.PATH].join(delimiter) };
  const missing = [];
  const version = (program) => outputOf(program, ['--version'], env)?.split(' ')[1]?.trim();
  if (version('wasm-pack') === undefined) {
    missing.push(`wasm-pack is absent: \`cargo install wasm-pack@${WASM_PACK_VERSION}\`, or --install-tools`);
  }
  if (version('wasm-bindgen') !== BINDGEN_VERSION) {
    missing.push(
      `wasm-bindgen ${BINDGEN_VERSION} is absent: \`cargo install wasm-bindgen-cli@${BINDGEN_VERSION}\`, or --install-tools`,
    );
  }
  const libdir = outputOf('rustc', ['--print', 'target-libdir', '--target', target], env)?.trim();
  const sysroot = outputOf('rustc', ['--print', 'sysroot'], env)?.trim() ?? '';
  const hasStd = libdir !== undefined && existsSync(libdir) && readdirSync(libdir).some((n) => n.startsWith('libstd-'));
  // Debian's cargo-web and rustc-web build the standard library from rust-web-src, which is asked for by a flag.
  const source = existsSync(join(sysroot, 'lib', 'rustlib', 'src', 'rust', 'library', 'std'));
  const extra = [];
  if (!hasStd && source && outputOf('wasm-ld', ['--version'], env) !== undefined) {
    extra.push('-Z', 'build-std=std,panic_abort');
    env.RUSTC_BOOTSTRAP = '1';
    env.CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER = 'wasm-ld';
    // wasm-pack looks for this folder, nothing else.
    if (libdir !== undefined && !existsSync(dirname(libdir))) {
      missing.push(`wasm-pack wants the folder ${dirname(libdir)}: \`mkdir -p ${dirname(libdir)}\``);
    }
  } else if (!hasStd) {
    missing.push(
      `Rust cannot compile for ${target}: \`rustup target add ${target}\`, or Debian's rustc-web, cargo-web, rust-web-src, lld`,
    );
  }
  return missing.length > 0 ? { missing } : { chain: { env, extra }, missing };
}

function installTools() {
  for (const [name, version, program] of [
    ['wasm-pack', WASM_PACK_VERSION, 'wasm-pack'],
    ['wasm-bindgen-cli', BINDGEN_VERSION, 'wasm-bindgen'],
  ]) {
    if (existsSync(join(toolsDir, 'bin', program))) continue;
    note(`installing ${name} ${version} into ${toolsDir} …`);
    const args = ['install', '--quiet', `${name}@${version}`, '--root', toolsDir];
    const env = { ...process.env, CARGO_TARGET_DIR: join(toolsDir, 'target') };
    if (spawnSync('cargo', args, { stdio: 'inherit', env }).status !== 0) {
      throw new Refusal(`${name} ${version} did not build: cargo says why above.`);
    }
  }
  rmSync(join(toolsDir, 'target'), { recursive: true, force: true });
}

/** Builds into a scratch folder and renames, so that a failed build leaves the old module. */
function build(module, { env, extra }, names) {
  mkdirSync(module.folder, { recursive: true });
  const scratch = mkdtempSync(join(dist, '.wasm-'));
  try {
    const args = ['build', join(root, 'crates', 'wasm'), '--mode', 'no-install', '--target', 'no-modules'];
    args.push('--no-pack', '--no-typescript', '--no-opt', '--profile', module.profile, '--out-dir', scratch);
    args.push('--out-name', module.name, '--', ...extra, '--locked', '--no-default-features');
    args.push('--features', module.features.join(','));
    // 128-bit SIMD is in every browser since 2023, and in Node since 16.
    const flags = [process.env.CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS ?? '', '-Ctarget-feature=+simd128'];
    const { status } = spawnSync('wasm-pack', args, {
      cwd: root,
      env: { ...env, CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: flags.join(' ').trim() },
      stdio: 'inherit',
    });
    if (status !== 0) throw new Refusal(`the WASM module ${module.name} did not build: wasm-pack says why above.`);
    const wasm = join(scratch, `${module.name}_bg.wasm`);
    if (!names) writeFileSync(wasm, withoutNames(readFileSync(wasm)));
    optimize(module, wasm, env);
    writeFileSync(
      join(scratch, 'glue.js'),
      glue(readFileSync(join(scratch, `${module.name}.js`), 'utf8'), module.name),
    );
    renameSync(join(scratch, 'glue.js'), join(module.folder, `${module.name}.js`));
    renameSync(wasm, wasmOf(module));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * A module without its custom sections, which hold the names of functions. The linker may not leave them out: wasm-bindgen
 * reads there which features are on.
 */
function withoutNames(bytes) {
  const kept = [bytes.subarray(0, 8)];
  for (let at = 8; at < bytes.length; ) {
    const start = at++;
    let size = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes[at++];
      size += (byte & 0x7f) * 2 ** shift;
      more = byte > 0x7f;
    }
    at += size;
    if (bytes[start] !== 0) kept.push(bytes.subarray(start, at));
  }
  return Buffer.concat(kept);
}

/** binaryen's pass over the module, where there is one. It makes it a little smaller; what it does not know it leaves. */
function optimize(module, wasm, env) {
  if (outputOf('wasm-opt', ['--version'], env) === undefined) return;
  const features = [
    'simd',
    'bulk-memory',
    'sign-ext',
    'nontrapping-float-to-int',
    'mutable-globals',
    'reference-types',
  ];
  const enabled = [...features, 'multivalue'].map((name) => `--enable-${name}`);
  const smaller = `${wasm}.opt`;
  const level = module.profile === 'wasm' ? '-O3' : '-Oz';
  const { status } = spawnSync('wasm-opt', [level, ...enabled, wasm, '-o', smaller], { env, stdio: 'inherit' });
  if (status === 0) copyFileSync(smaller, wasm);
  else note('wasm-opt failed; the module stays as the compiler made it.');
}

/**
 * wasm-bindgen's glue as an ES module. The glue holds one instance; as a function it can be had afresh, so that each
 * engine has its own memory and a trap ends no other.
 */
function glue(script, name) {
  return [
    '/** Generated by scripts/build-wasm.mjs. */',
    `export const url = new URL('./${name}.wasm', import.meta.url);`,
    '',
    'export function glue() {',
    script.trim(),
    'return wasm_bindgen;',
    '}',
    '',
  ].join('\n');
}

function sizes(file) {
  const bytes = readFileSync(file);
  const kB = (n) => `${Math.round(n / 1000)} kB`;
  return `${kB(bytes.length)}, ${kB(gzipSync(bytes, { level: 9 }).length)} gzipped`;
}

function outputOf(program, args, env) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', env });
  return status === 0 ? stdout : undefined;
}

function note(text) {
  process.stderr.write(`narthex: ${text}\n`);
}
