/** Finds the project's own files for the checks of its layout. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, with a slash at the end. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

const foreign = new Set(['node_modules', 'target', 'dist', '.git', 'out', 'data']);

/** Paths, relative to the root, of the files below `folder` whose names match. */
export function filesBelow(folder: string, pattern: RegExp): string[] {
  const found: string[] = [];
  const visit = (path: string) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) {
        if (!foreign.has(entry.name)) visit(join(path, entry.name));
      } else if (pattern.test(entry.name)) {
        found.push(relative(root, join(path, entry.name)));
      }
    }
  };
  visit(join(root, folder));
  return found.sort();
}

/** The text of a file given by its path relative to the root. */
export function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
