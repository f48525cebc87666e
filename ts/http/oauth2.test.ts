/** OAuth 2 against real endpoints: what is asked of them, how long tokens are kept, and every way it can fail. */

import { createPublicKey, verify } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { ManualClock, systemClock } from '../util/index.ts';
import { HttpClient } from './index.ts';
import { CERTIFICATE, cleanups, RSA_KEY, serve, serveTls } from './servers.fixture.ts';

const HEADERS = { 'user-agent': 'Narthex/test' };

interface Asked {
  form: Record<string, string>;
  headers: IncomingHttpHeaders;
}

/** What an endpoint answers to a request for a token. */
interface Answer {
  status?: number;
  type?: string;
  body: string;
}

type Endpoint = (asked: Asked, number: number) => Answer;

const token = (name: string, seconds?: number): Answer => ({
  body: JSON.stringify({ access_token: name, token_type: 'bearer', expires_in: seconds }),
});

class Setup {
  readonly asked: Asked[] = [];
  /** Authorization headers that the target saw. */
  readonly seen: (string | undefined)[] = [];
  readonly clock = new ManualClock();
  tokenUrl = '';
  target = '';

  static async open(endpoint: Endpoint): Promise<Setup> {
    const setup = new Setup();
    const answer: Parameters<typeof serve>[0] = async (request, response) => {
      let body = '';
      for await (const piece of request) body += piece;
      const asked = { form: Object.fromEntries(new URLSearchParams(body)), headers: request.headers };
      setup.asked.push(asked);
      const { status = 200, type = 'application/json', body: text } = endpoint(asked, setup.asked.length);
      response.writeHead(status, { 'content-type': type }).end(text);
    };
    setup.tokenUrl = `http://${(await serve(answer)).address}/token`;
    const target = await serve(({ headers }, response) => {
      setup.seen.push(headers.authorization);
      response.end('answer');
    });
    setup.target = `http://${target.address}/metrics`;
    return setup;
  }

  client(yaml = '', clock: typeof systemClock = this.clock): HttpClient {
    const text = `scrape_configs:\n- job_name: j\n  oauth2:\n    client_id: id\n    token_url: ${this.tokenUrl}\n${yaml}`;
    const [config] = parseConfig(text, 'test.yml').scrapeConfigs;
    if (!config) throw new Error('no configuration');
    const client = new HttpClient({ config, clock, idleMs: 1000, connectTimeoutMs: 1000 });
    cleanups.push(() => client.destroy());
    return client;
  }

  async ask(client: HttpClient, timeoutMs = 5000): Promise<string> {
    const request = { method: 'GET' as const, url: this.target, headers: HEADERS, timeoutMs, maxBytes: 1000 };
    try {
      const { pieces } = await client.request(request);
      return Buffer.concat(pieces).toString();
    } catch (error) {
      return (error as Error).message;
    }
  }
}

describe('client credentials', () => {
  it('are sent in the header, with scopes and parameters', async () => {
    const setup = await Setup.open(() => token('t1'));
    const client = setup.client('    client_secret: "s e:c"\n    scopes: [a, b]\n    endpoint_params: {resource: r}\n');
    expect(await setup.ask(client)).toBe('answer');
    expect(setup.seen).toEqual(['Bearer t1']);
    const [asked] = setup.asked;
    expect(asked?.form).toEqual({ grant_type: 'client_credentials', scope: 'a b', resource: 'r' });
    expect(asked?.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('id:s+e%3Ac').toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': 'Narthex/test',
    });
  });

  it('are sent in the form to an endpoint that wants them there, which is asked so from then on', async () => {
    const setup = await Setup.open(({ headers }) =>
      headers.authorization === undefined ? token('t', 1) : { status: 401, body: '{"error":"invalid_client"}' },
    );
    const client = setup.client('    client_secret: s\n');
    expect(await setup.ask(client)).toBe('answer');
    expect(await setup.ask(client)).toBe('answer');
    expect(setup.asked.map(({ form }) => form.client_secret)).toEqual([undefined, 's', 's']);
    expect(setup.asked[1]?.form.client_id).toBe('id');
  });

  it('bring a token that is used until ten seconds before its end, by all at once', async () => {
    const setup = await Setup.open((_, number) => token(`t${number}`, 60));
    const client = setup.client('    client_secret: s\n');
    await Promise.all([setup.ask(client), setup.ask(client), setup.ask(client)]);
    setup.clock.jump(50_000);
    await setup.ask(client);
    setup.clock.jump(1);
    await setup.ask(client);
    expect(setup.seen).toEqual(['Bearer t1', 'Bearer t1', 'Bearer t1', 'Bearer t1', 'Bearer t2']);
    expect(setup.asked).toHaveLength(2);
  });

  it('are read again from their file, and a new secret makes a new token', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'narthex-oauth-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const file = join(directory, 'secret');
    await writeFile(file, 'one\n');
    const setup = await Setup.open((_, number) => token(`t${number}`));
    const client = setup.client(`    client_secret_file: ${file}\n`);
    await setup.ask(client);
    await writeFile(file, 'two');
    setup.clock.jump(6000);
    await setup.ask(client);
    expect(setup.seen).toEqual(['Bearer t1', 'Bearer t2']);
    const secrets = setup.asked.map(({ headers }) => Buffer.from(headers.authorization?.slice(6) ?? '', 'base64'));
    expect(secrets.map(String)).toEqual(['id:one', 'id:two']);
    await rm(file);
    setup.clock.jump(6000);
    expect(await setup.ask(client)).toBe(
      `Get "${setup.target}": unable to read oauth2 client secret: unable to read file ${file}: open ${file}: no such file or directory`,
    );
  });

  it('go over TLS with the settings of the endpoint', async () => {
    const address = await serveTls((request, response) => {
      request.resume();
      response.setHeader('content-type', 'application/json').end('{"access_token":"secure"}');
    });
    const setup = await Setup.open(() => token('unused'));
    setup.tokenUrl = `https://${address}/token`;
    const ca = CERTIFICATE.split('\n').map((line) => `        ${line}\n`);
    const client = setup.client(`    client_secret: s\n    tls_config:\n      ca: |\n${ca.join('')}`);
    expect(await setup.ask(client)).toBe('answer');
    expect(setup.seen).toEqual(['Bearer secure']);
    expect(await setup.ask(setup.client('    client_secret: s\n'))).toBe(
      `Get "${setup.target}": Post "https://${address}/token": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    );
  });
});

describe('a signed assertion', () => {
  const key = RSA_KEY.split('\n').map((line) => `        ${line}\n`);
  const yaml = `    grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\n    client_certificate_key: |\n${key.join('')}`;

  it('carries the claims of the configuration and the signature of the key', async () => {
    const setup = await Setup.open(() => token('t'));
    const more =
      '    client_certificate_key_id: k1\n    signature_algorithm: RS384\n    audience: aud\n    scopes: [a, b]\n    claims: {team: {x: 1}, sub: other}\n';
    expect(await setup.ask(setup.client(yaml + more))).toBe('answer');
    const form = setup.asked[0]?.form ?? {};
    expect(form).toMatchObject({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', scope: 'a b' });
    const [header = '', claims = '', signature = ''] = form.assertion?.split('.') ?? [];
    const decoded = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
    const issued = Math.floor(setup.clock.nowMs() / 1000);
    expect(decoded(header)).toEqual({ alg: 'RS384', kid: 'k1', typ: 'JWT' });
    expect(decoded(claims)).toEqual({
      iss: 'id',
      sub: 'other',
      aud: 'aud',
      scope: 'a b',
      team: { x: 1 },
      iat: issued,
      exp: issued + 600,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    const signed = Buffer.from(`${header}.${claims}`);
    expect(verify('sha384', signed, createPublicKey(RSA_KEY), Buffer.from(signature, 'base64url'))).toBe(true);
    expect(setup.asked[0]?.headers.authorization).toBeUndefined();
  });

  it('is for the endpoint and the client where nothing else is said', async () => {
    const setup = await Setup.open(() => token('t'));
    await setup.ask(setup.client(yaml));
    const claims = setup.asked[0]?.form.assertion?.split('.')[1] ?? '';
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ aud: setup.tokenUrl, sub: 'id' });
  });

  it('fails in Prometheus’ words', async () => {
    const setup = await Setup.open(() => ({ status: 400, body: '{"error":"invalid_grant"}' }));
    expect(await setup.ask(setup.client(yaml))).toBe(
      `Get "${setup.target}": oauth2: cannot fetch token: 400 Bad Request\nResponse: {"error":"invalid_grant"}`,
    );
    const grant = '    grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\n';
    expect(await setup.ask(setup.client(`${grant}    client_certificate_key: nonsense\n`))).toBe(
      `Get "${setup.target}": invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key`,
    );
  });
});

describe('failures', () => {
  const cases: [string, Answer, string][] = [
    ['a refusal', { status: 401, body: 'go away' }, 'oauth2: cannot fetch token: 401 Unauthorized\nResponse: go away'],
    [
      'a refusal that says why',
      { status: 400, body: '{"error":"invalid_client","error_description":"no \\"x\\"","error_uri":"http://e"}' },
      'oauth2: "invalid_client" "no \\"x\\"" "http://e"',
    ],
    ['an error with status 200', { body: '{"error":"e"}' }, 'oauth2: "e"'],
    ['an error in a form', { type: 'text/plain', body: 'error=e&error_description=d' }, 'oauth2: "e" "d"'],
    [
      'a page',
      { type: 'text/html', body: '<html>' },
      "oauth2: cannot parse json: invalid character '<' looking for beginning of value",
    ],
    ['nothing', { body: '' }, 'oauth2: cannot parse json: unexpected end of JSON input'],
    ['no token', { body: '{}' }, 'oauth2: server response missing access_token'],
  ];
  it.each(cases)('%s', async (_, answer, why) => {
    const setup = await Setup.open(() => answer);
    expect(await setup.ask(setup.client('    client_secret: s\n'))).toBe(`Get "${setup.target}": ${why}`);
    expect(setup.seen).toEqual([]);
  });

  it('a token that comes as a form', async () => {
    const setup = await Setup.open(() => ({
      type: 'text/plain; charset=utf-8',
      body: 'access_token=f&token_type=mac',
    }));
    expect(await setup.ask(setup.client('    client_secret: s\n'))).toBe('answer');
    expect(setup.seen).toEqual(['MAC f']);
  });

  it('nobody at the endpoint, and parameters that are taken', async () => {
    const setup = await Setup.open(() => token('t'));
    setup.tokenUrl = 'http://127.0.0.1:1/token';
    expect(await setup.ask(setup.client('    client_secret: s\n'))).toBe(
      `Get "${setup.target}": Post "http://127.0.0.1:1/token": dial tcp 127.0.0.1:1: connect: connection refused`,
    );
    const taken = '    client_secret: s\n    scopes: [a]\n    endpoint_params: {scope: b}\n';
    expect(await setup.ask(setup.client(taken))).toBe(
      `Get "${setup.target}": oauth2: cannot overwrite parameter "scope"`,
    );
  });

  it('an endpoint that hangs costs the request its own time, and no more', async () => {
    const { address } = await serve(() => undefined);
    const setup = await Setup.open(() => token('t'));
    setup.tokenUrl = `http://${address}/token`;
    const client = setup.client('    client_secret: s\n', systemClock);
    expect(await setup.ask(client, 150)).toBe(`Get "${setup.target}": context deadline exceeded`);
  });
});
