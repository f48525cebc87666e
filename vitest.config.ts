/**
 * `narthex` and `narthex/*` resolve to ts/ by the export condition `narthex-source`, so a unit test never sees a
 * stale dist/. Tests of the program as a process use dist/, which `pretest` builds.
 */
import { defineConfig } from 'vitest/config';

const conditions = ['narthex-source', 'module', 'node', 'import', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['ts/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
  },
});
