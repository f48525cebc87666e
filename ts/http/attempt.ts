/** One call of a client, from its first step to its last, which can be given up at any of them. */

import { type CollectOptions, ResponseCollector } from './response-collector.ts';

export class Attempt {
  /** What it was given up for. */
  aborted: Error | undefined;
  /** Stops what is under way. */
  #stop: ((reason: Error) => void) | undefined;

  /** Gives it up: what is under way fails with this reason. */
  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = reason;
    this.#stop?.(reason);
  }

  /** What collects the answer to the request that comes next. @throws Error where it was given up */
  collector(options: CollectOptions): ResponseCollector {
    if (this.aborted) throw this.aborted;
    const collector = new ResponseCollector(options);
    this.#stop = (reason) => collector.giveUp(reason);
    return collector;
  }

  /** A promise's value, unless the attempt is given up before. The work behind the promise goes on. */
  guard<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.aborted) reject(this.aborted);
      this.#stop = reject;
      promise.then(resolve, reject);
    });
  }
}
