/** Go's ways with names: file patterns and URLs. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseGoUrl } from './go-url.ts';
import { glob } from './index.ts';

describe('patterns', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'narthex-glob-'));
    await mkdir(join(directory, 'sub'));
    for (const name of ['a.yml', 'b.yml', 'c.json', 'x+y.yml', 'sub/d.yml']) await writeFile(join(directory, name), '');
  });
  afterAll(() => rm(directory, { recursive: true }));

  it.each([
    ['*.yml', ['a.yml', 'b.yml', 'x+y.yml']],
    ['[ab].yml', ['a.yml', 'b.yml']],
    ['[^a].yml', ['b.yml']],
    ['?.json', ['c.json']],
    ['*/*.yml', ['sub/d.yml']],
    ['x+y.yml', ['x+y.yml']],
    ['x+?.yml', ['x+y.yml']],
    ['a.yml', ['a.yml']],
    ['none.yml', []],
    ['none/*.yml', []],
  ])('%s', async (pattern, names) => {
    expect(await glob(join(directory, pattern))).toEqual(names.map((name) => join(directory, name)));
  });

  it('refuses a class that does not end', async () => {
    await expect(glob('[a')).rejects.toThrow('syntax error in pattern');
  });
});

describe('URLs', () => {
  it.each([
    ['http://u:p@h:1/p?q#f', { scheme: 'http', host: 'h:1' }],
    ['HTTPS://[::1]:9090', { scheme: 'https', host: '[::1]:9090' }],
    ['/path', { scheme: '', host: '' }],
    ['', { scheme: '', host: '' }],
    ['mailto:x', { scheme: 'mailto', host: '' }],
  ])('%s', (text, parts) => {
    expect(parseGoUrl(text)).toEqual(parts);
  });

  it.each([
    ['://x', 'parse "://x": missing protocol scheme'],
    ['http://a b', 'parse "http://a b": invalid character " " in host name'],
    ['http://h:x', 'parse "http://h:x": invalid port ":x" after host'],
    ['http://[::1', 'parse "http://[::1": missing \']\' in host'],
    ['http://h/%zz', 'parse "http://h/%zz": invalid URL escape "%zz"'],
    ['1a:b', 'parse "1a:b": first path segment in URL cannot contain colon'],
    ['http://h/\n', String.raw`parse "http://h/\n": net/url: invalid control character in URL`],
  ])('refuses %j', (text, message) => {
    expect(() => parseGoUrl(text)).toThrow(message);
  });
});
