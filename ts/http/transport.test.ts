/** Connections: HTTP/2 with its ends, TLS whose files change, proxies of every kind, Unix sockets. Real servers on loopback. */

import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { ManualClock, systemClock } from '../util/index.ts';
import { HttpClient, type HttpRequest } from './index.ts';
import {
  CERTIFICATE,
  cleanups,
  KEY,
  OTHER_CERTIFICATE,
  OTHER_KEY,
  serve,
  serveHttp2,
  serveRaw,
  serveTls,
} from './servers.fixture.ts';

function clientOf(yaml: string, clock: typeof systemClock = systemClock): HttpClient {
  const [config] = parseConfig(`scrape_configs:\n- job_name: j\n${yaml}`, 'test.yml').scrapeConfigs;
  if (!config) throw new Error('no configuration');
  const client = new HttpClient({ config, clock, idleMs: 60_000, connectTimeoutMs: 5000 });
  cleanups.push(() => client.destroy());
  return client;
}

const TRUSTING = '  tls_config: {insecure_skip_verify: true}\n';

async function get(client: HttpClient, url: string, more: Partial<HttpRequest> = {}): Promise<string> {
  const request = { method: 'GET' as const, url, headers: {}, timeoutMs: 5000, maxBytes: 10_000_000, ...more };
  const { status, statusText, pieces } = await client.request(request);
  return `${status} ${statusText}: ${Buffer.concat(pieces)}`;
}

const failureOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no failure',
    (error: Error) => error.message,
  );

const protocol = ({ httpVersion }: IncomingMessage): string => `HTTP/${httpVersion}`;

/** Waits for a condition, with a bound. */
async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe('HTTP/1.1', () => {
  it('keeps connections, as many as there were requests at a time; one that hangs holds up no other', async () => {
    const { address, server } = await serve(({ url }, response) => {
      if (url !== '/hang') response.end(url);
    });
    let connections = 0;
    server.on('connection', () => connections++);
    const client = clientOf('');
    const ask = (path: string) => get(client, `http://${address}${path}`);
    const hang = failureOf(get(client, `http://${address}/hang`, { timeoutMs: 300 }));
    const answers = await Promise.all(['/a', '/b', '/c'].map(ask));
    expect(answers).toEqual(['200 OK: /a', '200 OK: /b', '200 OK: /c']);
    for (let i = 0; i < 10; i++) await Promise.all(['/a', '/b'].map(ask));
    expect(connections).toBe(4);
    expect(await hang).toBe(`Get "http://${address}/hang": context deadline exceeded`);
    await ask('/a');
    expect(connections).toBe(4);
    client.close();
    await until('the end of all connections', () => {
      server.getConnections((_, count) => {
        connections = count;
      });
      return connections === 0;
    });
  });

  it('goes on after a connection that ends with its answer', async () => {
    const { address } = await serve(({ url }, response) => response.setHeader('connection', 'close').end(url));
    const client = clientOf('');
    for (const path of ['/a', '/b', '/c'])
      expect(await get(client, `http://${address}${path}`)).toBe(`200 OK: ${path}`);
  });
});

describe('HTTP/2', () => {
  it('is spoken where the other side chooses it, by all requests over one connection', async () => {
    const host = await serveHttp2((request, response) => {
      const { authorization, accept } = request.headers;
      response.end(`${protocol(request)} ${request.url} ${authorization} ${accept}`);
    });
    const client = clientOf(`${TRUSTING}  bearer_token: t\n`);
    const ask = (path: string) => get(client, `https://${host.address}${path}`, { headers: { accept: 'text/plain' } });
    const answers = await Promise.all(['/a?b=1', '/b', '/c'].map(ask));
    expect(answers[0]).toBe('200 OK: HTTP/2.0 /a?b=1 Bearer t text/plain');
    expect(await ask('/d')).toBe('200 OK: HTTP/2.0 /d Bearer t text/plain');
    expect(host.connections()).toBe(1);
  });

  it('carries a body, a status and a large answer', async () => {
    const host = await serveHttp2(async (request, response) => {
      let sent = '';
      for await (const piece of request) sent += piece;
      response.writeHead(sent === 'sent' ? 404 : 500);
      response.end('x'.repeat(6_000_000));
    });
    const client = clientOf(TRUSTING);
    const answer = await get(client, `https://${host.address}/`, { method: 'POST', body: Buffer.from('sent') });
    expect(answer.slice(0, 20)).toBe('404 Not Found: xxxxx');
    expect(answer).toHaveLength(6_000_015);
  });

  it('is not offered where it is off, nor insisted on', async () => {
    const host = await serveHttp2((request, response) => response.end(protocol(request)));
    const url = `https://${host.address}/`;
    expect(await get(clientOf(`${TRUSTING}  enable_http2: false\n`), url)).toBe('200 OK: HTTP/1.1');
    const connections: number[] = [];
    const old = await serveTls((request, response) => {
      connections.push(request.socket.remotePort ?? 0);
      response.end(protocol(request));
    });
    const client = clientOf(TRUSTING);
    for (let i = 0; i < 3; i++) {
      expect(await get(client, `https://${old}/`)).toBe('200 OK: HTTP/1.1');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(new Set(connections).size).toBe(1);
  });

  it('ends a connection gracefully: what is under way ends well, what comes then gets another', async () => {
    let release: (() => void) | undefined;
    const host = await serveHttp2(({ url }, response) => {
      if (url === '/slow') {
        response.write('first ');
        release = () => response.end('last');
      } else {
        response.end('quick');
      }
    });
    const client = clientOf(TRUSTING);
    const slow = get(client, `https://${host.address}/slow`);
    await until('a request', () => release !== undefined);
    const [session] = host.sessions;
    session?.goaway(constants.NGHTTP2_NO_ERROR, 1);
    while (host.connections() === 1) expect(await get(client, `https://${host.address}/quick`)).toBe('200 OK: quick');
    release?.();
    expect(await slow).toBe('200 OK: first last');
  });

  it('tries again what the other side refused, or lost with its connection', async () => {
    let requests = 0;
    const host = await serveHttp2((request, response) => {
      const { stream } = request as unknown as { stream: { close(code: number): void } };
      if (++requests === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else response.end('served');
    });
    const client = clientOf(TRUSTING);
    const url = `https://${host.address}/`;
    expect(await get(client, url)).toBe('200 OK: served');
    for (const session of host.sessions) session.destroy();
    expect(await get(client, url, { retryStale: true })).toBe('200 OK: served');
    expect(host.connections()).toBe(2);
  });

  it('tells what went wrong as Go does', async () => {
    const host = await serveHttp2((request, response) => {
      const { stream } = request as unknown as { stream: { close(code: number): void; session: { destroy(): void } } };
      if (request.url === '/reset') stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      if (request.url === '/gone') stream.session.destroy();
      if (request.url === '/half') {
        response.write('half');
        setImmediate(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
      }
    });
    const client = clientOf(TRUSTING);
    const url = (path: string): string => `https://${host.address}${path}`;
    const reset = /^Get "https:.*\/reset": stream error: stream ID 1; INTERNAL_ERROR; received from peer$/;
    expect(await failureOf(get(client, url('/reset')))).toMatch(reset);
    expect(await failureOf(get(client, url('/half')))).toMatch(/^stream error: stream ID 3; INTERNAL_ERROR; received/);
    expect(await failureOf(get(client, url('/gone')))).toMatch(/^Get ".*\/gone": (unexpected EOF|http2: server sent)/);
  });

  it('gives up what takes too long, and the connection with it; others on it go on', async () => {
    const host = await serveHttp2(({ url }, response) => {
      if (url === '/quick') response.end('quick');
      if (url === '/trickle') response.write('a');
    });
    const client = clientOf(TRUSTING);
    const hang = failureOf(get(client, `https://${host.address}/hang`, { timeoutMs: 100 }));
    const trickle = failureOf(get(client, `https://${host.address}/trickle`, { timeoutMs: 400 }));
    expect(await hang).toBe(`Get "https://${host.address}/hang": context deadline exceeded`);
    expect(await get(client, `https://${host.address}/quick`)).toBe('200 OK: quick');
    expect(host.connections()).toBe(2);
    expect(await trickle).toBe('context deadline exceeded');
  });

  it('stops at the limit', async () => {
    const host = await serveHttp2((_, response) => {
      const more = (): void => {
        while (response.write('x'.repeat(100_000)));
      };
      response.on('drain', more).on('error', () => undefined);
      more();
    });
    const answer = await get(clientOf(TRUSTING), `https://${host.address}/`, { maxBytes: 1_000_000 });
    expect(answer.length).toBeLessThan(2_000_000);
  });
});

describe('TLS', () => {
  it('takes up changed files: the authority, the certificate and its key', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'narthex-tls-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const write = (name: string, text: string) => writeFile(join(directory, name), text);
    await Promise.all([write('ca', CERTIFICATE), write('cert', CERTIFICATE), write('key', KEY)]);
    const options = { requestCert: true, ca: [CERTIFICATE, OTHER_CERTIFICATE] };
    const address = await serveTls(({ socket }, response) => {
      response.end((socket as TLSSocket).getPeerCertificate().subject.CN);
    }, options);
    const clock = new ManualClock();
    const files = `{ca_file: ${directory}/ca, cert_file: ${directory}/cert, key_file: ${directory}/key}`;
    const client = clientOf(`  tls_config: ${files}\n`, clock);
    const url = `https://${address}/`;
    expect(await get(client, url)).toBe('200 OK: localhost');
    await Promise.all([write('cert', OTHER_CERTIFICATE), write('key', OTHER_KEY)]);
    expect(await get(client, url)).toBe('200 OK: localhost');
    clock.jump(5000);
    expect(await get(client, url)).toBe('200 OK: second');
    await write('ca', OTHER_CERTIFICATE);
    clock.jump(5000);
    expect(await failureOf(get(client, url))).toBe(
      `Get "${url}": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    );
    await write('ca', 'nonsense');
    clock.jump(5000);
    expect(await failureOf(get(client, url))).toBe(
      `Get "${url}": unable to use specified CA cert file ${directory}/ca`,
    );
  });

  it('refuses a key that is not that of its certificate, and a secret that nobody manages', async () => {
    const inline = (text: string) => JSON.stringify(text);
    const pair = `{cert: ${inline(CERTIFICATE)}, key: ${inline(OTHER_KEY)}}`;
    expect(await failureOf(get(clientOf(`  tls_config: ${pair}\n`), 'https://127.0.0.1:1/'))).toMatch(
      /^Get "https:\/\/127.0.0.1:1\/": unable to use specified client cert \(inline\) & key \(inline\): tls: /,
    );
    expect(await failureOf(get(clientOf('  authorization: {credentials_ref: x}\n'), 'http://127.0.0.1:1/'))).toBe(
      'Get "http://127.0.0.1:1/": unable to read authorization credentials: cannot use secret ref without manager',
    );
  });
});

describe('a Unix socket', () => {
  it('is connected to whatever the URL’s host, also with TLS', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'narthex-socket-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const paths = ['a', 'b'].map((name) => join(directory, name));
    for (const path of paths) {
      const server = createServer(({ headers }, response) => response.end(`${path} ${headers.host}`));
      server.listen(path);
      await once(server, 'listening');
      cleanups.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
    }
    const client = clientOf(TRUSTING);
    for (const socketPath of paths) {
      expect(await get(client, 'http://some:1/', { socketPath })).toBe(`200 OK: ${socketPath} some:1`);
    }
    const gone = { socketPath: join(directory, 'none') };
    expect(await failureOf(get(client, 'http://some:1/', gone))).toBe(
      `Get "http://some:1/": dial unix ${directory}/none: connect: no such file or directory`,
    );
  });
});

describe('a proxy', () => {
  /** Tunnels every CONNECT; what it was asked is kept. */
  async function serveTunnel(status = 200): Promise<{ address: string; asked: IncomingMessage[] }> {
    const asked: IncomingMessage[] = [];
    const { address, server } = await serve((request, response) => {
      asked.push(request);
      response.end(`proxied ${request.url}`);
    });
    const sockets: Socket[] = [];
    cleanups.push(() => sockets.map((socket) => socket.destroy()));
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      asked.push(request);
      socket.on('error', () => undefined);
      if (status !== 200) {
        socket.end(`HTTP/1.1 ${status} Proxy Authentication Required\r\n\r\n`);
        return;
      }
      const [host = '', port] = request.url?.split(':') ?? [];
      const far = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        far.pipe(socket).pipe(far);
      });
      sockets.push(
        far.on('error', () => undefined),
        socket,
      );
    });
    return { address, asked };
  }

  it('is asked for a tunnel to a host with TLS, with the headers and the user that are configured', async () => {
    const host = await serveHttp2((request, response) => response.end(protocol(request)));
    const { address, asked } = await serveTunnel();
    const yaml = `  proxy_url: http://us%3Aer:pw@${address}\n  proxy_connect_header: {X-A: [b, c]}\n`;
    expect(await get(clientOf(TRUSTING + yaml), `https://${host.address}/`)).toBe('200 OK: HTTP/2.0');
    expect(asked[0]).toMatchObject({ method: 'CONNECT', url: host.address });
    expect(asked[0]?.headers).toMatchObject({
      host: host.address,
      'x-a': 'b, c',
      'proxy-authorization': `Basic ${Buffer.from('us:er:pw').toString('base64')}`,
    });
    expect(asked[0]?.headers.authorization).toBeUndefined();
  });

  it('answers itself for a host without TLS', async () => {
    const { address, asked } = await serveTunnel();
    const client = clientOf(`  proxy_url: http://u:p@${address}\n  bearer_token: t\n`);
    expect(await get(client, 'http://nowhere.invalid:81/m?a=1')).toBe(
      '200 OK: proxied http://nowhere.invalid:81/m?a=1',
    );
    expect(asked[0]?.headers).toMatchObject({
      host: 'nowhere.invalid:81',
      authorization: 'Bearer t',
      'proxy-authorization': `Basic ${Buffer.from('u:p').toString('base64')}`,
    });
  });

  it('that refuses the tunnel is quoted', async () => {
    const { address } = await serveTunnel(407);
    const client = clientOf(`${TRUSTING}  proxy_url: http://${address}\n`);
    expect(await failureOf(get(client, 'https://some.invalid/'))).toBe(
      'Get "https://some.invalid/": Proxy Authentication Required',
    );
  });

  it('of SOCKS 5 passes names and passwords on', async () => {
    const { address: origin } = await serve((_, response) => response.end('origin'));
    const heard: string[] = [];
    const proxy = await serveRaw((socket, greeting) => {
      heard.push(greeting.toString('hex'));
      socket.write(Buffer.from([5, 2]));
      socket.once('data', (login: Buffer) => {
        heard.push(login.toString('latin1'));
        socket.write(Buffer.from([1, 0]));
        socket.once('data', (asked: Buffer) => {
          heard.push(asked.subarray(5, -2).toString());
          const refuses = heard.at(-1) === 'refused.invalid';
          socket.write(Buffer.from([5, refuses ? 5 : 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          const [, port] = origin.split(':');
          if (!refuses) {
            const far = connect(Number(port), '127.0.0.1').on('error', () => undefined);
            cleanups.push(() => far.destroy());
            far.pipe(socket).pipe(far);
          }
        });
      });
    });
    const client = clientOf(`  proxy_url: socks5://us:pw@${proxy}\n`);
    expect(await get(client, 'http://some.invalid/')).toBe('200 OK: origin');
    expect(heard).toEqual(['05020002', '\x01\x02us\x02pw', 'some.invalid']);
    expect(await failureOf(get(client, 'http://refused.invalid/'))).toBe(
      `Get "http://refused.invalid/": socks connect tcp ${proxy}->refused.invalid:80: unknown error connection refused`,
    );
  });
});

describe('a user in a URL', () => {
  it('is sent, and its password told to nobody', async () => {
    const { address, server } = await serve(({ headers }, response) => response.end(headers.authorization));
    const client = clientOf('  bearer_token: t\n');
    const url = `http://u:secret@${address}/`;
    expect(await get(client, url)).toBe(`200 OK: Basic ${Buffer.from('u:secret').toString('base64')}`);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(await failureOf(get(client, url, { retryStale: true }))).toContain(
      `Get "http://u:***@${address}/": dial tcp ${address}: `,
    );
  });
});
