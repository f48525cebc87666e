/** The client's side of SOCKS 5 (RFC 1928, with the passwords of RFC 1929): as much of it as a proxy for HTTP needs. */

import { isIPv4 } from 'node:net';
import type { Duplex } from 'node:stream';
import { DEADLINE_EXCEEDED } from './go-errors.ts';

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const PASSWORD = 2;

/** What a reply's code means, in the words of Go's client. */
const REPLIES = [
  'succeeded',
  'general SOCKS server failure',
  'connection not allowed by ruleset',
  'network unreachable',
  'host unreachable',
  'connection refused',
  'TTL expired',
  'command not supported',
  'address type not supported',
];

/** Has the proxy at the other end of `socket` connect to a host; its name is resolved there. */
export async function throughSocks5(
  socket: Duplex,
  proxy: URL,
  host: string,
  port: number,
  timeoutMs: number,
): Promise<Duplex> {
  const timer = setTimeout(() => socket.destroy(new Error(DEADLINE_EXCEEDED)), timeoutMs);
  try {
    await authenticate(socket, decodeURIComponent(proxy.username), decodeURIComponent(proxy.password));
    const address = isIPv4(host)
      ? [1, ...host.split('.').map(Number)]
      : [3, Buffer.byteLength(host), ...Buffer.from(host)];
    socket.write(Buffer.from([VERSION, 1, 0, ...address, port >> 8, port & 0xff]));
    const [, reply = 1, , kind] = await take(socket, 4);
    if (reply !== 0) throw new Error(`unknown error ${REPLIES[reply] ?? `unknown code: ${reply}`}`);
    const length = kind === 3 ? ((await take(socket, 1))[0] ?? 0) : kind === 4 ? 16 : 4;
    await take(socket, length + 2);
    return socket;
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    const why = error instanceof Error ? error.message : String(error);
    const message = `socks connect tcp ${proxy.host}->${host}:${port}: ${why}`;
    throw new Error(why === DEADLINE_EXCEEDED ? why : message, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function authenticate(socket: Duplex, user: string, password: string): Promise<void> {
  const method = user === '' ? NO_AUTHENTICATION : PASSWORD;
  socket.write(Buffer.from(method === PASSWORD ? [VERSION, 2, NO_AUTHENTICATION, PASSWORD] : [VERSION, 1, method]));
  const [version, chosen] = await take(socket, 2);
  if (version !== VERSION) throw new Error(`unexpected protocol version ${version}`);
  if (chosen === NO_AUTHENTICATION) return;
  if (chosen !== PASSWORD || method !== PASSWORD) throw new Error('no acceptable authentication methods');
  const [name, secret] = [Buffer.from(user), Buffer.from(password)];
  if (name.length > 255 || secret.length > 255) throw new Error('invalid username/password');
  socket.write(Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([secret.length]), secret]));
  const [, status] = await take(socket, 2);
  if (status !== 0) throw new Error('username/password authentication failed');
}

/** The next `count` bytes; rejects where the other side closes before. */
function take(socket: Duplex, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      socket.off('readable', onReadable).off('error', onError).off('close', onClose).off('end', onClose);
    };
    const onReadable = (): void => {
      const bytes = socket.read(count) as Buffer | null;
      if (bytes === null || bytes.length < count) return;
      end();
      resolve(bytes);
    };
    const onError = (error: Error): void => {
      end();
      reject(error);
    };
    const onClose = (): void => onError(new Error('EOF'));
    socket.on('readable', onReadable).once('error', onError).once('close', onClose).once('end', onClose);
    onReadable();
  });
}
