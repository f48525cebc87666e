/**
 * Connections and what is spoken over them: HTTP/1.1 by undici, HTTP/2 where the other side chooses it; directly,
 * through a Unix socket, or through a proxy. Connections are kept for the next request.
 */

import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { buildConnector, Client } from 'undici';
import type { Attempt } from './attempt.ts';
import type { Destination, Place } from './destination.ts';
import { type DialOptions, dial, isSocks, proxyAuthorization, type Route } from './dial.ts';
import { HEADER_BYTES_MAX, networkError } from './go-errors.ts';
import { H1Clients } from './h1-clients.ts';
import { H2Session } from './h2-session.ts';
import type { CollectedResponse, CollectOptions, Sent } from './response-collector.ts';
import type { TlsMaterial, TlsSettings } from './tls.ts';

/** What a request under way opens after the client was closed is kept so long. */
const CLOSED_IDLE_MS = 1000;

/** So many hosts are remembered for what they speak; then all are forgotten, and asked anew. */
const REMEMBERED_MAX = 50_000;

/** Names the connections for requests that a proxy answers; no path of a socket has a NUL. */
const PROXY = '\0proxy';

type Undici = typeof import('undici');

let loading: Promise<Undici> | undefined;
let loaded: Undici | undefined;

/** The library beneath, loaded when it is first needed: a start would wait for it longer than for all the rest of ours. */
export function undici(): Promise<Undici> {
  loading ??= import('undici').then((library) => {
    loaded = library;
    return library;
  });
  return loading;
}

export interface TransportOptions {
  tls: TlsSettings;
  proxyOf(place: Place): URL | undefined;
  /** For a proxy that is asked for a tunnel. */
  connectHeaders: Readonly<Record<string, string[]>>;
  http2: boolean;
  /** Idle connections are kept so long. */
  idleMs: number;
  connectTimeoutMs: number;
  /** How names become addresses, where nothing stands between; the system's way where it is undefined. */
  lookup: LookupFunction | undefined;
}

/** One request, and how its answer is collected. */
export interface Exchange extends CollectOptions {
  to: Destination;
  sent: Sent;
  /** A Unix socket to connect to, '' for the URL's host. */
  socketPath: string;
}

export class Transport {
  readonly #options: TransportOptions;
  /** By the Unix socket they connect to, '' for none. */
  readonly #clients = new Map<string, H1Clients>();
  // What follows is keyed by socket and origin.
  readonly #sessions = new Map<string, H2Session>();
  readonly #meetings = new Map<string, Promise<H2Session | undefined>>();
  /** Hosts that chose HTTP/1.1. */
  readonly #plainSpoken = new Set<string>();
  /** Connections to them that were made to hear their choice. */
  readonly #spare = new Map<string, Duplex>();
  #tls: TlsMaterial | undefined;
  #idleMs: number;
  #isDestroyed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#idleMs = options.idleMs;
  }

  /** Sends a request and collects the answer. @throws CollectError, or what prevented a connection */
  async send(exchange: Exchange, attempt: Attempt): Promise<CollectedResponse> {
    const { to, sent, socketPath } = exchange;
    const library = loaded ?? (await attempt.guard(undici()));
    const proxy = socketPath === '' ? this.#options.proxyOf(to) : undefined;
    const isTls = to.protocol === 'https:';
    if (isTls || proxy?.protocol === 'https:') await this.#refreshTls(attempt);
    if (isTls && this.#options.http2) {
      const session = await this.#session(to, { socketPath, proxy }, attempt);
      if (session) {
        const collector = attempt.collector(exchange);
        session.send(to, sent, collector);
        return collector.promise;
      }
    }
    const collector = attempt.collector(exchange);
    const { method, body = null } = sent;
    if (proxy && !isTls && !isSocks(proxy)) {
      const authorization = proxyAuthorization(proxy);
      const headers = { ...sent.headers, host: to.host };
      const authorized = authorization === undefined ? headers : { ...headers, 'proxy-authorization': authorization };
      const request = { origin: proxy.origin, path: to.origin + to.path, method, headers: authorized, body };
      this.#h1(library, PROXY).dispatch(request, collector);
    } else {
      this.#h1(library, socketPath).dispatch(
        { origin: to.origin, path: to.path, method, headers: sent.headers, body },
        collector,
      );
    }
    return collector.promise;
  }

  /** Closes idle connections; requests under way are finished first. */
  close(): void {
    this.#idleMs = CLOSED_IDLE_MS;
    this.#retire();
  }

  /** Closes all connections at once; requests under way fail. */
  destroy(): void {
    this.#isDestroyed = true;
    for (const clients of this.#clients.values()) clients.destroy();
    for (const session of this.#sessions.values()) session.destroy();
    this.#clients.clear();
    this.#sessions.clear();
    this.#retire();
  }

  /** New requests get new connections. */
  #retire(): void {
    for (const clients of this.#clients.values()) clients.close();
    for (const session of this.#sessions.values()) session.close();
    for (const socket of this.#spare.values()) socket.destroy();
    for (const kept of [this.#clients, this.#sessions, this.#meetings, this.#plainSpoken, this.#spare]) kept.clear();
  }

  async #refreshTls(attempt: Attempt): Promise<void> {
    const { tls } = this.#options;
    const material = tls.fixed ?? (await attempt.guard(tls.current()));
    if (this.#tls && this.#tls !== material) this.#retire();
    this.#tls = material;
  }

  /** The connection that speaks HTTP/2 with a host; `undefined` where the host does not. */
  async #session(to: Destination, route: Route, attempt: Attempt): Promise<H2Session | undefined> {
    const key = keyOf(route.socketPath, to.origin);
    const session = this.#sessions.get(key);
    if (session?.isOpen) return session;
    if (this.#plainSpoken.has(key)) return undefined;
    let meeting = this.#meetings.get(key);
    if (!meeting) {
      meeting = this.#meet(to, route, key).finally(() => {
        if (this.#meetings.get(key) === meeting) this.#meetings.delete(key);
      });
      this.#meetings.set(key, meeting);
    }
    return attempt.guard(meeting);
  }

  /** Connects to a host to hear what it wants to speak. */
  async #meet(to: Destination, route: Route, key: string): Promise<H2Session | undefined> {
    const tls = this.#tls;
    const socket = await dial(to, route, this.#dialOptions(['h2', 'http/1.1']));
    if (this.#isDestroyed || tls !== this.#tls) {
      socket.destroy();
      if (this.#isDestroyed) throw new Error('the client was closed');
      return this.#meet(to, route, key);
    }
    if ((socket as TLSSocket).alpnProtocol === 'h2') {
      const session = new H2Session(socket, to.origin, this.#idleMs, () => {
        if (this.#sessions.get(key) === session) this.#sessions.delete(key);
      });
      this.#sessions.set(key, session);
      return session;
    }
    if (this.#plainSpoken.size >= REMEMBERED_MAX) this.#plainSpoken.clear();
    this.#plainSpoken.add(key);
    this.#spare.set(key, socket);
    socket
      .on('error', () => undefined)
      .once('close', () => {
        if (this.#spare.get(key) === socket) this.#spare.delete(key);
      });
    return undefined;
  }

  #h1({ Client }: Undici, name: string): H1Clients {
    let clients = this.#clients.get(name);
    if (!clients) {
      const options: Client.Options = {
        keepAliveTimeout: this.#idleMs,
        keepAliveMaxTimeout: this.#idleMs,
        pipelining: 1,
        maxHeaderSize: HEADER_BYTES_MAX,
        // The request's own timeout is the only one.
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: this.#connector(name),
      };
      clients = new H1Clients((origin) => new Client(origin, options));
      this.#clients.set(name, clients);
    }
    return clients;
  }

  /** Makes connections for undici. */
  #connector(name: string): buildConnector.connector {
    const socketPath = name === PROXY ? '' : name;
    return ({ protocol, hostname, host }, callback) => {
      const url = new URL(`${protocol}//${host ?? hostname}`);
      const key = keyOf(socketPath, url.origin);
      const spare = this.#spare.get(key);
      this.#spare.delete(key);
      const proxy = name === '' ? this.#options.proxyOf(url) : undefined;
      const ready =
        spare && !spare.destroyed
          ? Promise.resolve(spare)
          : dial(url, { socketPath, proxy }, this.#dialOptions(['http/1.1']));
      ready.then(
        (socket) => callback(null, socket as TLSSocket),
        (error: Error) => {
          // It may have changed what it speaks.
          this.#plainSpoken.delete(key);
          callback(name === PROXY ? new Error(`proxyconnect tcp: ${networkError(error)}`) : error, null);
        },
      );
    };
  }

  #dialOptions(protocols: readonly string[]): DialOptions {
    const { connectTimeoutMs, connectHeaders, lookup } = this.#options;
    return { timeoutMs: connectTimeoutMs, connectHeaders, protocols, tls: this.#tls, lookup };
  }
}

function keyOf(socketPath: string, origin: string): string {
  return `${socketPath}\0${origin}`;
}
