import { expect, test } from 'vitest';
import { ENGINE_ERRORS } from '../../ts/core/errors.ts';
import { textOf } from './files.ts';

test('the error codes of the core and of TypeScript are the same', () => {
  const source = textOf('crates/engine/src/error.rs');
  const table = /fn as_str\(self\)[\s\S]*?\n {4}\}/.exec(source)?.[0] ?? '';
  const codes = [...table.matchAll(/=> "([A-Z_]+)"/g)].map((match) => match[1]);
  expect(codes).toEqual(Object.keys(ENGINE_ERRORS));
});
