/** The file that failed scrapes are written to, one line of JSON each, as Prometheus' `scrape_failure_log_file`. */

import { close, openSync, write } from 'node:fs';
import { fileError } from '../http/index.ts';
import { type Clock, type Logger, messageOf } from '../util/index.ts';

/** Lines that wait for a slow disk; further ones are lost. */
const WAITING_BYTES_MAX = 1024 * 1024;

/** Which scrape failed, and why. */
export interface ScrapeFailed {
  error: string;
  job: string;
  target: string;
}

export class FailureLog {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #file: number;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #isClosed = false;
  /** Whether it was told that lines are lost. */
  #hasToldLoss = false;

  /** Opens the file, or makes it. @throws Error in Prometheus' words */
  constructor(path: string, clock: Clock, logger: Logger) {
    this.#path = path;
    this.#clock = clock;
    this.#logger = logger;
    try {
      this.#file = openSync(path, 'a', 0o666);
    } catch (error) {
      const why = error instanceof Error ? fileError(path, error) : String(error);
      throw new Error(`can't create json log file: ${why}`, { cause: error });
    }
  }

  /** Adds a line; it returns before that is written. */
  add({ error, job, target }: ScrapeFailed): void {
    if (this.#isClosed) return;
    const line = `${JSON.stringify({
      time: new Date(this.#clock.nowMs()).toISOString(),
      level: 'ERROR',
      source: 'scrape-loop.ts',
      msg: error,
      job_name: job,
      target,
    })}\n`;
    if (this.#waitingBytes + line.length > WAITING_BYTES_MAX) {
      this.#tellLoss('too slow');
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#writeNext();
  }

  /** Writes what waits, then closes the file. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#writeNext();
  }

  #writeNext(): void {
    if (this.#isWriting) return;
    if (this.#waiting.length === 0) {
      if (this.#isClosed) close(this.#file, () => undefined);
      return;
    }
    this.#isWriting = true;
    const lines = Buffer.from(this.#waiting.join(''));
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#write(lines);
  }

  #write(bytes: Buffer): void {
    write(this.#file, bytes, (error, count) => {
      if (!error && count < bytes.byteLength) return this.#write(bytes.subarray(count));
      if (error) this.#tellLoss(messageOf(error));
      else this.#hasToldLoss = false;
      this.#isWriting = false;
      this.#writeNext();
    });
  }

  #tellLoss(why: string): void {
    if (this.#hasToldLoss) return;
    this.#hasToldLoss = true;
    this.#logger.error({ file: this.#path, err: why }, 'Writing to the scrape failure log failed; lines are lost');
  }
}

/** The files of all pools: each is open once, whoever writes to it. */
export class FailureLogs {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #logs = new Map<string, FailureLog>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Opens these files anew, and closes those that were open. @throws Error where one cannot be opened; then nothing changes */
  reopen(paths: Iterable<string>): void {
    const opened = new Map<string, FailureLog>();
    try {
      for (const path of new Set(paths)) {
        if (path !== '') opened.set(path, new FailureLog(path, this.#clock, this.#logger));
      }
    } catch (error) {
      for (const log of opened.values()) log.close();
      throw error;
    }
    this.close();
    this.#logs = opened;
  }

  /** Adds a line to a file, where `path` is one of those that are open. */
  add(path: string, failed: ScrapeFailed): void {
    this.#logs.get(path)?.add(failed);
  }

  close(): void {
    for (const log of this.#logs.values()) log.close();
    this.#logs.clear();
  }
}
