/** One target: who it is, where it is, and how its last scrape went. */

import { createHash } from 'node:crypto';
import type { ScrapeConfig } from '../config/index.ts';
import type { LabelSet, MetricMetadata, Target } from '../core/engine.ts';
import { type Destination, destinationOf } from '../http/index.ts';
import { parseDuration } from '../util/index.ts';
import { publicLabels } from './target-labels.ts';

/** What is known of a target's health. */
export type TargetHealth = 'up' | 'down' | 'unknown';

const NANOS_PER_MS = 1_000_000n;

export class ScrapeTarget {
  /** Labels before relabelling; a later sync may bring others for the same target. */
  discoveredLabels: LabelSet;
  /** Labels its series carry. */
  readonly labels: LabelSet;
  /** All labels after relabelling. */
  readonly allLabels: LabelSet;
  /** Tells it from all others of its pool. */
  readonly identity: string;
  readonly scrapeUrl: string;
  /** The same taken apart; `undefined` where it is no URL. */
  readonly destination: Destination | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  health: TargetHealth = 'unknown';
  /** '' where the last scrape went well. */
  lastError = '';
  /** Milliseconds since the epoch. */
  lastScrapeMs: number | undefined;
  lastScrapeDurationSeconds = 0;
  #memory: Target | undefined;
  readonly #hash: bigint;

  constructor(labels: LabelSet, discovered: LabelSet, config: ScrapeConfig) {
    this.allLabels = labels;
    this.discoveredLabels = discovered;
    this.labels = publicLabels(labels);
    this.scrapeUrl = targetUrl(labels, config.params);
    this.destination = parsed(this.scrapeUrl);
    this.intervalMs = parseDuration(this.scrapeInterval);
    this.timeoutMs = parseDuration(this.scrapeTimeout);
    const entries = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const digest = createHash('sha256')
      .update(JSON.stringify([entries, this.scrapeUrl]))
      .digest();
    this.identity = digest.toString('base64url');
    this.#hash = digest.readBigUInt64BE();
  }

  /** In Prometheus' notation. */
  get scrapeInterval(): string {
    return this.allLabels.__scrape_interval__ ?? '';
  }

  /** A switch that one of the target's labels may set, as Go reads booleans; `otherwise` where it does not. */
  flag(label: string, otherwise: boolean): boolean {
    const value = this.allLabels[label] ?? '';
    if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
    return /^(?:0|f|F|false|FALSE|False)$/.test(value) ? false : otherwise;
  }

  get scrapeTimeout(): string {
    return this.allLabels.__scrape_timeout__ ?? '';
  }

  /** Whether a loop has had it. */
  get isUsed(): boolean {
    return this.#memory !== undefined;
  }

  /** The core's memory of the target, for its metadata. */
  attach(memory: Target): void {
    this.#memory = memory;
  }

  /** What the target's last bodies said of their metric families. */
  metadata(): readonly MetricMetadata[] {
    return this.#memory?.metadata() ?? [];
  }

  /** How many families that is, and the bytes of what was said of them. */
  metadataSize(): readonly number[] {
    return this.#memory?.metadataSize() ?? [0, 0];
  }

  /** Notes how a scrape went. `error` is '' where it went well. */
  report(startMs: number, durationSeconds: number, error: string): void {
    this.health = error === '' ? 'up' : 'down';
    this.lastError = error;
    this.lastScrapeMs = startMs;
    this.lastScrapeDurationSeconds = durationSeconds;
  }

  /**
   * Milliseconds from `nowMs` until the target's next turn. Turns depend on the target and the seed
   * only, so that targets spread over the interval and stay where they are over restarts.
   */
  offsetMs(nowMs: number, seed: bigint): number {
    const interval = BigInt(this.intervalMs) * NANOS_PER_MS;
    const now = BigInt(Math.floor(nowMs * 1e6));
    const next = interval - (now % interval) + ((this.#hash ^ seed) % interval);
    return Number(next > interval ? next - interval : next) / 1e6;
  }
}

function parsed(url: string): Destination | undefined {
  try {
    return destinationOf(url);
  } catch {
    return undefined;
  }
}

/** Where the target is scraped: scheme, address, path and parameters from its labels. */
export function targetUrl(labels: LabelSet, params: Record<string, string[]>): string {
  const query = new Map(Object.entries(params).map(([name, values]) => [name, [...values]]));
  for (const [label, value] of Object.entries(labels)) {
    if (!label.startsWith('__param_')) continue;
    const name = label.slice('__param_'.length);
    query.set(name, [value, ...(query.get(name) ?? []).slice(1)]);
  }
  const pairs = [...query.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, values]) => values.map((value) => `${queryEscape(name)}=${queryEscape(value)}`));
  const path = labels.__metrics_path__ ?? '';
  const rooted = path === '' || path.startsWith('/') ? path : `/${path}`;
  const suffix = pairs.length > 0 ? `?${pairs.join('&')}` : '';
  return `${labels.__scheme__ ?? ''}://${labels.__address__ ?? ''}${pathEscape(rooted)}${suffix}`;
}

const percent = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;

function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, percent);
}

function pathEscape(text: string): string {
  return encodeURI(text).replaceAll(/[!'()*?#[\]]/g, percent);
}
