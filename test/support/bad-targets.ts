/** Targets that misbehave, each in its own way under a path of its own: real servers on the loopback. */

import { once } from 'node:events';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { CERTIFICATE, KEY } from '../../ts/http/servers.fixture.ts';

/** Answers a request, of which nothing but its path is known. */
type Answer = (socket: Socket) => void;

const TEXT = 'content-type: text/plain; version=0.0.4\r\n';
const ok = (headers: string, body: Buffer | string): Buffer =>
  Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${headers}\r\n`), Buffer.from(body)]);
const sized = (headers: string, body: Buffer | string): Answer => {
  const bytes = Buffer.from(body as string);
  return (socket) => void socket.write(ok(`${headers}content-length: ${bytes.length}\r\n`, bytes));
};
const chunked = (headers: string, text: string): Answer => {
  return (socket) => void socket.end(ok(`${headers}transfer-encoding: chunked\r\n`, text));
};
const gzipped = (bytes: Buffer): Answer => sized(`${TEXT}content-encoding: gzip\r\n`, bytes);
const status = (line: string, headers = ''): Answer => {
  return (socket) => void socket.write(`HTTP/1.1 ${line}\r\n${headers}content-length: 0\r\n\r\n`);
};

const packed = gzipSync('a 1\nb 2\n');
const broken = Buffer.from(packed);
broken.writeUInt32LE(12345, packed.length - 8);

/** Sends `piece` again and again, slowly. */
const trickle = (head: Buffer, piece: string): Answer => {
  return (socket) => {
    socket.write(head);
    const timer = setInterval(() => socket.write(piece), 20);
    socket.once('close', () => clearInterval(timer));
  };
};

/** What is wrong with a target, by its path. */
export const BAD_TARGETS: Readonly<Record<string, Answer>> = {
  good: sized(TEXT, 'a 1\nb 2\n'),
  hang: () => undefined,
  'hang-in-headers': (socket) => void socket.write('HTTP/1.1 200 OK\r\nx-a: b'),
  'hang-in-body': (socket) => void socket.write(ok(`${TEXT}content-length: 100\r\n`, 'a 1\n')),
  trickle: trickle(ok(`${TEXT}transfer-encoding: chunked\r\n`, ''), '1\r\n#\r\n'),
  'trickle-headers': trickle(Buffer.from('HTTP/1.1 200 OK\r\nx-a: '), 'b'),
  'redirect-for-ever': status('302 Found', 'location: /redirect-for-ever\r\n'),
  'redirect-nowhere': status('302 Found'),
  'redirect-elsewhere': status('302 Found', 'location: ftp://127.0.0.1/\r\n'),
  'redirect-to-good': status('307 Temporary Redirect', 'location: good\r\n'),
  'close-at-once': (socket) => void socket.end(),
  'close-in-headers': (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-type: t'),
  'close-in-body': (socket) => void socket.end(ok(`${TEXT}content-length: 100\r\n`, 'a 1\n')),
  'close-in-chunk': chunked(TEXT, '64\r\na 1\n'),
  'close-between-chunks': chunked(TEXT, '4\r\na 1\n\r\n'),
  'bad-chunk': chunked(TEXT, 'xyz\r\na 1\n'),
  'body-to-the-end': (socket) => void socket.end(ok(TEXT, 'a 1\nb 2\n')),
  'old-http': (socket) => void socket.end(`HTTP/1.0 200 OK\r\n${TEXT}\r\na 1\n`),
  garbage: (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
  'bad-status-line': (socket) => void socket.end('HTTP/1.1 abc OK\r\n\r\n'),
  'bad-header': (socket) => void socket.end(`HTTP/1.1 200 OK\r\n${TEXT}no colon\r\n\r\na 1\n`),
  'huge-headers': (socket) => void socket.end(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(12 * 1024 * 1024)}\r\n\r\n`),
  'status-204': (socket) => void socket.write('HTTP/1.1 204 No Content\r\n\r\n'),
  'status-304': (socket) => void socket.write('HTTP/1.1 304 Not Modified\r\n\r\n'),
  'status-401': status('401 Unauthorized', 'www-authenticate: Basic\r\n'),
  'status-404': status('404 Not Found'),
  'status-500': status('500 Internal Server Error'),
  'status-without-text': status('503'),
  'status-with-other-text': status('503 Come Back Later'),
  'status-with-endless-body': (socket) => {
    socket.write('HTTP/1.1 500 Internal Server Error\r\n\r\n');
    const more = (): void => {
      while (socket.write(Buffer.alloc(64 * 1024, 'x')));
    };
    socket.on('drain', more);
    more();
  },
  'too-large': sized(TEXT, `a 1\n${'# comment\n'.repeat(2000)}`),
  'as-large-as-the-limit': sized(TEXT, `a 1\n#${'x'.repeat(9993)}\n\n`),
  endless: (socket) => {
    socket.write(ok(TEXT, ''));
    const more = (): void => {
      while (socket.write('# comment\n'.repeat(6000)));
    };
    socket.on('drain', more);
    more();
  },
  bomb: gzipped(gzipSync(Buffer.alloc(200 * 1024 * 1024, '#'))),
  'gzip-without-header': gzipped(Buffer.from('a 1\n')),
  'gzip-empty': gzipped(Buffer.alloc(0)),
  'gzip-truncated': gzipped(packed.subarray(0, packed.length - 10)),
  'gzip-without-trailer': gzipped(packed.subarray(0, packed.length - 8)),
  'gzip-checksum': gzipped(broken),
  'gzip-corrupt': gzipped(Buffer.concat([packed.subarray(0, 10), Buffer.from('ffffffffffffffff', 'hex')])),
  'gzip-twice': gzipped(Buffer.concat([gzipSync('a 1\n'), gzipSync('b 2\n')])),
  deflated: sized(`${TEXT}content-encoding: deflate\r\n`, 'a 1\n'),
  'no-type': sized('', 'a 1\n'),
  html: sized('content-type: text/html\r\n', '<html>\n'),
  'bad-type': sized('content-type: ///\r\n', 'a 1\n'),
  'unknown-version': sized('content-type: text/plain; version=7.0.0\r\n', 'a 1\n'),
  empty: sized(TEXT, ''),
  nonsense: sized(TEXT, 'a 1\nthis is {no sample\n'),
  'cut-line': sized(TEXT, 'a 1\nb'),
  binary: sized(TEXT, Buffer.from(Array.from({ length: 256 }, (_, i) => i))),
  'not-utf-8': sized(TEXT, Buffer.from('a{b="\xff"} 1\n', 'latin1')),
  twice: sized(TEXT, 'a 1\na 1\na 2\n'),
  'many-labels': sized(TEXT, `a{${Array.from({ length: 40 }, (_, i) => `l${i}="x"`).join(',')}} 1\n`),
  'long-label': sized(TEXT, `a{b="${'x'.repeat(400)}"} 1\n`),
  'many-samples': sized(TEXT, Array.from({ length: 60 }, (_, i) => `a{i="${i}"} 1\n`).join('')),
  'openmetrics-without-end': sized('content-type: application/openmetrics-text; version=1.0.0\r\n', 'a 1\n'),
  'bad-protobuf': sized(
    'content-type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n',
    Buffer.from('ffffffffff', 'hex'),
  ),
};

export interface BadTargets {
  /** `host:port` of those above. */
  address: string;
  /** `host:port` of one that speaks TLS with a certificate that nobody vouches for. */
  tls: string;
  /** How often a path was asked for. */
  asked(path: string): number;
  close(): Promise<void>;
}

/** Starts the targets. */
export async function startBadTargets(): Promise<BadTargets> {
  const sockets = new Set<Socket>();
  const asked = new Map<string, number>();
  const plain = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    socket.on('data', (request) => {
      const path = /^GET \/(\S*) /.exec(request.toString('latin1'))?.[1] ?? '';
      asked.set(path, (asked.get(path) ?? 0) + 1);
      (BAD_TARGETS[path] ?? status('400 Bad Request'))(socket);
    });
  });
  const tls = createTlsServer({ key: KEY, cert: CERTIFICATE }, (_, response: ServerResponse) => response.end('a 1\n'));
  tls.on('connection', (socket: Socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  for (const server of [plain, tls]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const addressOf = (server: { address(): unknown }): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address: addressOf(plain),
    tls: addressOf(tls),
    asked: (path) => asked.get(path) ?? 0,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all([plain, tls].map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** A server that only has the one purpose of being free to be refused. */
export function unused(): Promise<string> {
  const server = createHttpServer().listen(0, '127.0.0.1');
  return once(server, 'listening').then(() => {
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.close();
    return address;
  });
}
