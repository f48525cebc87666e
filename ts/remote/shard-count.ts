/** How many shards a queue needs (Prometheus `calculateDesiredShards`). */

/** How often the number is thought over. */
export const SHARD_UPDATE_MS = 10_000;

const EWMA_WEIGHT = 0.2;
/** So many too many are left alone. */
const TOLERANCE = 0.3;
/** Further behind than this, the number does not fall. */
const BEHIND_SECONDS = 10;
/** Of what waits, so much is to be sent each second besides what comes. */
const CATCH_UP = 0.05;

/** A moving average of a rate per second; `tick` is called every `SHARD_UPDATE_MS`. */
export class EwmaRate {
  #events = 0;
  #rate: number | undefined;

  add(events: number): void {
    this.#events += events;
  }

  tick(): void {
    const rate = this.#events / (SHARD_UPDATE_MS / 1000);
    if (this.#rate !== undefined) this.#rate += EWMA_WEIGHT * (rate - this.#rate);
    else if (this.#events > 0) this.#rate = rate;
    this.#events = 0;
  }

  get perSecond(): number {
    return this.#rate ?? 0;
  }
}

/** What the number depends on; rates per second. */
export interface ShardLoad {
  shards: number;
  min: number;
  max: number;
  /** Samples that came in. */
  inRate: number;
  /** Samples that were not to be sent. */
  droppedRate: number;
  outRate: number;
  /** Seconds that sending took, each second, over all shards. */
  sendingSeconds: number;
  /** How far the newest sample sent is behind the newest there is. */
  delaySeconds: number;
}

/** The number that is wanted exactly, and that to be had; `undefined` for the first while nothing was sent. */
export function desiredShards(load: ShardLoad): { exact: number | undefined; shards: number } {
  const { shards, outRate, droppedRate, inRate } = load;
  if (outRate <= 0) return { exact: undefined, shards };
  const keptRatio = outRate / (droppedRate + outRate);
  const delaySeconds = Math.max(0, load.delaySeconds);
  const wantedRate = inRate * keptRatio * (1 + CATCH_UP * delaySeconds);
  const exact = (load.sendingSeconds / outRate) * wantedRate;
  const whole = Math.ceil(exact);
  if (shards * (1 - TOLERANCE) <= whole && whole <= shards * (1 + TOLERANCE)) return { exact, shards };
  if (whole < shards && delaySeconds > BEHIND_SECONDS) return { exact, shards };
  return { exact, shards: Math.min(Math.max(whole, load.min), load.max) };
}
