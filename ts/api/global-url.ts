/** Targets' URLs as others can reach them. */

import type { ApiOptions } from './context.ts';

const LOCALHOST = new Set(['127.0.0.1', 'localhost', '[::1]']);
const DEFAULT_PORTS: Record<string, string> = { 'http:': '80', 'https:': '443' };

/**
 * The URL of a target on this machine with the host of the external URL, and, where the target is
 * this server itself, its scheme and port too. Other URLs stay as they are.
 */
export function globalUrl(scrapeUrl: string, options: Pick<ApiOptions, 'externalUrl' | 'listenAddress'>): string {
  if (!URL.canParse(scrapeUrl)) return scrapeUrl;
  const url = new URL(scrapeUrl);
  if (!LOCALHOST.has(url.hostname)) return scrapeUrl;
  const port = url.port === '' ? (DEFAULT_PORTS[url.protocol] ?? '') : url.port;
  const ownPort = options.listenAddress.slice(options.listenAddress.lastIndexOf(':') + 1);
  if (port !== ownPort) {
    url.hostname = options.externalUrl.hostname;
    return url.href;
  }
  url.protocol = options.externalUrl.protocol;
  url.host = options.externalUrl.host;
  url.port = options.externalUrl.port;
  return url.href;
}
