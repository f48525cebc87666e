/** Sockets: HTTP servers on all addresses, and their end while clients hold on to them. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, messageOf, sleep } from '../util/index.ts';

/** Answers one request. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** An address that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code = 'LISTEN';
}

export interface ListenerOptions {
  addresses: readonly string[];
  readTimeoutMs: number;
  maxConnections: number;
  clock: Clock;
}

/** Request line and headers together; the same as with Prometheus. */
export const HEADER_BYTES_MAX = 1024 * 1024;

/** Longest time a client may take to send its headers. */
const MAX_HEADERS_MS = 60_000;

/** All sockets of one server. */
export class Listener {
  readonly #servers: Server[] = [];
  readonly #options: ListenerOptions;

  private constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Binds all addresses; throws `ListenError` that names the address and the flag. */
  static async open(options: ListenerOptions, handler: Handler): Promise<Listener> {
    const listener = new Listener(options);
    try {
      for (const address of options.addresses) await listener.#bind(address, handler);
    } catch (error) {
      await listener.close(0);
      throw error;
    }
    return listener;
  }

  /** The addresses in use, as `host:port`. */
  addresses(): string[] {
    return this.#servers.map((server) => {
      const { address, port, family } = server.address() as AddressInfo;
      return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
    });
  }

  /** Takes no more connections, gives requests under way `graceMs` to end, then cuts them off. */
  async close(graceMs: number): Promise<void> {
    const closed = this.#servers.map(
      (server) => new Promise<void>((resolve) => (server.listening ? server.close(() => resolve()) : resolve())),
    );
    const ended = new AbortController();
    const all = Promise.all(closed).then(() => ended.abort());
    for (const server of this.#servers) server.closeIdleConnections();
    if (graceMs > 0) await sleep(this.#options.clock, graceMs, ended.signal);
    for (const server of this.#servers) server.closeAllConnections();
    await all;
  }

  async #bind(address: string, handler: Handler): Promise<void> {
    const { host, port } = splitAddress(address);
    const { readTimeoutMs, maxConnections } = this.#options;
    const server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        requestTimeout: readTimeoutMs,
        headersTimeout: Math.min(readTimeoutMs, MAX_HEADERS_MS),
        keepAliveTimeout: readTimeoutMs,
        noDelay: true,
      },
      handler,
    );
    server.maxConnections = maxConnections;
    server.on('clientError', answerBrokenRequest);
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(address, error)));
      server.listen({ port, ...(host === '' ? {} : { host }) }, () => {
        server.removeAllListeners('error');
        resolve();
      });
    });
  }
}

/** Splits `host:port`; IPv6 hosts stand in brackets. An empty host means all interfaces. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ListenError(`--web.listen-address=${address}: expected host:port, e.g. 127.0.0.1:9090`);
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

const LISTEN_HINTS: Record<string, string> = {
  EADDRINUSE: 'the port is in use by another program; free it or choose another one',
  EACCES: 'this user may not listen there; choose a port above 1023',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'there is no such host',
};

function listenError(address: string, cause: NodeJS.ErrnoException): ListenError {
  const reason = LISTEN_HINTS[cause.code ?? ''] ?? messageOf(cause);
  return new ListenError(`cannot listen on ${address}: ${reason} (--web.listen-address)`, { cause });
}

const BROKEN_REQUESTS: Record<string, [status: string, reason: string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'request line and headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request took too long to arrive'],
};

/** How long a client that sent nonsense may take to read why. */
const LINGER_MS = 1000;

const answered = new WeakSet<Socket>();

/** What cannot be read as HTTP gets an answer in the API's envelope, where the socket still takes one. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  // The parser complains of everything that follows, too.
  if (answered.has(socket)) return;
  answered.add(socket);
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason] = BROKEN_REQUESTS[error.code ?? ''] ?? ['400 Bad Request', 'malformed HTTP request'];
  const body = JSON.stringify({ status: 'error', errorType: 'bad_data', error: reason });
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  // What the client still sends is read and dropped: closing on it would reset the answer away.
  socket.resume().setTimeout(LINGER_MS, () => socket.destroy());
  socket.end(head + body);
}
