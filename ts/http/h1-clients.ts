/**
 * Connections that speak HTTP/1.1, each with one request at a time; idle ones are kept for their host. undici's own pool
 * would hold 25 KiB for each host, which is most of what a target needs.
 */

import type { Client, Dispatcher } from 'undici';
import type { ResponseCollector } from './response-collector.ts';

type Request = Dispatcher.DispatchOptions & { origin: string };

/** A connection, or one that is being made. */
interface Entry {
  client: Client;
  origin: string;
  isConnected: boolean;
  isBusy: boolean;
}

export class H1Clients {
  readonly #makeClient: (origin: string) => Client;
  readonly #entries = new Map<Dispatcher, Entry>();
  /** By origin; the one used last comes last. */
  readonly #idle = new Map<string, Entry[]>();
  #isClosed = false;

  constructor(makeClient: (origin: string) => Client) {
    this.#makeClient = makeClient;
  }

  /** Sends a request over an idle connection, or a new one. */
  dispatch(request: Request, collector: ResponseCollector): void {
    const entry = this.#takeIdle(request.origin) ?? this.#open(request.origin);
    entry.isBusy = true;
    collector.onSettled = (isWhole) => this.#release(entry, isWhole);
    try {
      entry.client.dispatch(request, collector);
    } catch (error) {
      collector.giveUp(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Closes idle connections; others once their request has ended. */
  close(): void {
    this.#isClosed = true;
    for (const entry of [...this.#entries.values()]) if (!entry.isBusy) this.#drop(entry);
  }

  /** Closes all connections at once; requests under way fail. */
  destroy(): void {
    this.#isClosed = true;
    for (const { client } of this.#entries.values()) void client.destroy().catch(() => undefined);
    this.#entries.clear();
    this.#idle.clear();
  }

  #open(origin: string): Entry {
    const client = this.#makeClient(origin);
    const entry = { client, origin, isConnected: false, isBusy: true };
    client.on('connect', this.#onConnect).on('disconnect', this.#onGone).on('connectionError', this.#onGone);
    this.#entries.set(client, entry);
    return entry;
  }

  #takeIdle(origin: string): Entry | undefined {
    const entries = this.#idle.get(origin);
    const entry = entries?.pop();
    if (entries?.length === 0) this.#idle.delete(origin);
    return entry;
  }

  #release(entry: Entry, isWhole: boolean): void {
    entry.isBusy = false;
    // One that was given up may still be connecting, or be about to close: what comes of it is not waited for.
    if (!isWhole || !entry.isConnected) {
      this.#forget(entry);
      // Closing would have undici connect once more for the request that was given up.
      void entry.client.destroy().catch(() => undefined);
      return;
    }
    if (this.#isClosed) {
      this.#drop(entry);
      return;
    }
    const entries = this.#idle.get(entry.origin);
    if (entries) entries.push(entry);
    else this.#idle.set(entry.origin, [entry]);
  }

  #drop(entry: Entry): void {
    this.#forget(entry);
    void entry.client.close().catch(() => undefined);
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.client);
    const entries = this.#idle.get(entry.origin);
    const at = entries?.indexOf(entry) ?? -1;
    if (at >= 0) entries?.splice(at, 1);
    if (entries?.length === 0) this.#idle.delete(entry.origin);
  }

  readonly #onConnect = (_: URL, [client]: readonly Dispatcher[]): void => {
    const entry = client && this.#entries.get(client);
    if (entry) entry.isConnected = true;
  };

  readonly #onGone = (_: URL, [client]: readonly Dispatcher[]): void => {
    const entry = client && this.#entries.get(client);
    if (!entry) return;
    entry.isConnected = false;
    if (!entry.isBusy) this.#drop(entry);
  };
}
