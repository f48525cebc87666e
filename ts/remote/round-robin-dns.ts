/** Connections spread over all addresses of a name (`round_robin_dns`): each new one goes to one of them at random. */

import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** Finds all addresses of a name. */
export type FindAll = (
  hostname: string,
  options: { all: true; family?: number; hints?: number },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** What `connect` of `node:net` takes in place of its own look-up. */
export function roundRobinLookup(findAll: FindAll = systemLookup): LookupFunction {
  return (hostname, options, done) => {
    const family = typeof options.family === 'number' ? { family: options.family } : {};
    const hints = options.hints === undefined ? {} : { hints: options.hints };
    findAll(hostname, { ...family, ...hints, all: true }, (error, addresses) => {
      const one = addresses?.[Math.floor(Math.random() * addresses.length)];
      if (error !== null || one === undefined) {
        const missing = Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND', hostname });
        done(error ?? missing, '', 0);
      } else if (options.all === true) done(null, [one]);
      else done(null, one.address, one.family);
    });
  };
}
