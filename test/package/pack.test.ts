/** The package as a user gets it: packed, unpacked elsewhere, imported, type-checked. It needs what `pretest` builds. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root, textOf } from '../layout/files.ts';
import { wasmBuild } from '../support/require.ts';

interface Manifest {
  version: string;
  exports: Record<string, unknown>;
  dependencies: Record<string, string>;
}

const manifest = JSON.parse(textOf('package.json')) as Manifest;
const consumer = mkdtempSync(join(tmpdir(), 'narthex-pack-'));
const installed = join(consumer, 'node_modules', 'narthex');
let packed: string[] = [];

/** Installs without a registry: what the package depends on is linked from this checkout. */
beforeAll(() => {
  const json = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', consumer], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [tarball] = Object.values(JSON.parse(json)) as { filename: string; files: { path: string }[] }[];
  if (tarball === undefined) throw new Error('npm pack named no tarball');
  packed = tarball.files.map(({ path }) => path);
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(consumer, tarball.filename), '-C', installed, '--strip-components=1']);
  for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'undici-types']) {
    const link = join(consumer, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
  writeFileSync(join(consumer, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }\n');
}, 60_000);

afterAll(() => rmSync(consumer, { recursive: true, force: true }));

function run(file: string, ...args: string[]): string {
  return execFileSync(process.execPath, [file, ...args], { cwd: consumer, encoding: 'utf8' });
}

describe('the packed package', () => {
  test('holds the program and the addon, no sources and no tests', () => {
    expect(packed).toContain('dist/cli/main.js');
    expect(packed).toContain('dist/native/narthex.node');
    expect(packed).toContain('LICENSE');
    expect(packed).toContain('dist/bundle/program.cjs');
    expect(packed).toContain('dist/bundle/LICENSES.txt');
    expect(packed.filter((path) => /\.test\.|\/\.|^(crates|ts|test|target|data)\//.test(path))).toEqual([]);
  });

  test('imports under every name it exports', () => {
    const names = Object.keys(manifest.exports).filter((name) => !name.endsWith('.json'));
    const lines = names.map((name) => `await import(${JSON.stringify(`narthex${name.slice(1)}`)});`);
    writeFileSync(join(consumer, 'all.mjs'), `${lines.join('\n')}\nconsole.log('imported');\n`);
    expect(run('all.mjs')).toBe('imported\n');
  });

  test('opens a database in memory', () => {
    const lines = [
      "import { open } from 'narthex';",
      "const engine = await open({ dir: ':memory:' });",
      'const timestamps = Float64Array.of(1000);',
      "await engine.append([{ labels: { __name__: 'up' }, timestamps, values: Float64Array.of(42) }]);",
      "const { series } = await engine.query({ query: 'up + 1', timeMs: 1000 });",
      'console.log(series.length, series[0].values[0]);',
      'await engine.close();',
    ];
    writeFileSync(join(consumer, 'open.mjs'), lines.join('\n'));
    expect(run('open.mjs')).toBe('1 43\n');
  });

  test.skipIf(wasmBuild('wasm/engine.wasm') === undefined)('opens a database in WASM', () => {
    const lines = [
      "import { open } from 'narthex/wasm';",
      "import { loadSyntax } from 'narthex/syntax';",
      'const engine = await open();',
      "const { series } = await engine.query({ query: 'vector(42) + 1', timeMs: 1000 });",
      "console.log(series.length, series[0].values[0], (await loadSyntax()).formatQuery('sum( x )'));",
      'await engine.close();',
    ];
    writeFileSync(join(consumer, 'wasm.mjs'), lines.join('\n'));
    expect(run('wasm.mjs')).toBe('1 43 sum(x)\n');
  });

  test('has types that a strict project can use', () => {
    const source = [
      "import { open, type Engine } from 'narthex';",
      "import { open as openWasm } from 'narthex/wasm';",
      "import { loadSyntax, type Syntax } from 'narthex/syntax';",
      "const engine: Engine = await open({ dir: ':memory:' });",
      '// @ts-expect-error: no such method, so the types are not `any`',
      'engine.noSuchMethod();',
      'await engine.close();',
      'const other: Engine = await openWasm({ blocks: [{ index: new Uint8Array() }] });',
      'const syntax: Syntax = await loadSyntax();',
      '// @ts-expect-error: no such method',
      'other.noSuchMethod(syntax.noSuchMethod());',
    ];
    writeFileSync(join(consumer, 'typed.ts'), source.join('\n'));
    const options = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node'];
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    expect(execFileSync(tsc, [...options, 'typed.ts'], { cwd: consumer, encoding: 'utf8' })).toBe('');
  });

  test('starts from compiled code, and without it', () => {
    const bundle = join(installed, 'dist', 'bundle');
    const lines = [
      `import { Bundle } from ${JSON.stringify(join(installed, 'dist', 'cli', 'bundle.js'))};`,
      `const bundle = new Bundle(${JSON.stringify(bundle)});`,
      "const { main } = bundle.load('program.cjs');",
      'console.log(typeof main, bundle.refused().length);',
    ];
    writeFileSync(join(consumer, 'bundle.mjs'), lines.join('\n'));
    expect(run('bundle.mjs')).toBe('function 0\n');
    writeFileSync(join(bundle, 'program.cjs.v8'), 'of another V8');
    rmSync(join(bundle, 'rolldown-runtime.cjs.v8'));
    expect(run('bundle.mjs')).toBe('function 2\n');
  });

  test('runs as a command', () => {
    expect(run(join(installed, 'dist', 'cli', 'main.js'), '--version')).toContain(manifest.version);
  });
});
