/**
 * Scraping: manager → pool → loop. It owns the targets' identity, when each is scraped, the HTTP
 * request, and handing the body's pieces to the core as they came. It must not know how targets are
 * found, nor look into a body: parsing, relabelling of series, limits and staleness are the core's.
 */

export { ScrapeConfigError, ScrapeManager, type ScrapeManagerOptions } from './manager.ts';
export type { DroppedTarget, ScrapeEngine } from './scrape-pool.ts';
export type { ScrapeTarget, TargetHealth } from './scrape-target.ts';
