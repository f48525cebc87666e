/** The examples do what they say, on the built package. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { root } from '../layout/files.ts';

test('examples/embed.mjs appends and queries', () => {
  const output = execFileSync(process.execPath, ['examples/embed.mjs'], { cwd: root, encoding: 'utf8' });
  const points = ['2025-12-31T23:58:00.000Z 3', '2025-12-31T23:59:00.000Z 3', '2026-01-01T00:00:00.000Z 3'];
  const series = ['a', 'b'].map((shop) => [`{"shop":"${shop}"}`, ...points.map((point) => `  ${point}`)].join('\n'));
  expect(output).toBe(`appended 1202 samples\n${series.join('\n')}\n`);
});
