/** The URL under which others reach the server, and the prefix of its routes. */

import { hostname } from 'node:os';

/** A flag's value that cannot be used. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
  readonly code = 'INVALID_OPTION';
}

/** The external URL without a slash at its end; made of host name and port where `given` is ''. */
export function externalUrl(given: string, listenAddress: string): URL {
  const port = listenAddress.slice(listenAddress.lastIndexOf(':') + 1);
  const text = given === '' ? `http://${hostname()}:${port}/` : given;
  if (/^['"]|['"]$/.test(text)) {
    throw new OptionError(`--web.external-url=${text}: URL must not begin or end with quotes`);
  }
  if (!URL.canParse(text)) throw new OptionError(`--web.external-url=${text}: not a URL`);
  const url = new URL(text);
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** The prefix of all routes: `/`, or a path without a slash at its end. */
export function routePrefix(given: string, external: URL): string {
  const path = given === '' ? external.pathname : given;
  return `/${path.replace(/^\/+|\/+$/g, '')}`;
}

/** The regular expression of --web.cors.origin, anchored. */
export function corsPattern(pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern})$`, 's');
  } catch (cause) {
    throw new OptionError(`--web.cors.origin=${pattern}: not a regular expression`, { cause });
  }
}
