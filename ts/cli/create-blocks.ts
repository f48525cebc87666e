/** `narthex tsdb create-blocks-from openmetrics`: the input as a file that can be read more than once, and its errors. */

import { createReadStream, createWriteStream, type Stats } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../util/index.ts';
import { runTool } from './run-tool.ts';

/** What blocks are made of, and how. */
export interface OpenMetricsOptions {
  input: string;
  outputDir: string;
  labels: [name: string, value: string][];
  blockDurationMs: number;
  quiet: boolean;
  humanReadable: boolean;
}

/** Makes the blocks; 0 where all was well. */
export async function createBlocksFromOpenMetrics(options: OpenMetricsOptions): Promise<number> {
  let spooled: string | undefined;
  try {
    const found = await statOf(options.input);
    if (found.isDirectory()) throw new Error(`read ${options.input}: is a directory`);
    if (!found.isFile()) {
      // What comes through a pipe comes once. A socket can only be read where it is open already.
      spooled = await mkdtemp(join(tmpdir(), 'narthex-input-'));
      const source = options.input === '/dev/stdin' ? process.stdin : createReadStream(options.input);
      await pipeline(source, createWriteStream(join(spooled, 'input')));
    }
    return await runTool({
      tool: 'create-blocks',
      dir: options.outputDir,
      input: spooled === undefined ? options.input : join(spooled, 'input'),
      labels: options.labels,
      blockDurationMs: options.blockDurationMs,
      quiet: options.quiet,
      humanReadable: options.humanReadable,
    });
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 1;
  } finally {
    if (spooled !== undefined) await rm(spooled, { recursive: true, force: true });
  }
}

async function statOf(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw absent ? new Error(`stat ${path}: no such file or directory`, { cause: error }) : error;
  }
}
