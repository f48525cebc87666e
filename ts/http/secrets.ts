/** Secrets of a configuration, written out or in files; files are read again, so that a rotated secret is taken up without a reload. */

import { readFile } from 'node:fs/promises';
import { type Clock, messageOf } from '../util/index.ts';
import { fileError } from './go-errors.ts';

/** How long what a file said is believed. */
const TTL_MS = 5000;

interface Entry {
  readMs: number;
  text: Promise<string>;
}

export class SecretFiles {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The file's text without white space around it; rejects with the system's error in Go's words. */
  read(path: string): Promise<string> {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#entries.get(path);
    if (entry && nowMs - entry.readMs < TTL_MS) return entry.text;
    const text = readFile(path, 'utf8').then(
      (content) => content.trim(),
      (error: Error) => {
        this.#entries.delete(path);
        throw new Error(fileError(path, error), { cause: error });
      },
    );
    this.#entries.set(path, { readMs: nowMs, text });
    return text;
  }
}

/** One secret, wherever it stands. */
export interface Secret {
  /** Where: `inline`, or `file PATH`. */
  readonly description: string;
  /** Whether it stays as it is. */
  readonly isFixed: boolean;
  /** Rejects where it cannot be read, in Prometheus' words. */
  read(): Promise<string>;
}

/** The secret that stands in one of three places; `undefined` where it stands in none. */
export function secretOf(files: SecretFiles, inline: string, file: string, ref: string): Secret | undefined {
  if (inline !== '') return { description: 'inline', isFixed: true, read: () => Promise.resolve(inline) };
  if (file !== '') {
    const read = (): Promise<string> =>
      files.read(file).catch((error: unknown) => {
        throw new Error(`unable to read file ${file}: ${messageOf(error)}`, { cause: error });
      });
    return { description: `file ${file}`, isFixed: false, read };
  }
  if (ref === '') return undefined;
  const read = (): Promise<string> => Promise.reject(new Error('cannot use secret ref without manager'));
  return { description: `ref ${ref}`, isFixed: false, read };
}

/** Reads a secret; what goes wrong is told as `what: why`. '' where there is no secret. */
export async function readSecret(secret: Secret | undefined, what: string): Promise<string> {
  try {
    return (await secret?.read()) ?? '';
  } catch (error) {
    throw new Error(`${what}: ${messageOf(error)}`, { cause: error });
  }
}
