#!/usr/bin/env node
/**
 * Builds what a checkout needs to run: the native addon (dist/native/narthex.node), the JavaScript (dist/), and what
 * V8 compiles of the program at its start (dist/bundle/*.v8).
 * npm calls it after an install and before `start` and `test`; what has not changed since the last build is skipped.
 * It runs before anything is installed, so it imports nothing but Node's own modules.
 *
 * Usage: node scripts/prepare.mjs [--only=addon|dist|code] [--force]
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const isTest = /\.(test|fixture)\.ts$/;

/** What is built: its inputs, where it ends up, and how. A part is rebuilt when the hash of its inputs changes. */
const parts = {
  addon: {
    title: 'native core (release build; a few minutes the first time)',
    stamp: join(dist, 'native', '.inputs'),
    outputs: [join(dist, 'native', 'narthex.node')],
    inputs: () => [
      join(root, 'Cargo.toml'),
      join(root, 'Cargo.lock'),
      ...filesBelow(join(root, 'crates'), ['testkit', 'wasm', 'tests', 'benches', 'fuzz'], /(?<!\.md)$/),
    ],
    needs: ['node', 'rust', 'cc'],
    build: buildAddon,
  },
  dist: {
    title: 'JavaScript',
    stamp: join(dist, '.inputs'),
    outputs: [join(dist, 'core', 'index.js')],
    inputs: () => [
      ...['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) => join(root, name)),
      ...filesBelow(join(root, 'ts'), [], /./).filter((file) => !isTest.test(file)),
    ],
    needs: ['node'],
    build: buildDist,
  },
  code: {
    title: 'startup code',
    stamp: join(dist, '.code-inputs'),
    outputs: [join(dist, 'bundle', 'program.cjs.v8')],
    inputs: () => [...parts.dist.inputs(), join(root, 'scripts', 'lib', 'code-cache.mjs')],
    also: process.version,
    needs: ['node'],
    build: buildCode,
  },
};

/** One sentence for each tool that is missing or too old; `undefined` where it is fine. */
const tools = {
  node: () => {
    const wanted = /"node":\s*">=([\d.]+)"/.exec(readFileSync(join(root, 'package.json'), 'utf8'))?.[1] ?? '0';
    return older(process.versions.node, wanted)
      ? `Node ${process.versions.node} is too old: install Node ${wanted} or later (https://nodejs.org).`
      : undefined;
  },
  rust: () => {
    const wanted = /^rust-version = "([\d.]+)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))?.[1] ?? '0';
    const found = outputOf('rustc', ['--version'])?.split(' ')[1];
    const how = `install Rust ${wanted} or later (https://rustup.rs) and run \`npm install\` again.`;
    if (found === undefined) return `The Rust compiler (rustc) is missing: ${how}`;
    if (older(found, wanted)) return `Rust ${found} is too old: ${how}`;
    return outputOf('cargo', ['--version']) === undefined ? `Rust's build tool (cargo) is missing: ${how}` : undefined;
  },
  cc: () =>
    outputOf(process.env.CC || 'cc', ['--version']) === undefined
      ? 'A C compiler (cc) is missing: `apt-get install build-essential` on Debian and Ubuntu, ' +
        '`xcode-select --install` on macOS, then run `npm install` again.'
      : undefined,
};

/** What stops a build and is told to the user as it is. */
class Refusal extends Error {}

// Interrupted, a build ends by itself; staying alive until then leaves time to remove what it had begun.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  note(error.message);
  process.exitCode = 1;
}

function main(args) {
  const only = args.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
  if (only !== undefined && !Object.hasOwn(parts, only))
    throw new Refusal(`--only is one of: ${Object.keys(parts).join(', ')}.`);
  const wanted = only === undefined ? Object.values(parts) : [parts[only]];

  if (!existsSync(join(root, 'crates')) || !existsSync(join(root, 'ts'))) {
    note('an installed package: nothing to build.');
    return;
  }
  const due = [];
  for (const part of wanted) {
    const hash = hashOf(part.inputs(), part.also);
    if (args.includes('--force') || !isBuilt(part, hash)) due.push({ part, hash });
  }
  if (due.length === 0) return;
  if (!['@napi-rs/cli', 'rolldown', 'typescript'].every((name) => existsSync(join(root, 'node_modules', name)))) {
    note('devDependencies are not installed, so nothing is built; `npm install` without --omit=dev builds all.');
    return;
  }
  const missing = [...new Set(due.flatMap(({ part }) => part.needs))].map((name) => tools[name]()).filter(Boolean);
  if (missing.length > 0) throw new Refusal(missing.join('\nnarthex: '));

  for (const { part, hash } of due) {
    note(`building the ${part.title} …`);
    const started = process.hrtime.bigint();
    part.build();
    writeFileSync(part.stamp, hash);
    note(`done in ${(Number(process.hrtime.bigint() - started) / 1e9).toFixed(1)} s.`);
  }
}

/** Builds beside the old addon and renames, so that a running process keeps the file it has mapped. */
function buildAddon() {
  inScratch('addon', (scratch) => {
    run(
      'napi',
      [
        'build',
        '--release',
        '--manifest-path',
        join(root, 'crates', 'node', 'Cargo.toml'),
        '--package-json-path',
        join(root, 'package.json'),
        '--target-dir',
        targetDir(),
        '--output-dir',
        scratch,
        '--',
        '--locked',
      ],
      'The native core did not build: the compiler says why above.',
    );
    mkdirSync(join(dist, 'native'), { recursive: true });
    renameSync(join(scratch, 'narthex.node'), join(dist, 'native', 'narthex.node'));
  });
}

/** Compiles into a scratch folder and swaps, so that nothing stale stays and a failed build leaves the old one. */
function buildDist() {
  inScratch('dist', (scratch) => {
    run(
      'tsc',
      ['--project', join(root, 'tsconfig.build.json'), '--outDir', scratch],
      'The TypeScript has errors, see above.',
    );
    bundle(join(scratch, 'bundle'));
    for (const file of filesBelow(join(root, 'ts'), [], /./).filter((name) => !name.endsWith('.ts'))) {
      cpSync(file, join(scratch, relative(join(root, 'ts'), file)));
    }
    for (const name of readdirSync(dist)) {
      if (!['native', 'wasm'].includes(name) && !name.startsWith('.')) rmSync(join(dist, name), { recursive: true });
    }
    for (const name of readdirSync(scratch)) renameSync(join(scratch, name), join(dist, name));
    const program = join(dist, 'cli', 'main.js');
    if (existsSync(program)) chmodSync(program, 0o755);
  });
}

/** The program and what it depends on in a few files, which `dist/cli/main.js` loads. */
function bundle(folder) {
  run(
    'rolldown',
    [
      ...['--input', join(root, 'ts', 'cli', 'program.ts'), '--dir', folder],
      ...['--platform', 'node', '--format', 'cjs', '--logLevel', 'warn'],
      ...['--entryFileNames', '[name].cjs', '--chunkFileNames', '[name].cjs'],
    ],
    'The program could not be bundled, see above.',
    ['ignore', 'ignore', 'inherit'],
  );
  writeFileSync(join(folder, 'LICENSES.txt'), licenses(folder));
}

/** The licences of the packages in a bundle, which names the file before each piece of code. */
function licenses(folder) {
  const named = filesBelow(folder, [], /\.cjs$/).flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(/^\/\/.* (?:\S*\/)?node_modules\/((?:@[^/\n]+\/)?[^/\n]+)/gm),
  ]);
  const names = [...new Set(named.map(([, name]) => name))].sort();
  const texts = names.map((name) => {
    const from = join(root, 'node_modules', name);
    const file = readdirSync(from).find((entry) => /^licen[cs]e/i.test(entry));
    const { version, license } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
    const text = file === undefined ? `Licence: ${license}\n` : readFileSync(join(from, file), 'utf8');
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

/** A program without it starts slower and does the same, so a failure is told and goes no further. */
function buildCode() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'lib', 'code-cache.mjs'), dist], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 60_000,
  });
  if (status !== 0) note('the startup code could not be made; the program starts slower without it.');
}

function inScratch(name, build) {
  const scratch = join(dist, `.${name}-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  try {
    build(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function isBuilt(part, hash) {
  return (
    part.outputs.every((file) => existsSync(file)) &&
    existsSync(part.stamp) &&
    readFileSync(part.stamp, 'utf8') === hash
  );
}

function hashOf(files, also = '') {
  const facts = [process.platform, process.arch, process.env.RUSTFLAGS ?? '', also];
  const hash = createHash('sha256').update(`${facts.join(' ')}\n`);
  for (const file of files) {
    const content = readFileSync(file);
    hash.update(`${relative(root, file)} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

/** Files below a folder whose names match, sorted; folders with a skipped name are left out. */
function filesBelow(folder, skipped, pattern) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!skipped.includes(entry.name)) found.push(...filesBelow(path, skipped, pattern));
    } else if (pattern.test(entry.name)) {
      found.push(path);
    }
  }
  return found;
}

function targetDir() {
  return process.env.CARGO_TARGET_DIR ?? join(root, 'target');
}

function run(program, args, sentence, stdio = 'inherit') {
  const { status } = spawnSync(join(root, 'node_modules', '.bin', program), args, { cwd: root, stdio });
  if (status !== 0) throw new Refusal(sentence);
}

function outputOf(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

/** Whether version `found` comes before `wanted`; pre-release suffixes are ignored. */
function older(found, wanted) {
  const [a, b] = [found, wanted].map((version) => version.split(/[.-]/).map(Number));
  for (let i = 0; i < 3; i++) {
    if ((a[i] || 0) !== (b[i] || 0)) return (a[i] || 0) < (b[i] || 0);
  }
  return false;
}

function note(text) {
  process.stderr.write(`narthex: ${text}\n`);
}
