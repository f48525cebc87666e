/** A module that was built of other sources than these is told from one that holds. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hashOfInputs, isBuilt, stamp } from '../../scripts/lib/wasm-modules.mjs';
import { scratch } from '../support/vectors.ts';

test('a module holds as long as its inputs do', () => {
  const module = { key: 'engine', name: 'engine', folder: scratch('stale').path('wasm'), profile: '', features: [] };
  const hash = hashOfInputs();
  expect(hashOfInputs()).toBe(hash);
  expect(isBuilt(module, hash)).toBe(false);
  mkdirSync(module.folder, { recursive: true });
  stamp(module, hash);
  expect(isBuilt(module, hash)).toBe(false);
  writeFileSync(`${module.folder}/engine.wasm`, '');
  expect(isBuilt(module, hash)).toBe(true);
  stamp(module, 'of other sources');
  expect(isBuilt(module, hash)).toBe(false);
});

test('the inputs are what modules are built of', () => {
  const before = process.env.RUSTFLAGS;
  const hash = hashOfInputs();
  process.env.RUSTFLAGS = '-Cdebuginfo=2';
  try {
    expect(hashOfInputs()).not.toBe(hash);
  } finally {
    if (before === undefined) delete process.env.RUSTFLAGS;
    else process.env.RUSTFLAGS = before;
  }
});
