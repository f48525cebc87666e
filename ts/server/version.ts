/** Versions: Prometheus' whose place we take, and our own. */

import { readFileSync } from 'node:fs';
import type { BuildInfo } from '../api/index.ts';

/** The release whose API, language and formats are spoken here. */
export const PROMETHEUS_VERSION = '3.16.0';

let version: string | undefined;

/** Our own version, as package.json has it. */
export function narthexVersion(): string {
  if (version === undefined) {
    // Both ts/server and dist/server lie two folders below the package.
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    version = String((JSON.parse(text) as { version?: unknown }).version ?? 'unknown');
  }
  return version;
}

/** `data` of GET /api/v1/status/buildinfo. */
export function buildInfo(): BuildInfo {
  return {
    version: PROMETHEUS_VERSION,
    revision: '',
    branch: '',
    buildUser: '',
    buildDate: '',
    goVersion: '',
    narthexVersion: narthexVersion(),
    nodeVersion: process.version,
  };
}
