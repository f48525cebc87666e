/** Prometheus' own configuration files: the verdict of every one against promtool 3.16's. */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, checkFiles, loadConfig, parseConfig, type RegexCheck } from './index.ts';

const VECTORS = resolve(process.env.NARTHEX_CONFORMANCE ?? resolve(import.meta.dirname, '../../../shared/conformance'));
const FOLDER = resolve(VECTORS, 'config');
const present = existsSync(FOLDER);
const required = (process.env.NARTHEX_REQUIRE ?? '').split(',').includes('conformance');

interface Run {
  exit_code: number;
  stderr: string;
}

interface Verdict {
  file: string;
  valid: boolean;
  syntax_only: Run | null;
  full: Run | null;
  upstream_error_contains?: string;
}

/** Files whose verdict differs, each with the reason. */
const MISSES: Record<string, string> = {};

/** The vectors' one regular expression that does not compile; the engine's own check is tested with the engine. */
const checkRegex: RegexCheck = (regex) =>
  regex === 'abc(def' ? 'error parsing regexp: missing closing ): `^(?s:abc(def)$`' : undefined;

describe.skipIf(!present && !required)(`config vectors${present ? '' : ` (skipped: ${FOLDER} is absent)`}`, () => {
  const verdicts = present
    ? readFileSync(resolve(FOLDER, 'config-verdicts.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Verdict)
    : [];

  it('reads or refuses each file as promtool --syntax-only does', () => {
    const wrong: string[] = [];
    let sameWords = 0;
    let refused = 0;
    for (const verdict of verdicts) {
      const text = readFileSync(resolve(FOLDER, verdict.file), 'utf8');
      const error = failure(() => parseConfig(text, verdict.file, { checkRegex }));
      if ((error === undefined) !== verdict.valid) wrong.push(`${verdict.file}: ${error ?? 'accepted'}`);
      if (error === undefined || verdict.valid) continue;
      refused++;
      const words = reason(verdict);
      if (words.every((line) => error.includes(line))) sameWords++;
    }
    console.log(
      `config: ${verdicts.length - wrong.length}/${verdicts.length} verdicts, ${sameWords}/${refused} messages`,
    );
    expect(wrong.filter((line) => !((line.split(':')[0] as string) in MISSES))).toEqual([]);
    expect(verdicts.length - wrong.length).toBe(219 - Object.keys(MISSES).length);
    expect(sameWords).toBe(refused);
  });

  it('gives the verdict of the full check', async () => {
    const wrong: string[] = [];
    for (const verdict of verdicts) {
      if (!verdict.full) continue;
      const error = await failureOf(async () => {
        const result = await loadConfig(resolve(FOLDER, verdict.file), { checkRegex });
        const missing = await checkFiles(result);
        if (missing.length > 0) throw new Error(missing.join('\n'));
      });
      if ((error === undefined) !== (verdict.full.exit_code === 0))
        wrong.push(`${verdict.file}: ${error ?? 'accepted'}`);
    }
    expect(wrong).toEqual([]);
  });
});

/** What must be in our message: upstream's words, or, of the YAML library's own, the line and the key. */
function reason(verdict: Verdict): string[] {
  const said = verdict.syntax_only?.stderr.replace(/^[^:]*FAILED: parsing YAML file [^:]*: /, '').trim();
  const lines = (said ?? verdict.upstream_error_contains ?? '').split('\n');
  if (lines[0] !== 'yaml: unmarshal errors:') return lines;
  return lines.slice(1).flatMap((line) => {
    const [, number, key] = /^\s*line (\d+): (?:field (\S+) )?/.exec(line) ?? [];
    return [`${verdict.file}:${number}:`, `${key === undefined ? '' : `field ${key} `}`];
  });
}

function failure(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

async function failureOf(run: () => Promise<void>): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
