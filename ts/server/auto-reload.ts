/** --config.auto-reload: notices that the configuration's files have changed. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { glob } from '../config/index.ts';
import type { Clock } from '../util/index.ts';

export interface WatchOptions {
  clock: Clock;
  intervalMs: number;
  /** The main file. */
  file: string;
  /** Patterns of the files it includes, as of now. */
  includes: () => readonly string[];
  /** Told of a change; the next look comes after it settled. */
  onChange: () => Promise<void>;
}

/** Looks at the files every `intervalMs` until the returned function is called. */
export async function watchConfig(options: WatchOptions): Promise<() => void> {
  const { clock, intervalMs, onChange } = options;
  let known = await fingerprint(options);
  let isStopped = false;
  let cancel = clock.setTimer(intervalMs, look);
  function look(): void {
    fingerprint(options)
      .then(async (found) => {
        if (found === known || isStopped) return;
        known = found;
        await onChange();
      })
      .catch(() => undefined)
      .finally(() => {
        if (!isStopped) cancel = clock.setTimer(intervalMs, look);
      });
  }
  return () => {
    isStopped = true;
    cancel();
  };
}

/** A digest of all files; one that cannot be read counts as such. */
async function fingerprint({ file, includes }: WatchOptions): Promise<string> {
  const hash = createHash('sha256');
  const included = await Promise.all(includes().map((pattern) => glob(pattern)));
  for (const path of [file, ...included.flat()]) {
    hash.update(`\0${path}\0`).update(await readFile(path).catch(() => 'unreadable'));
  }
  return hash.digest('hex');
}
