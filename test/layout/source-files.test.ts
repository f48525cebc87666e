import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { filesBelow, root, textOf } from './files.ts';

const LINES_MAX = 800;

describe('source files', () => {
  test(`are at most ${LINES_MAX} lines long`, () => {
    const tooLong = filesBelow('.', /\.(rs|ts|mjs)$/)
      .map((path) => ({ path, lines: textOf(path).split('\n').length - 1 }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(tooLong).toEqual([]);
  });

  test('in Rust say at their top why they exist', () => {
    const silent = filesBelow('crates', /\.rs$/)
      .filter((path) => path.includes('/src/'))
      .filter((path) => !textOf(path).startsWith('//!'));
    expect(silent).toEqual([]);
  });

  test('in TypeScript say at their top why they exist', () => {
    const silent = filesBelow('ts', /(?<!\.test)\.ts$/).filter((path) => !/^(#!.*\n)?\/\*\*/.test(textOf(path)));
    expect(silent).toEqual([]);
  });

  test('every folder of ts/ has an entry', () => {
    const folders = new Set(filesBelow('ts', /\.ts$/).map((path) => path.split('/')[1] ?? ''));
    const without = [...folders].filter(
      (folder) => !['index.ts', 'main.ts'].some((name) => existsSync(join(root, 'ts', folder, name))),
    );
    expect(without).toEqual([]);
  });
});
