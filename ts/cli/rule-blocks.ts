/**
 * `narthex tsdb create-blocks-from rules`: what recording rules would have recorded, asked of a Prometheus API a block
 * at a time and written as blocks. Evaluation times are those of the server that runs the rules: each group has an
 * offset of its own.
 */

import { mkdir, readFile } from 'node:fs/promises';
import { ConfigError, defaultHttpClient, parseHttpFile, parseRuleFile, type RuleGroup } from '../config/index.ts';
import { checkQuery, ruleGroupHash } from '../core/index.ts';
import { messageOf } from '../util/index.ts';
import { PrometheusClient } from './prometheus-client.ts';
import { Progress, runQuietly } from './run-tool.ts';

const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;

/** What rules are evaluated on, and when. */
export interface RuleBlocksOptions {
  files: string[];
  url: string;
  httpConfigFile: string | undefined;
  /** Milliseconds; what is less than a second is cut off. */
  startMs: number;
  endMs: number;
  outputDir: string;
  /** Of groups that have none of their own. */
  evalIntervalMs: number;
  blockDurationMs: number;
}

/** One range query: first and last time, nanoseconds, and the step. */
export interface RuleRange {
  startNs: bigint;
  endNs: bigint;
  stepNs: bigint;
}

interface Group {
  file: string;
  group: RuleGroup;
  intervalMs: number;
}

/** Writes the blocks of all recording rules; 1 where one of them failed. Alerting rules are passed over. */
export async function createBlocksFromRules(options: RuleBlocksOptions): Promise<number> {
  if (options.startMs >= options.endMs) return fail('start time is not before end time');
  if (!Number.isInteger(options.evalIntervalMs) || options.evalIntervalMs <= 0) {
    return fail('the evaluation interval must be a positive number of milliseconds');
  }
  let groups: Group[];
  try {
    groups = await readGroups(options);
  } catch (error) {
    return fail(`rule importer parse error: ${messageOf(error)}`);
  }
  const line = new Progress(true);
  let client: PrometheusClient | undefined;
  let failed = false;
  try {
    client = await openClient(options);
    await mkdir(options.outputDir, { recursive: true });
    for (const { file, group, intervalMs } of groups) {
      const labels = Object.entries(group.labels);
      for (const rule of group.rules.filter(({ record }) => record !== '')) {
        const told = new Set<string>();
        try {
          for (const range of ruleRanges({ file, name: group.name, intervalMs }, options)) {
            const at = new Date(Number(range.startNs / NS_PER_MS)).toISOString();
            line.show(`group ${group.name}, rule ${rule.record}, ${at}`);
            await runQuietly(
              {
                tool: 'rule-block',
                dir: options.outputDir,
                body: await client.queryRange(rule.expr, range),
                record: rule.record,
                labels: [...labels, ...Object.entries(rule.labels)],
                blockDurationMs: options.blockDurationMs,
              },
              line,
              undefined,
              told,
            );
          }
        } catch (error) {
          line.clear();
          process.stderr.write(`rule importer error: ${rule.record}: ${messageOf(error)}\n`);
          failed = true;
        }
      }
    }
  } catch (error) {
    return fail(messageOf(error));
  } finally {
    line.clear();
    await client?.close();
  }
  return failed ? fail('error importing rules') : 0;
}

/**
 * The queries that evaluate a group between two times, one for each block that has an evaluation, on whole seconds as
 * promtool asks them.
 */
export function* ruleRanges(
  group: { file: string; name: string; intervalMs: number },
  span: { startMs: number; endMs: number; blockDurationMs: number },
): Generator<RuleRange> {
  const stepNs = BigInt(group.intervalMs) * NS_PER_MS;
  const offsetNs = BigInt.asIntN(64, ruleGroupHash(group.file, group.name) % stepNs);
  const blockMs = BigInt(span.blockDurationMs);
  const startS = BigInt(Math.floor(span.startMs / 1000));
  const endS = BigInt(Math.floor(span.endMs / 1000));
  for (
    let blockStartMs = blockMs * ((startS * 1000n) / blockMs);
    blockStartMs <= endS * 1000n;
    blockStartMs += blockMs
  ) {
    const fromS = max(blockStartMs / 1000n, startS);
    const shifted = fromS * NS_PER_S - offsetNs;
    let startNs = shifted - (shifted % stepNs) + offsetNs;
    while (startNs < fromS * NS_PER_S) startNs += stepNs;
    const lastS = (blockStartMs + blockMs - 1n) / 1000n;
    const endNs = (lastS < endS ? lastS : endS) * NS_PER_S;
    // promtool gives up at the first block that no evaluation falls into; later blocks may well have some.
    if (endNs >= startNs) yield { startNs, endNs, stepNs };
  }
}

async function readGroups(options: RuleBlocksOptions): Promise<Group[]> {
  const groups: Group[] = [];
  for (const file of options.files) {
    const content = await readFile(file, 'utf8');
    for (const group of parseRuleFile(content, file, checkQuery)) {
      groups.push({ file, group, intervalMs: group.interval || options.evalIntervalMs });
    }
  }
  return groups;
}

async function openClient({ url, httpConfigFile }: RuleBlocksOptions): Promise<PrometheusClient> {
  if (httpConfigFile === undefined) return PrometheusClient.open(url, defaultHttpClient());
  try {
    const config = parseHttpFile(await readFile(httpConfigFile, 'utf8'), httpConfigFile);
    return PrometheusClient.open(url, config);
  } catch (error) {
    if (error instanceof ConfigError) throw new Error(`Failed to load HTTP config file: ${error.message}`);
    throw error;
  }
}

function fail(text: string): number {
  process.stderr.write(`${text}\n`);
  return 1;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
