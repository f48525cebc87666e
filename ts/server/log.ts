/** The process' log on standard error, line for line as Prometheus writes it. */

import pino, { type DestinationStream } from 'pino';
import type { Logger } from '../util/index.ts';

export type LogFormat = 'logfmt' | 'json';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A logger whose level can be changed while it is in use. */
export interface LeveledLogger extends Logger {
  level: string;
}

/** A logger that writes whole lines to `write`. */
export function createLogger(
  format: LogFormat,
  level: LogLevel,
  write: (line: string) => void = (line) => process.stderr.write(line),
): LeveledLogger {
  const destination: DestinationStream = { write: format === 'json' ? write : (line) => write(logfmt(line)) };
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      serializers: { err: (error: unknown) => (error instanceof Error ? error.message : error) },
    },
    destination,
  );
}

/** pino's line of JSON as `time=… level=INFO msg="…" key=value`. */
function logfmt(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries({ time, level, msg, ...fields }).filter(([, value]) => value !== undefined);
  return `${pairs.map(([key, value]) => `${key}=${logfmtValue(value)}`).join(' ')}\n`;
}

const PLAIN = /^[^\s"=\\\p{C}]+$/u;

function logfmtValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return PLAIN.test(text) ? text : JSON.stringify(text);
}
