/** File name patterns as Go's `filepath.Glob` has them: `*`, `?` and `[…]`, never across a `/`. */

import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const META = /[*?[\\]/;

/**
 * The files a pattern matches, sorted; a pattern without meta characters matches the file of that
 * name where it exists. Directories that cannot be read match nothing.
 * @throws Error for a pattern that is not one.
 */
export async function glob(pattern: string): Promise<string[]> {
  const regex = toRegex(basename(pattern));
  if (!META.test(pattern)) return (await exists(pattern)) ? [pattern] : [];
  const parent = dirname(pattern);
  const directories = META.test(parent) ? await glob(parent) : [parent];
  const found: string[] = [];
  for (const directory of directories) {
    for (const name of await list(directory)) {
      if (regex.test(name)) found.push(parent === '.' && !pattern.startsWith('./') ? name : join(directory, name));
    }
  }
  return found;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

async function list(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch {
    return [];
  }
}

function toRegex(pattern: string): RegExp {
  let out = '^';
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern.charAt(i);
    if (char === '*') out += '[^/]*';
    else if (char === '?') out += '[^/]';
    else if (char === '[') {
      const end = pattern.indexOf(']', i + 2);
      if (end < 0) throw new Error('syntax error in pattern');
      out += `[${pattern.slice(i + 1, end).replaceAll(/[\\[\]]/g, '\\$&')}]`;
      i = end;
    } else if (char === '\\' && i + 1 < pattern.length) out += literal(pattern.charAt(++i));
    else out += literal(char);
  }
  return new RegExp(`${out}$`, 'su');
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
}
