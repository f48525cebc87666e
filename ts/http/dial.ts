/** Opens connections: over TCP or a Unix socket, through a proxy's tunnel, with TLS on top where the URL asks for it. */

import { request as requestHttp, STATUS_CODES } from 'node:http';
import { request as requestHttps } from 'node:https';
import { connect as connectTcp, isIP, type LookupFunction, type NetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type Place, portOf } from './destination.ts';
import { DEADLINE_EXCEEDED, networkError } from './go-errors.ts';
import { throughSocks5 } from './socks5.ts';
import type { TlsMaterial } from './tls.ts';

/** Probes of an idle connection begin after this time. */
const KEEP_ALIVE_MS = 60_000;

/** How a place is reached where that is not directly. */
export interface Route {
  /** A Unix socket, '' for none. */
  socketPath: string;
  proxy: URL | undefined;
}

export interface DialOptions {
  /** For each step. */
  timeoutMs: number;
  /** For a proxy that is asked for a tunnel. */
  connectHeaders: Readonly<Record<string, string[]>>;
  /** What may be spoken over TLS. */
  protocols: readonly string[];
  /** For places that ask for TLS, and proxies that are spoken to over it. */
  tls: TlsMaterial | undefined;
  /** How names become addresses, where nothing stands between; the system's way where it is undefined. */
  lookup: LookupFunction | undefined;
}

/** Connects to a place; rejects with the system's error, or one in Go's words. */
export async function dial(place: Place, route: Route, options: DialOptions): Promise<Duplex> {
  const socket = await reach(place, route, options);
  return place.protocol === 'https:' ? handshake(socket, place, options) : socket;
}

/** Whether a proxy passes bytes on, and knows nothing of HTTP. */
export function isSocks(proxy: URL): boolean {
  return proxy.protocol === 'socks5:' || proxy.protocol === 'socks5h:';
}

/** The Proxy-Authorization of a proxy with a user in its URL. */
export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined;
  const [user, password] = [decodeURIComponent(proxy.username), decodeURIComponent(proxy.password)];
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

async function reach(place: Place, { socketPath, proxy }: Route, options: DialOptions): Promise<Duplex> {
  if (socketPath !== '') return connected({ path: socketPath }, options.timeoutMs);
  const host = plainHost(place);
  const port = Number(portOf(place));
  const { lookup } = options;
  if (!proxy) return connected({ host, port, ...(lookup && { lookup }) }, options.timeoutMs);
  if (!isSocks(proxy)) return tunnel(proxy, `${place.hostname}:${port}`, options);
  const socket = await connected({ host: plainHost(proxy), port: Number(proxy.port || 1080) }, options.timeoutMs);
  return throughSocks5(socket, proxy, host, port, options.timeoutMs);
}

function connected(to: NetConnectOpts, timeoutMs: number): Promise<Duplex> {
  const socket = connectTcp(to);
  socket.setKeepAlive(true, KEEP_ALIVE_MS).setNoDelay(true);
  return settled(socket, 'connect', timeoutMs, DEADLINE_EXCEEDED);
}

function handshake(under: Duplex, place: Place, options: DialOptions): Promise<Duplex> {
  const { tls, protocols, timeoutMs } = options;
  if (!tls) throw new Error('no TLS configuration');
  const host = plainHost(place);
  const name = tls.serverName || host;
  const socket = connectTls({
    socket: under,
    host,
    ...(isIP(name) === 0 && { servername: name }),
    secureContext: tls.secureContext,
    rejectUnauthorized: tls.rejectUnauthorized,
    ALPNProtocols: [...protocols],
  });
  return settled(socket, 'secureConnect', timeoutMs, 'net/http: TLS handshake timeout');
}

/** Asks a proxy for a connection to `target`. */
async function tunnel(proxy: URL, target: string, options: DialOptions): Promise<Duplex> {
  const { tls, timeoutMs, connectHeaders } = options;
  const authorization = proxyAuthorization(proxy);
  const common = {
    method: 'CONNECT',
    host: plainHost(proxy),
    port: Number(portOf(proxy)),
    path: target,
    headers: {
      host: target,
      ...(authorization !== undefined && { 'proxy-authorization': authorization }),
      ...connectHeaders,
    },
    agent: false as const,
  };
  const secure: ConnectionOptions = { secureContext: tls?.secureContext, rejectUnauthorized: tls?.rejectUnauthorized };
  const request = proxy.protocol === 'https:' ? requestHttps({ ...common, ...secure }) : requestHttp(common);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => request.destroy(new Error(DEADLINE_EXCEEDED)), timeoutMs);
    request
      .once('connect', ({ statusCode = 0, statusMessage = '' }, socket: Duplex) => {
        clearTimeout(timer);
        if (statusCode === 200) return resolve(socket);
        socket.on('error', () => undefined).destroy();
        reject(new Error(statusMessage || (STATUS_CODES[statusCode] ?? `${statusCode}`)));
      })
      .once('error', (error) => {
        clearTimeout(timer);
        reject(new Error(`proxyconnect tcp: ${networkError(error)}`, { cause: error }));
      })
      .end();
  });
}

/** Waits for a socket's event; destroys it where that does not come in time. */
function settled(socket: Duplex, event: string, timeoutMs: number, late: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      socket.off(event, onEvent).off('error', onError).off('close', onClose);
    };
    const onEvent = (): void => {
      end();
      resolve(socket);
    };
    const onError = (error: Error): void => {
      end();
      socket.on('error', () => undefined).destroy();
      reject(error);
    };
    const onClose = (): void => onError(new Error('EOF'));
    const timer = setTimeout(() => onError(new Error(late)), timeoutMs);
    socket.once(event, onEvent).once('error', onError).once('close', onClose);
  });
}

function plainHost({ hostname }: Place): string {
  return hostname.replace(/^\[|\]$/g, '');
}
