/** What changed from one configuration to the next, so that a reload leaves the rest alone. */

import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config.ts';
import type { LoadResult } from './load.ts';

/** Jobs by what became of them, and the other sections that differ. */
export interface ConfigDiff {
  jobs: { added: string[]; removed: string[]; changed: string[]; unchanged: string[] };
  /** Top-level keys that differ, `scrape_configs` aside. */
  sections: (keyof Config)[];
}

/** Compares two configurations section by section and job by job. */
export function diffConfig(old: LoadResult, next: LoadResult): ConfigDiff {
  const before = new Map(old.scrapeConfigs.map((scrape) => [scrape.job_name, scrape]));
  const after = new Map(next.scrapeConfigs.map((scrape) => [scrape.job_name, scrape]));
  const kept = [...after.keys()].filter((name) => before.has(name));
  const same = (name: string): boolean => isDeepStrictEqual(before.get(name), after.get(name));
  const sections = (Object.keys(next.config) as (keyof Config)[]).filter(
    (key) => key !== 'scrape_configs' && !isDeepStrictEqual(old.config[key], next.config[key]),
  );
  return {
    jobs: {
      added: [...after.keys()].filter((name) => !before.has(name)),
      removed: [...before.keys()].filter((name) => !after.has(name)),
      changed: kept.filter((name) => !same(name)),
      unchanged: kept.filter(same),
    },
    sections,
  };
}
