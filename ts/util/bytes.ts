/** Sizes as Prometheus writes them: `10MB` and `10MiB` are the same, both in powers of 1024. */

import { UnitError } from './duration.ts';

const PREFIXES = ['', 'K', 'M', 'G', 'T', 'P', 'E'] as const;

const FACTORS = new Map<string, number>(
  PREFIXES.flatMap((prefix, i): [string, number][] => [
    [`${prefix}B`, 1024 ** i],
    [i === 0 ? 'B' : `${prefix}iB`, 1024 ** i],
  ]),
);

const PART = /^(\d+\.?\d*|\.\d+)([^\d.]*)/;

/**
 * Reads a size such as `512MB` or `1GiB512MiB`; a number without a unit is an error, `0` aside.
 * Returns bytes.
 * @throws UnitError
 */
export function parseBytes(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = /^[-+]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return 0;
  if (rest === '') throw new UnitError(`units: invalid ${text}`);
  let bytes = 0;
  while (rest !== '') {
    const part = PART.exec(rest);
    if (!part) throw new UnitError(`units: invalid ${text}`);
    const factor = FACTORS.get(part[2] ?? '');
    if (factor === undefined) throw new UnitError(`units: unknown unit ${part[2]} in ${text}`);
    bytes += Number(part[1]) * factor;
    rest = rest.slice(part[0].length);
  }
  if (bytes > Number.MAX_SAFE_INTEGER) throw new UnitError(`units: overflow parsing unit`);
  return sign * Math.trunc(bytes);
}

/** Prints bytes as Prometheus does: `1GiB512MiB`, `0B`. */
export function formatBytes(bytes: number): string {
  if (bytes === 0) return '0B';
  let left = Math.abs(bytes);
  const sign = bytes < 0 ? '-' : '';
  let text = '';
  for (const [i, prefix] of PREFIXES.entries()) {
    const digits = left % 1024;
    if (digits !== 0) text = `${sign}${digits}${i === 0 ? 'B' : `${prefix}iB`}${text}`;
    left = Math.floor(left / 1024);
    if (left === 0) break;
  }
  return text;
}
