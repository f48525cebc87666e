/**
 * The WASM modules: what they are built of, where they are, and whether they are what the sources of now would give.
 * A build writes the hash of its inputs beside the module; whoever runs a module may ask whether it still holds.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const dist = join(root, 'dist');

/** The modules, with the profile and the features of crates/wasm that make them. */
export const modules = [
  { key: 'syntax', name: 'syntax', folder: join(dist, 'wasm'), profile: 'wasm-syntax', features: [] },
  { key: 'engine', name: 'engine', folder: join(dist, 'wasm'), profile: 'wasm', features: ['engine'] },
  {
    key: 'testkit',
    name: 'engine',
    folder: join(dist, '.wasm-testkit'),
    profile: 'wasm',
    features: ['testkit'],
    extra: true,
  },
];

/** Folders below crates/ that no module is built of. */
const SKIPPED = ['tests', 'benches', 'node', 'scripts'];

/** The compiled module. */
export function wasmOf(module) {
  return join(module.folder, `${module.name}.wasm`);
}

/** The hash of all that modules are built of. Takes some 20 ms. */
export function hashOfInputs() {
  const hash = createHash('sha256').update(process.env.RUSTFLAGS ?? '');
  const files = ['Cargo.toml', 'Cargo.lock', 'scripts/build-wasm.mjs', ...filesBelow('crates')];
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

/** Whether a module is there and was built of these inputs. */
export function isBuilt(module, hash) {
  return existsSync(wasmOf(module)) && existsSync(stampOf(module)) && readFileSync(stampOf(module), 'utf8') === hash;
}

/** Keeps what a module was built of. */
export function stamp(module, hash) {
  writeFileSync(stampOf(module), hash);
}

function stampOf(module) {
  return join(module.folder, `.${module.name}-inputs`);
}

function filesBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return SKIPPED.includes(entry.name) ? [] : filesBelow(path);
      return entry.name.endsWith('.md') ? [] : [path];
    });
}
