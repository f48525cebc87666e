/** Secrets that stand in files, read again so that a rotated one is taken up without a reload. */

import { readFile } from 'node:fs/promises';
import type { Clock } from '../util/index.ts';

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

  /** The file's text without white space around it; rejects with the system's error. */
  read(path: string): Promise<string> {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#entries.get(path);
    if (entry && nowMs - entry.readMs < TTL_MS) return entry.text;
    const text = readFile(path, 'utf8').then((content) => content.trim());
    this.#entries.set(path, { readMs: nowMs, text });
    text.catch(() => this.#entries.delete(path));
    return text;
  }
}
