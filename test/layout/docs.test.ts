import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { filesBelow, root, textOf } from './files.ts';

/** Links, and paths in backticks that begin with a folder of ours; braces stand for several. */
const LINK = /\]\((?!https?:|#)([^)#]+)[^)]*\)/g;
const PATH = /`((?:crates|ts|test|bench|scripts|examples|\.ci)\/[\w./{},-]*)`/g;

function expand(path: string): string[] {
  const [, before = '', choices = '', after = ''] = /^(.*?)\{(.*?)\}(.*)$/.exec(path) ?? [];
  return choices === '' ? [path] : choices.split(',').flatMap((choice) => expand(before + choice + after));
}

test('what the documents point at exists', () => {
  const missing = filesBelow('.', /\.md$/).flatMap((file) => {
    const text = textOf(file);
    const links = [...text.matchAll(LINK)].map((match) => join(dirname(file), match[1] ?? ''));
    const paths = dirname(file) === '.' ? [...text.matchAll(PATH)].flatMap((match) => expand(match[1] ?? '')) : [];
    return [...links, ...paths].filter((path) => !existsSync(join(root, path))).map((path) => `${file} → ${path}`);
  });
  expect(missing).toEqual([]);
});
