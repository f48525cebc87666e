/** Where a request goes: a URL taken apart once, since asking a `URL` for its parts costs more each time. */

import { quote } from '../util/index.ts';

/** A host, and how it is spoken to; a `URL` is one, too. */
export interface Place {
  /** `http:` or `https:`. */
  readonly protocol: string;
  /** An IPv6 address in brackets. */
  readonly hostname: string;
  /** '' for the protocol's own. */
  readonly port: string;
}

export interface Destination extends Place {
  readonly href: string;
  readonly origin: string;
  readonly host: string;
  /** With the query. */
  readonly path: string;
  /** Escaped, as in the URL. */
  readonly username: string;
  readonly password: string;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/** The port of a place, also where it is the protocol's own. */
export function portOf({ port, protocol }: Place): string {
  return port || (DEFAULT_PORTS[protocol] ?? '');
}

/** Reads a URL, perhaps relative to another. @throws Error in Go's words where no request can go to it */
export function destinationOf(text: string, base?: string): Destination {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch (error) {
    throw new Error('invalid URL', { cause: error });
  }
  const { protocol, hostname, port, href, origin, host, username, password } = url;
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new Error(`unsupported protocol scheme ${quote(protocol.slice(0, -1))}`);
  }
  const path = url.pathname + url.search;
  return { protocol, hostname, port, href, origin, host, path, username, password };
}
