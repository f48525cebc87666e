/** The headers that a configuration adds to every request: credentials, and those it names. */

import type { HttpClientConfig } from '../config/index.ts';
import { type Clock, messageOf } from '../util/index.ts';
import { type PostForm, TokenSource } from './oauth2.ts';
import { readSecret, type Secret, type SecretFiles, secretOf } from './secrets.ts';

export type Headers = Readonly<Record<string, string | string[]>>;

/** Headers that go to no other host than the one that was meant (as Go's client has it). */
const SENSITIVE = [
  'authorization',
  'www-authenticate',
  'cookie',
  'cookie2',
  'proxy-authorization',
  'proxy-authenticate',
];

export class RequestHeaders {
  readonly #config: HttpClientConfig;
  readonly #files: SecretFiles;
  readonly #tokens: TokenSource | undefined;
  readonly #secrets: Secret[] = [];
  readonly #authorization: () => Promise<string | undefined>;
  /** The same headers for the same headers, where no file has a say in them. */
  readonly #merged: WeakMap<Headers, Headers> | undefined;

  constructor(config: HttpClientConfig, files: SecretFiles, clock: Clock, postForm: PostForm) {
    this.#config = config;
    this.#files = files;
    this.#authorization = this.#credentials(config);
    this.#tokens = config.oauth2 && new TokenSource(config.oauth2, files, clock, postForm);
    const isFixed =
      !this.#tokens &&
      this.#secrets.every((secret) => secret.isFixed) &&
      Object.values(config.http_headers).every((header) => header.files.length === 0);
    this.#merged = isFixed ? new WeakMap() : undefined;
  }

  /** What was found for the same `given` before, where that cannot have changed. */
  known(given: Headers): Headers | undefined {
    return this.#merged?.get(given);
  }

  /** `given` and what the configuration adds, or puts in its place; rejects in Prometheus' words. */
  async of(given: Headers): Promise<Headers> {
    const headers: Record<string, string | string[]> = { ...given };
    const userAgent = given['user-agent'];
    const authorization =
      (await this.#tokens?.authorization(typeof userAgent === 'string' ? userAgent : undefined)) ??
      (await this.#authorization());
    if (authorization !== undefined) headers.authorization = authorization;
    for (const [name, header] of Object.entries(this.#config.http_headers)) {
      const files = await Promise.all(header.files.map((file) => this.#headerFile(file)));
      headers[name.toLowerCase()] = [...header.values, ...header.secrets, ...files];
    }
    this.#merged?.set(given, headers);
    return headers;
  }

  #headerFile(path: string): Promise<string> {
    return this.#files.read(path).catch((error: unknown) => {
      throw new Error(`unable to read headers file ${path}: ${messageOf(error)}`, { cause: error });
    });
  }

  #secret(inline: string, file: string, ref: string): Secret | undefined {
    const secret = secretOf(this.#files, inline, file, ref);
    if (secret) this.#secrets.push(secret);
    return secret;
  }

  #credentials({ basic_auth: basic, authorization: auth }: HttpClientConfig): () => Promise<string | undefined> {
    if (basic) {
      const user = this.#secret(basic.username, basic.username_file, basic.username_ref);
      const password = this.#secret(basic.password, basic.password_file, basic.password_ref);
      return async () =>
        basicAuthorization(
          await readSecret(user, 'unable to read basic auth username'),
          await readSecret(password, 'unable to read basic auth password'),
        );
    }
    if (!auth) return () => Promise.resolve(undefined);
    const credentials = this.#secret(auth.credentials, auth.credentials_file, auth.credentials_ref);
    return async () => `${auth.type} ${await readSecret(credentials, 'unable to read authorization credentials')}`;
  }
}

export function basicAuthorization(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** Without what only the host that was meant may see. */
export function withoutSecrets(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !SENSITIVE.includes(name)));
}

/** Whether credentials for `original` may go to `host`: it is the same, or below it. */
export function isSameSite(host: string, original: string): boolean {
  return host === original || (!/[:%[]/.test(host) && host.endsWith(`.${original}`));
}
