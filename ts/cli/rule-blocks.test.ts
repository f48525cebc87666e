import { expect, test } from 'vitest';
import { ruleGroupHash } from '../core/index.ts';
import { ruleRanges } from './rule-blocks.ts';

const HOUR_MS = 3_600_000;
const START_MS = 1_767_225_600_000;

test('a group is evaluated at its own offset, on no time twice, within every block', () => {
  const group = { file: 'rules.yml', name: 'g', intervalMs: 60_000 };
  const span = { startMs: START_MS + HOUR_MS, endMs: START_MS + 5 * HOUR_MS, blockDurationMs: 2 * HOUR_MS };
  const ranges = [...ruleRanges(group, span)];
  expect(ranges).toHaveLength(3);
  const offsetNs = ruleGroupHash(group.file, group.name) % 60_000_000_000n;
  let before = BigInt(span.startMs) * 1_000_000n - 1n;
  for (const { startNs, endNs, stepNs } of ranges) {
    expect((startNs - offsetNs) % stepNs).toBe(0n);
    expect(startNs > before && startNs - before <= stepNs + 1_000_000_000n).toBe(true);
    before = startNs + ((endNs - startNs) / stepNs) * stepNs;
    expect(endNs <= BigInt(span.endMs) * 1_000_000n).toBe(true);
  }
});

test('a block without an evaluation is passed over, not the end', () => {
  const group = { file: 'rules.yml', name: 'slow', intervalMs: 6 * HOUR_MS };
  const span = { startMs: START_MS, endMs: START_MS + 24 * HOUR_MS, blockDurationMs: 2 * HOUR_MS };
  expect([...ruleRanges(group, span)]).toHaveLength(4);
});
