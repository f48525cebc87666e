/**
 * Service discovery: a manager, and one folder per mechanism with the one interface `Discoverer`. It
 * owns finding target groups and when they are handed on. It must not know what a target is scraped
 * with or what relabelling makes of it.
 */

export type { Discoverer, Emit } from './discoverer.ts';
export {
  type DiscoveryJob,
  DiscoveryManager,
  type DiscoveryManagerOptions,
  type TargetSets,
} from './manager.ts';
