/**
 * Target groups from JSON and YAML files. Files are read again when a directory changes and, since
 * not every file system says so, at the refresh interval. A file that cannot be read keeps the groups
 * it had.
 */

import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  type FileSdConfig,
  glob,
  parseTargetGroups,
  parseTargetGroupsJson,
  type TargetGroup,
  toTargetGroup,
} from '../../config/index.ts';
import { type Clock, type Logger, messageOf, sleep } from '../../util/index.ts';
import type { Discoverer, Emit } from '../discoverer.ts';
import type { FileMetrics } from './file-metrics.ts';

/** A larger file is refused. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** Changes that come within this time are one. */
const SETTLE_MS = 50;

/** What a discoverer of files works with. */
export interface FileDiscovererOptions {
  config: FileSdConfig;
  clock: Clock;
  logger: Logger;
  metrics: FileMetrics;
}

export class FileDiscoverer implements Discoverer {
  readonly #options: FileDiscovererOptions;
  /** How many groups each file had when it was last read well. */
  #groupCounts = new Map<string, number>();
  /** The groups as they were emitted last, by source. */
  readonly #emitted = new Map<string, TargetGroup>();
  #first = true;
  readonly #watchers = new Map<string, FSWatcher>();

  constructor(options: FileDiscovererOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal, emit: Emit): Promise<void> {
    const { clock, config } = this.#options;
    try {
      while (!signal.aborted) {
        const wake = new AbortController();
        this.#watch(() => wake.abort());
        await this.#refresh(emit);
        const stop = (): void => wake.abort();
        signal.addEventListener('abort', stop, { once: true });
        await sleep(clock, config.refresh_interval, wake.signal);
        signal.removeEventListener('abort', stop);
        if (wake.signal.aborted) await sleep(clock, SETTLE_MS, signal);
      }
    } finally {
      for (const watcher of this.#watchers.values()) watcher.close();
      this.#watchers.clear();
      for (const file of this.#groupCounts.keys()) this.#options.metrics.mtime.delete([file]);
    }
  }

  async #refresh(emit: Emit): Promise<void> {
    const { clock, config, logger, metrics } = this.#options;
    const startMs = clock.monotonicMs();
    const counts = new Map<string, number>();
    const groups: TargetGroup[] = [];
    for (const file of await listFiles(config.files, logger)) {
      const before = this.#groupCounts.get(file) ?? 0;
      try {
        const read = await this.#read(file);
        counts.set(file, read.length);
        groups.push(...read);
      } catch (error) {
        metrics.readErrors.inc();
        logger.error({ path: file, err: messageOf(error) }, 'Error reading file');
        counts.set(file, before);
      }
    }
    for (const [file, before] of this.#groupCounts) {
      const now = counts.get(file) ?? 0;
      if (!counts.has(file)) metrics.mtime.delete([file]);
      for (let i = now; i < before; i++) groups.push({ source: `${file}:${i}`, targets: [], labels: {} });
    }
    this.#groupCounts = counts;
    metrics.scanSeconds.observe([], (clock.monotonicMs() - startMs) / 1000);
    const changed = groups.filter((group) => !isDeepStrictEqual(this.#emitted.get(group.source), group));
    for (const group of changed) {
      if (group.targets.length > 0) this.#emitted.set(group.source, group);
      else this.#emitted.delete(group.source);
    }
    if (changed.length > 0 || this.#first) emit(changed);
    this.#first = false;
  }

  async #read(file: string): Promise<TargetGroup[]> {
    const info = await stat(file);
    if (info.size > FILE_BYTES_MAX) throw new Error(`file is larger than ${FILE_BYTES_MAX} bytes`);
    const text = await readFile(file, 'utf8');
    const json = extname(file).toLowerCase() === '.json';
    const groups = json ? parseTargetGroupsJson(text) : parseTargetGroups(text, file);
    this.#options.metrics.mtime.set([file], Math.floor(info.mtimeMs / 1000));
    return groups.map((group, i) => toTargetGroup(group, `${file}:${i}`, { __meta_filepath: file }));
  }

  /** Watches the directories of all patterns; `onChange` takes the place of the one before. */
  #watch(onChange: () => void): void {
    const { config, logger, metrics } = this.#options;
    const directories = new Set(config.files.map((pattern) => dirname(pattern)));
    for (const directory of directories) {
      const watcher = this.#watchers.get(directory) ?? openWatcher(directory);
      if (!watcher) {
        metrics.watcherErrors.inc();
        logger.error({ path: directory }, 'Error adding file watch');
        continue;
      }
      this.#watchers.set(directory, watcher);
      watcher.removeAllListeners('change').on('change', (_, name) => {
        if (concerns(name)) onChange();
      });
      watcher.removeAllListeners('error').on('error', (error) => {
        logger.error({ err: messageOf(error) }, 'Error watching file');
        metrics.watcherErrors.inc();
        watcher.close();
        this.#watchers.delete(directory);
      });
    }
  }
}

/** Whether a change of this entry may be one of target files; `..data` is how Kubernetes swaps a mount. */
function concerns(name: string | Buffer | null): boolean {
  return name === null || /^\.\.|\.(?:json|ya?ml)$/i.test(String(name));
}

async function listFiles(patterns: readonly string[], logger: Logger): Promise<string[]> {
  const files: string[] = [];
  for (const pattern of patterns) {
    try {
      files.push(...(await glob(pattern)));
    } catch (error) {
      logger.error({ glob: pattern, err: messageOf(error) }, 'Error expanding glob');
    }
  }
  return [...new Set(files)];
}

function openWatcher(directory: string): FSWatcher | undefined {
  try {
    return watch(directory, { persistent: false });
  } catch {
    return undefined;
  }
}
