import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { filesBelow, textOf } from './files.ts';

/**
 * What each folder of ts/ may import besides itself; tests are aside. A folder that is not listed here must be given
 * its place before it imports anything. `*` is the composition root's privilege.
 */
const MAY_IMPORT: Record<string, string[] | '*'> = {
  util: [],
  config: ['util'],
  client: ['util'],
  core: ['util'],
  discovery: ['config', 'client', 'util'],
  http: ['config', 'util'],
  scrape: ['config', 'core', 'client', 'http', 'util'],
  remote: ['config', 'core', 'client', 'http', 'util'],
  api: ['config', 'core', 'client', 'util'],
  server: '*',
  cli: '*',
};

interface Import {
  file: string;
  folder: string;
  specifier: string;
}

const packageJson = JSON.parse(textOf('package.json')) as {
  dependencies: Record<string, string>;
  imports: Record<string, string>;
};
const imports: Import[] = filesBelow('ts', /(?<!\.(test|fixture))\.ts$/).flatMap((file) =>
  [...textOf(file).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^'\n]+)'/g)].map((match) => ({
    file,
    folder: file.split('/')[1] ?? '',
    specifier: match[1] ?? '',
  })),
);

/** The folder of ts/ an import leads to, `undefined` for a package or a module of Node. */
function targetOf({ file, specifier }: Import): string | undefined {
  if (specifier.startsWith('.')) return posix.relative('ts', posix.join(posix.dirname(file), specifier)).split('/')[0];
  if (specifier === 'narthex') return 'core';
  return /^narthex\/([^/]+)/.exec(specifier)?.[1];
}

describe('imports in ts/', () => {
  test('there are some, so the patterns still fit', () => {
    expect(imports.length).toBeGreaterThan(20);
  });

  test('follow the order of the folders', () => {
    const wrong = imports.filter((each) => {
      const target = targetOf(each);
      if (target === undefined || target === each.folder) return false;
      const allowed = MAY_IMPORT[each.folder] ?? [];
      return allowed !== '*' && !allowed.includes(target);
    });
    expect(wrong.map(({ file, specifier }) => `${file} → ${specifier}`)).toEqual([]);
  });

  test('lead to declared dependencies, to Node by its prefix, or to what package.json imports', () => {
    const wrong = imports.filter((each) => {
      if (targetOf(each) !== undefined || each.specifier.startsWith('node:')) return false;
      if (Object.keys(packageJson.imports).some((name) => each.specifier.startsWith(name.replace('*', ''))))
        return false;
      const name = each.specifier
        .split('/')
        .slice(0, each.specifier.startsWith('@') ? 2 : 1)
        .join('/');
      return !Object.hasOwn(packageJson.dependencies, name);
    });
    expect(wrong.map(({ file, specifier }) => `${file} → ${specifier}`)).toEqual([]);
  });
});
