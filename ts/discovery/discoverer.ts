/** What every mechanism of service discovery is to the manager. */

import type { TargetGroup } from '../config/index.ts';

/** Takes what a mechanism found. A group without targets takes an earlier one of its source away. */
export type Emit = (groups: TargetGroup[]) => void;

/** One configured mechanism. */
export interface Discoverer {
  /**
   * Finds targets until `signal` aborts, then returns. It calls `emit` with all groups once it knows
   * them, and later with those that changed. It reports failures itself and does not reject.
   */
  run(signal: AbortSignal, emit: Emit): Promise<void>;
}
