import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { root } from './files.ts';

/** A crate depends only on crates above it; what only tests use is aside. */
const ORDER = [
  'model',
  'chunk',
  'storage',
  'tsdb',
  'promql-syntax',
  'promql',
  'protobuf',
  'exposition',
  'wire',
  'engine',
  'testkit',
  'node',
  'wasm',
];

/** Neighbours in the order that must not know each other all the same. */
const STRANGERS: Record<string, string[]> = {
  'promql-syntax': ['tsdb'],
  promql: ['tsdb'],
  protobuf: ['model', 'chunk', 'storage', 'tsdb', 'promql-syntax', 'promql'],
  exposition: ['tsdb', 'promql-syntax', 'promql'],
  node: ['testkit'],
  wasm: ['node'],
};

interface Package {
  name: string;
  manifest_path: string;
  dependencies: { name: string; kind: 'dev' | 'build' | null; path?: string }[];
}

const metadata = execFileSync('cargo', ['metadata', '--no-deps', '--format-version=1', '--offline'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
});
const packages = (JSON.parse(metadata) as { packages: Package[] }).packages.filter((each) =>
  each.manifest_path.startsWith(`${root}crates/`),
);

test('every crate has its place in the order', () => {
  expect(packages.map(({ name }) => name).filter((name) => !ORDER.includes(name))).toEqual([]);
  expect(packages.filter(({ name, manifest_path }) => !manifest_path.endsWith(`/crates/${name}/Cargo.toml`))).toEqual(
    [],
  );
});

test('a crate depends only on crates above it', () => {
  const wrong: string[] = [];
  for (const { name, dependencies } of packages) {
    for (const dependency of dependencies) {
      if (dependency.path === undefined || dependency.kind === 'dev') continue;
      const isBelow = ORDER.indexOf(dependency.name) >= ORDER.indexOf(name);
      if (isBelow || STRANGERS[name]?.includes(dependency.name)) wrong.push(`${name} → ${dependency.name}`);
    }
  }
  expect(wrong).toEqual([]);
});
