import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
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

  test('in TypeScript: every folder opens with a header', () => {
    const folders = new Set(filesBelow('ts', /\.ts$/).map(dirname));
    const silent = [...folders].filter((folder) => {
      const entries = ['index.ts', 'main.ts', `${basename(folder)}.ts`].map((name) => join(folder, name));
      const entry = entries.find((path) => existsSync(join(root, path)));
      return entry === undefined || !/^(#!.*\n)?\/\*\*/.test(textOf(entry));
    });
    expect(silent).toEqual([]);
  });
});
