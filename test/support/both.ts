/** Prometheus and us side by side, with the same configuration and flags over empty directories. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { narthex, type Running, startServer } from './program.ts';

/** Starts both below `scratch`, hands them to `use`, and stops them whatever happens. */
export async function withBoth(
  { prometheus, scratch, config, flags }: { prometheus: string; scratch: string; config: object; flags: string[] },
  use: (ours: Running, theirs: Running) => Promise<void>,
): Promise<void> {
  const dir = mkdtempSync(join(scratch, 'pair-'));
  const file = join(dir, 'prometheus.yml');
  writeFileSync(file, JSON.stringify(config));
  const all = (name: string) => [`--config.file=${file}`, `--storage.tsdb.path=${join(dir, name)}`, ...flags];
  const started = await Promise.all([
    startServer([...narthex, 'server', ...all('ours')]),
    startServer([prometheus, ...all('theirs')]),
  ]);
  try {
    await use(...started);
  } finally {
    await Promise.all(started.map((server) => server.stop()));
  }
}
