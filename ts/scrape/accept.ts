/** What a target is asked for: the Accept and Accept-Encoding headers. */

import { type EscapingScheme, SCRAPE_PROTOCOLS, type ScrapeProtocol } from '../config/index.ts';

/** Protocols whose names may be escaped. */
const ESCAPED = new Set<ScrapeProtocol>(['PrometheusText1.0.0', 'OpenMetricsText1.0.0', 'OpenMetricsText2.0.0']);

/** Protocols that the core has no parser for yet; a target must not be led to answer in them. */
const UNREADABLE = new Set<ScrapeProtocol>(['OpenMetricsText2.0.0']);

/**
 * The Accept header: the protocols in order, with weights that fall by 0.1 from one more than there
 * are protocols at all, and anything last.
 */
export function acceptHeader(protocols: readonly ScrapeProtocol[], escaping: EscapingScheme): string {
  let weight = Object.keys(SCRAPE_PROTOCOLS).length + 1;
  const readable = protocols.filter((protocol) => !UNREADABLE.has(protocol));
  const parts = readable.map((protocol) => {
    const names = ESCAPED.has(protocol) ? `;escaping=${escaping}` : '';
    return `${SCRAPE_PROTOCOLS[protocol]}${names};q=0.${weight--}`;
  });
  return [...parts, `*/*;q=0.${weight}`].join(',');
}

/** The Accept-Encoding header; `zstd` says whether the core is to inflate that, too. */
export function acceptEncodingHeader(compression: boolean, zstd: boolean): string {
  if (!compression) return 'identity';
  return zstd ? 'zstd,gzip' : 'gzip';
}

/** The bare media type of a fallback protocol, '' where there is none. */
export function fallbackMediaType(protocol: string): string {
  if (!Object.hasOwn(SCRAPE_PROTOCOLS, protocol)) return '';
  return SCRAPE_PROTOCOLS[protocol as ScrapeProtocol].split(';', 1)[0] ?? '';
}
