/** The targets that stand in the configuration file. */

import { type StaticConfig, toTargetGroup } from '../../config/index.ts';
import type { Discoverer, Emit } from '../discoverer.ts';

/** Emits its groups once. */
export class StaticDiscoverer implements Discoverer {
  readonly #configs: readonly StaticConfig[];

  constructor(configs: readonly StaticConfig[]) {
    this.#configs = configs;
  }

  run(_signal: AbortSignal, emit: Emit): Promise<void> {
    emit(this.#configs.map((config, i) => toTargetGroup(config, String(i))));
    return Promise.resolve();
  }
}
