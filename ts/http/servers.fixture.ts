/** Servers on the loopback for tests of HTTP as a client, and certificates for them; nothing of it is used anywhere else. */

import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { afterEach } from 'vitest';

/** A certificate for 127.0.0.1 that signs itself, with its key. */
export const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/CKQgeuZFnxF28eG
4OSxtp8d4IJUJdMVSJ7iVSvSQBmhRANCAATJx2+tz8mP3lFhHsnNann0NAqXci3t
3vrJoCS/ZDmq1t6AaZ7eM3ah0BuvSrBbO8GosmXuirFWzYjN4uXH8Hbq
-----END PRIVATE KEY-----`;
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBXDCCAQKgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMnHb63PyY/eUWEe
yc1qefQ0CpdyLe3e+smgJL9kOarW3oBpnt4zdqHQG69KsFs7waiyZe6KsVbNiM3i
5cfwduqjQzBBMA8GA1UdEwEB/wQFMAMBAf8wDwYDVR0RBAgwBocEfwAAATAdBgNV
HQ4EFgQU+vlCYhf1sxKSi09VroF1kh9SJm8wCgYIKoZIzj0EAwIDSAAwRQIgE8QY
mF1P/1yy5ar/bLFPVvvelyzz28cuuHVlcwC87sQCIQDyRFdEkgKg2Zd/EVfvFY6s
YbEozsc5N/WxpoK6eE4QYQ==
-----END CERTIFICATE-----`;

/** Another one. */
export const OTHER_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgx16eAuaAGqJ0XYo0
dg6C6j7uvIFCoEvJ+rd3C0yUIQShRANCAAQsxBYPFnZA/JuraiaswKDTQegALDf3
hIlcmHUFsZ/nkw/QkDoDaGmZHrx2n+2iP84JKDRnMPVrqBbGCn7Zhf/g
-----END PRIVATE KEY-----`;
export const OTHER_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBizCCATCgAwIBAgIUfK2iybQSlCeEWotfDvLqK0ys7cwwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGc2Vjb25kMCAXDTI2MTIwMTA2NDMwN1oYDzIxMjYxMTA3MDY0
MzA3WjARMQ8wDQYDVQQDDAZzZWNvbmQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQsxBYPFnZA/JuraiaswKDTQegALDf3hIlcmHUFsZ/nkw/QkDoDaGmZHrx2n+2i
P84JKDRnMPVrqBbGCn7Zhf/go2QwYjAdBgNVHQ4EFgQUPqFH7Slp6ydSu+bRwsHk
q+T3XZMwHwYDVR0jBBgwFoAUPqFH7Slp6ydSu+bRwsHkq+T3XZMwDwYDVR0TAQH/
BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0kAMEYCIQCI2YPH
F/htxVp3GOKNcQ5PxH5QKI81no4lr/4lkyq3dwIhAIiVby8qfmdd/+qfVolcF9pM
BlzQ95pdQxQanRvOC2Ps
-----END CERTIFICATE-----`;

/** A key that signs assertions. */
export const RSA_KEY = `-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCk5Pa95nVsdRNP
bFa/2Y+cnBJbhE0+0/1QpB6X+KV4PbA0D1Mqu/82OoLsRAYF+4PO4FTwxuFNJXZ7
HC2ICsdpwP/EHMemu+yq7saTZkrj6GlMgFGf+TG1MmBkIEwGEx7WcwTO5IrsM7rr
xK4LaHQH/TYIeBuTswbS9m3Ke90O19krTCWzgTZZ9jSLDHooemYjsAYf91nZ+4xF
PWlJXOp3HeX2U2n0Tpg++nTMrU3AbdFChadn61uI2XvAlesVJPSm1gtn4Ai9CMoS
52FMaTtaIZ3vVfvzxIbsERVYP+Mx2mEpq4jMBXUi7R3oN7w95Xfwd8bXMnJGyB7o
uZuJ0vJ5AgMBAAECggEABvXtXoXQdiQZDRS/MrkN4WgLNFbI5fqP6mwLKJIj9gfw
nLn64kZuVw0wQqX6dR0xarW4kDNtBlMrBbZiS6hc05+EjHREj0rGik6rDkTWq3k/
nK2cBHtB+GqofAGLBAShnB7d2Jf4L1Fdth8m0690mnO7aK8dRuZbRuOFLfN9mOc9
VlncYrfFVv5flFl2ZgSsNkiA/bdNn0/ZokR2IH5on+iekUaldx34kajilNPY+7tW
q8cnX48tzAZx1J88eGeevthnNUYpYzN+4GeoFpl5sIWZfKNK0eHmOmCnXuozp0EI
6Zh8V/fqOk/60TKgWE6kD1VO3BlROl1/u97HJU9AKQKBgQDT9r2IXBwv2glT8MCo
+h6tSTLS79OyJTsck12GKVTF7e+qHzji/+vji6eXkaqhs4lhlIx93a1Bm/S0KlQ+
F0EPeoJ1tSYDMgSZL4smOmYkHe6BR7G8S+j1vmOrfZ5hNrgbcNDiSfPHQRqfQJx9
mNTJenrciSbisHDZWgKjTzlZNQKBgQDHJtftYKI7f4kSIo0T/l83lc6+qk4wscsJ
Yr9qvYY2Lkm4FD/7VxSuWYWk20nxKsw/RctX1ZurDHjleETQPByyvpC+8+JCfZAw
tlat4ipMlQ2uMQgBjE7bOkXvg/bpcKMFNm8424bzN3HgH+h2N/eGKftqtO2wGL+8
PyIILudgtQKBgDlUnYMKVt1ife9kSNfrfuyjxclj8MBYbZqXCU7GUxWN+6rp8vsC
+Yx8M4I9dgdyhhAMm8tXcAs04YTxhgOdSo2jNzIbIwLuPmwofdyDIylVpzL0b1Bc
v8/oBRFXUsU8haN2aikqk3MrWsYENc+KzNMJ+702o3vg+UTwoZIGVZ6ZAoGAXxkm
XR0a+yxwiO9kzNpYH5Py0MtEYS5VVRsJavArqa262CMbVmsD3imzjsCEc5xLQh+S
9VN0bV6cUH945LL/xT8IoZaWQcfx1cEMbSYlqsI2cSrKtuqIMVmHUdODUX/O6MtQ
mycBLx0XzL2P5Pvev/tGKnNRWRjIXh0LpDq5lE0CgYA/hv8euJR+2Wy0dPrByAIa
59hWCxtpPaAdCXb3Tm+hAJ2Kq1lK1BAZBK+6is73njqGlIkl5IME31DsaH1EV5DJ
rdx1KMshDgZ2lRRvgaHraufTxeOexmjvH2P27DAGl7yi0erSpSk2e6bum9SNTE9W
uCFCYH9zPxV/DLv1JDufXg==
-----END PRIVATE KEY-----`;

/** Called after each test, the last first. */
export const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const addressOf = (server: { address(): AddressInfo | string | null }): string =>
  `127.0.0.1:${(server.address() as AddressInfo).port}`;

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return addressOf(server);
}

/** A server of HTTP/1.1. */
export async function serve(listener: RequestListener): Promise<{ address: string; server: Server }> {
  const server = createServer(listener);
  return { address: await listen(server), server };
}

/** The same over TLS. */
export async function serveTls(listener: RequestListener, options: TlsOptions = {}): Promise<string> {
  return listen(createTlsServer({ key: KEY, cert: CERTIFICATE, ...options }, listener));
}

export interface Http2Host {
  address: string;
  server: Http2SecureServer;
  /** Connections at this moment. */
  sessions: Set<ServerHttp2Session>;
  /** Connections so far. */
  connections(): number;
}

/** A server of HTTP/2 and, unless told otherwise, of HTTP/1.1, over TLS. */
export async function serveHttp2(listener: RequestListener, options: object = {}): Promise<Http2Host> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createSecureServer(
    { key: KEY, cert: CERTIFICATE, allowHTTP1: true, ...options },
    listener as unknown as Parameters<typeof createSecureServer>[1],
  );
  let connections = 0;
  server.on('session', (session) => {
    connections++;
    sessions.add(session);
    session.on('error', () => undefined).once('close', () => sessions.delete(session));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const session of sessions) session.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { address: addressOf(server), server, sessions, connections: () => connections };
}

/** A server that `talk` does all the talking for, from the first bytes of each connection on. */
export async function serveRaw(talk: (socket: Socket, first: Buffer) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.once('data', (first: Buffer) => talk(socket, first));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return addressOf(server);
}
