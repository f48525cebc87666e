/** One scrape over real HTTP on loopback: what is sent, what comes back, and every way it can fail. */

import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig, type ScrapeConfig } from '../config/index.ts';
import { Attempt } from '../http/index.ts';
import { CERTIFICATE, cleanups, serve, serveRaw, serveTls } from '../http/servers.fixture.ts';
import { systemClock } from '../util/index.ts';
import { type FetchedBody, PoolClient } from './pool-client.ts';
import { ScrapeTarget } from './scrape-target.ts';
import { discoveredLabels } from './target-labels.ts';

function configOf(yaml = ''): ScrapeConfig {
  const text = `scrape_configs:\n- job_name: test\n  scrape_timeout: 5s\n${yaml}`;
  const [config] = parseConfig(text, 'test.yml').scrapeConfigs;
  if (!config) throw new Error('no scrape configuration');
  return config;
}

function clientOf(config: ScrapeConfig): PoolClient {
  const client = new PoolClient(config, systemClock, 'Narthex/test');
  cleanups.push(() => Promise.resolve(client.close()));
  return client;
}

function targetOf(config: ScrapeConfig, labels: Record<string, string>): ScrapeTarget {
  const all = discoveredLabels(config, labels, {});
  return new ScrapeTarget({ instance: labels.__address__ ?? '', ...all }, all, config);
}

async function fetchFrom(address: string, yaml = '', labels: Record<string, string> = {}): Promise<FetchedBody> {
  const config = configOf(yaml);
  return clientOf(config).fetch(targetOf(config, { __address__: address, ...labels }));
}

const failureOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no failure',
    (error: Error) => error.message,
  );

const textOf = (body: FetchedBody): string => Buffer.concat(body.pieces).toString();

describe('a request', () => {
  it('carries Prometheus’ headers', async () => {
    let request: IncomingMessage | undefined;
    const { address } = await serve((incoming, response) => {
      request = incoming;
      response.setHeader('content-type', 'text/plain; version=0.0.4').end('a 1\n');
    });
    const body = await fetchFrom(address, '  params: {b: ["2", "3"], a: ["x y"]}\n');
    expect(textOf(body)).toBe('a 1\n');
    expect(body).toMatchObject({ contentType: 'text/plain; version=0.0.4', contentEncoding: '' });
    expect(request?.url).toBe('/metrics?a=x+y&b=2&b=3');
    expect(request?.headers).toMatchObject({
      host: address,
      accept:
        'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3',
      'accept-encoding': 'gzip',
      'user-agent': 'Narthex/test',
      'x-prometheus-scrape-timeout-seconds': '5',
    });
  });

  it('carries credentials and headers, from files too, and takes up a changed file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'narthex-secrets-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const file = join(directory, 'token');
    await writeFile(file, 'first\n');
    const seen: unknown[] = [];
    const { address } = await serve(({ headers }, response) => {
      seen.push([headers.authorization, headers['x-a']]);
      response.end();
    });
    await fetchFrom(address, '  basic_auth: {username: u, password: p}\n');
    await fetchFrom(address, `  authorization: {type: Token, credentials_file: ${file}}\n`);
    await writeFile(file, 'second');
    await fetchFrom(address, `  bearer_token_file: ${file}\n  http_headers: {X-A: {values: [b], secrets: [c]}}\n`);
    expect(seen).toEqual([
      ['Basic dTpw', undefined],
      ['Token first', undefined],
      ['Bearer second', 'b, c'],
    ]);
    const missing = await failureOf(fetchFrom(address, `  bearer_token_file: ${file}.none\n`));
    expect(missing).toBe(
      `Get "http://${address}/metrics": unable to read authorization credentials: unable to read file ${file}.none: open ${file}.none: no such file or directory`,
    );
  });

  it('keeps its connection and survives one that was closed meanwhile', async () => {
    const ports: (number | undefined)[] = [];
    const { address, server } = await serve(({ socket }, response) => {
      ports.push(socket.remotePort);
      response.end('a 1\n');
    });
    const config = configOf();
    const client = clientOf(config);
    const target = targetOf(config, { __address__: address });
    await client.fetch(target);
    await new Promise((resolve) => setImmediate(resolve));
    await client.fetch(target);
    expect(ports[1]).toBe(ports[0]);
    server.closeAllConnections();
    expect(textOf(await client.fetch(target))).toBe('a 1\n');
    expect(ports[2]).not.toBe(ports[0]);
  });

  it('hands the body over as it came, compressed', async () => {
    const packed = Buffer.from('H4sIAAAAAAAAA0tUMOQCABT4KA0EAAAA', 'base64');
    const { address } = await serve((_, response) => {
      response.setHeader('content-encoding', 'gzip').end(packed);
    });
    const body = await fetchFrom(address);
    expect(body.contentEncoding).toBe('gzip');
    expect(Buffer.concat(body.pieces)).toEqual(packed);
  });

  it('goes through a Unix socket where the target says so', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'narthex-socket-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const path = join(directory, 's');
    const server = createServer((_, response) => response.end('over the socket'));
    server.listen(path);
    await once(server, 'listening');
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    const body = await fetchFrom('anything:1', '', { __unix_socket__: path });
    expect(textOf(body)).toBe('over the socket');
    server.closeAllConnections();
  });

  it('goes through a proxy, except where no_proxy says otherwise', async () => {
    const { address: origin } = await serve((_, response) => response.end('direct'));
    const { address: proxy } = await serve((request, response) => response.end(`proxied ${request.url}`));
    expect(textOf(await fetchFrom(origin, `  proxy_url: http://${proxy}\n`))).toBe(`proxied http://${origin}/metrics`);
    const exempt = `  proxy_url: http://${proxy}\n  no_proxy: 127.0.0.0/8\n`;
    expect(textOf(await fetchFrom(origin, exempt))).toBe('direct');
  });
});

describe('TLS', () => {
  it('refuses a certificate that nobody vouches for', async () => {
    const address = await serveTls((_, response) => response.end('a 1\n'));
    expect(await failureOf(fetchFrom(address, '  scheme: https\n'))).toBe(
      `Get "https://${address}/metrics": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    );
  });

  it('trusts the configured authority, or anyone where told to', async () => {
    const address = await serveTls((_, response) => response.end('a 1\n'));
    const directory = await mkdtemp(join(tmpdir(), 'narthex-tls-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const file = join(directory, 'ca.pem');
    await writeFile(file, CERTIFICATE);
    const yaml = '  scheme: https\n  tls_config: ';
    expect(textOf(await fetchFrom(address, `${yaml}{ca_file: ${file}}\n`))).toBe('a 1\n');
    expect(textOf(await fetchFrom(address, `${yaml}{insecure_skip_verify: true, min_version: TLS13}\n`))).toBe('a 1\n');
    const missing = await failureOf(fetchFrom(address, `${yaml}{ca_file: ${file}.none}\n`));
    expect(missing).toBe(
      `Get "https://${address}/metrics": unable to read CA cert: unable to read file ${file}.none: open ${file}.none: no such file or directory`,
    );
  });
});

describe('redirects', () => {
  it('are followed, without credentials to another host', async () => {
    const { address: second } = await serve(({ headers, url }, response) => {
      response.end(`${url} ${headers.authorization ?? 'none'}`);
    });
    const { address: first } = await serve(({ url = '' }, response) => {
      response.writeHead(302, { location: `http://${decodeURIComponent(url.replace('/metrics?to=', ''))}` }).end();
    });
    const follow = async (host: string): Promise<string> =>
      textOf(await fetchFrom(first, `  bearer_token: t\n  params: {to: [${host}/there]}\n`));
    expect(await follow(second)).toBe('/there Bearer t');
    expect(await follow(second.replace('127.0.0.1', 'localhost'))).toBe('/there none');
  });

  it('are not followed where that is off, nor forever', async () => {
    let requests = 0;
    const { address } = await serve((_, response) => {
      requests++;
      response.writeHead(302, { location: '/again' }).end();
    });
    const off = await failureOf(fetchFrom(address, '  follow_redirects: false\n'));
    expect(off).toBe('server returned HTTP status 302 Found');
    expect(await failureOf(fetchFrom(address))).toBe('Get "/again": stopped after 10 redirects');
    expect(requests).toBe(11);
  });
});

describe('failures', () => {
  it('a status that is not 200', async () => {
    const { address } = await serve((_, response) => response.writeHead(404).end('nothing here'));
    expect(await failureOf(fetchFrom(address))).toBe('server returned HTTP status 404 Not Found');
    const { address: broken } = await serve((_, response) => response.writeHead(500).end());
    expect(await failureOf(fetchFrom(broken))).toBe('server returned HTTP status 500 Internal Server Error');
  });

  it('nobody listening', async () => {
    const { address, server } = await serve(() => undefined);
    await new Promise((resolve) => server.close(resolve));
    expect(await failureOf(fetchFrom(address))).toBe(
      `Get "http://${address}/metrics": dial tcp ${address}: connect: connection refused`,
    );
  });

  it('a name that does not resolve', async () => {
    expect(await failureOf(fetchFrom('no-such-host.invalid:1'))).toMatch(
      /^Get "http:\/\/no-such-host\.invalid:1\/metrics": dial tcp: lookup no-such-host\.invalid: (no such host|server misbehaving)$/,
    );
  });

  it('a target that hangs before and after it begins', async () => {
    const { address } = await serve(() => undefined);
    const config = { ...configOf(), scrape_interval: 150, scrape_timeout: 150 };
    const target = targetOf(config, { __address__: address });
    expect(await failureOf(clientOf(config).fetch(target))).toBe(
      `Get "http://${address}/metrics": context deadline exceeded`,
    );
    const { address: trickle } = await serve((_, response) => {
      const timer = setInterval(() => response.write('a 1\n'), 20);
      response.on('close', () => clearInterval(timer));
    });
    const slow = targetOf(config, { __address__: trickle });
    expect(await failureOf(clientOf(config).fetch(slow))).toBe('context deadline exceeded');
  });

  it('a connection that closes before or within the answer', async () => {
    const before = await serveRaw((socket) => socket.destroy());
    expect(await failureOf(fetchFrom(before))).toMatch(/": (EOF|read tcp: read: connection reset by peer)$/);
    const within = await serveRaw((socket) => {
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\na 1\n');
    });
    expect(await failureOf(fetchFrom(within))).toBe('unexpected EOF');
  });

  it('bytes that are not HTTP', async () => {
    const address = await serveRaw((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    expect(await failureOf(fetchFrom(address))).toBe(
      `Get "http://${address}/metrics": net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.2"`,
    );
  });

  it('a body that is far beyond the limit is not read to its end', async () => {
    const { address } = await serve((_, response) => {
      const piece = Buffer.alloc(64 * 1024, 'x');
      const more = (): void => {
        while (response.write(piece));
      };
      response.on('drain', more).on('error', () => undefined);
      more();
    });
    const body = await fetchFrom(address, '  body_size_limit: 1MB\n');
    const size = Buffer.concat(body.pieces).byteLength;
    expect(size).toBeGreaterThan(1024 * 1024);
    expect(size).toBeLessThan(2 * 1024 * 1024);
  });

  it('compression that was not asked for', async () => {
    const { address } = await serve((_, response) => response.setHeader('content-encoding', 'zstd').end('x'));
    expect(await failureOf(fetchFrom(address))).toContain('received a zstd-compressed response');
  });

  it('given up', async () => {
    const { address } = await serve(() => undefined);
    const config = configOf();
    const attempt = new Attempt();
    const fetching = clientOf(config).fetch(targetOf(config, { __address__: address }), attempt);
    setImmediate(() => attempt.abort(new Error('context canceled')));
    await expect(fetching).rejects.toThrow(`Get "http://${address}/metrics": context canceled`);
  });

  it('a scheme and an address that make no URL', async () => {
    expect(await failureOf(fetchFrom('x:1', '  scheme: ftp\n'))).toBe(
      'Get "ftp://x:1/metrics": unsupported protocol scheme "ftp"',
    );
    expect(await failureOf(fetchFrom('a b'))).toBe('Get "http://a b/metrics": invalid URL');
  });
});
