/** OAuth 2 for a client: tokens by client credentials or by a signed assertion, kept until shortly before they expire. */

import type { HttpClientConfig } from '../config/index.ts';
import { type Clock, messageOf, quote } from '../util/index.ts';
import { assertion } from './jwt.ts';
import type { CollectedResponse } from './response-collector.ts';
import { readSecret, type Secret, type SecretFiles, secretOf } from './secrets.ts';
import { readToken, refusalOf, type Token } from './token-response.ts';

/** A token is not used for the last of its life. */
const EXPIRY_MARGIN_MS = 10_000;

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

type Oauth2Config = NonNullable<HttpClientConfig['oauth2']>;

/** Posts a form to the token endpoint; rejects as Go's client would. */
export type PostForm = (form: string, headers: Record<string, string>) => Promise<CollectedResponse>;

export class TokenSource {
  readonly #config: Oauth2Config;
  readonly #clock: Clock;
  readonly #post: PostForm;
  readonly #secret: Secret | undefined;
  /** What the token was given for; another secret makes it worthless. */
  #lastSecret: string | undefined;
  /** How this endpoint wants to be told who asks. */
  #style: 'header' | 'form' | undefined;
  #token: Token | undefined;
  #expiresMs = Number.POSITIVE_INFINITY;
  #fetching: Promise<string> | undefined;
  #userAgent: string | undefined;

  constructor(config: Oauth2Config, files: SecretFiles, clock: Clock, post: PostForm) {
    this.#config = config;
    this.#clock = clock;
    this.#post = post;
    this.#secret =
      config.grant_type === JWT_BEARER
        ? secretOf(
            files,
            config.client_certificate_key,
            config.client_certificate_key_file,
            config.client_certificate_key_ref,
          )
        : secretOf(files, config.client_secret, config.client_secret_file, config.client_secret_ref);
  }

  /** The Authorization header for a request now, which says to come from `userAgent`; rejects in Go's words. */
  async authorization(userAgent: string | undefined): Promise<string> {
    this.#userAgent = userAgent;
    const secret = await readSecret(this.#secret, 'unable to read oauth2 client secret');
    if (secret !== this.#lastSecret) {
      this.#lastSecret = secret;
      this.#token = undefined;
      this.#style = undefined;
      this.#fetching = undefined;
    }
    if (this.#token && this.#clock.monotonicMs() <= this.#expiresMs - EXPIRY_MARGIN_MS)
      return this.#token.authorization;
    if (!this.#fetching) {
      // Requests that come meanwhile wait for the same token.
      const fetching = this.#fetch(secret).finally(() => {
        if (this.#fetching === fetching) this.#fetching = undefined;
      });
      this.#fetching = fetching;
    }
    return this.#fetching;
  }

  async #fetch(secret: string): Promise<string> {
    const token =
      this.#config.grant_type === JWT_BEARER ? await this.#byAssertion(secret) : await this.#bySecret(secret);
    if (secret === this.#lastSecret) {
      const { expiresInSeconds } = token;
      this.#token = token;
      this.#expiresMs =
        expiresInSeconds === 0 ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs() + expiresInSeconds * 1000;
    }
    return token.authorization;
  }

  async #bySecret(secret: string): Promise<Token> {
    const form = this.#form({ grant_type: 'client_credentials' });
    if (this.#style !== undefined) return this.#ask(form, secret, this.#style);
    try {
      const token = await this.#ask(form, secret, 'header');
      this.#style = 'header';
      return token;
    } catch {
      // Some endpoints only take them in the form.
      const token = await this.#ask(form, secret, 'form');
      this.#style = 'form';
      return token;
    }
  }

  async #ask(form: URLSearchParams, secret: string, style: 'header' | 'form'): Promise<Token> {
    const { client_id: id } = this.#config;
    if (style === 'header') {
      const pair = [id, secret].map(escaped).join(':');
      return readToken(await this.#send(form, { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }));
    }
    const told = new URLSearchParams(form);
    if (id !== '') told.set('client_id', id);
    if (secret !== '') told.set('client_secret', secret);
    return readToken(await this.#send(told));
  }

  async #byAssertion(privateKey: string): Promise<Token> {
    const config = this.#config;
    const scope = config.scopes.join(' ');
    const signed = assertion(
      {
        privateKey,
        keyId: config.client_certificate_key_id,
        algorithm: (config.signature_algorithm || 'RS256') as 'RS256' | 'RS384' | 'RS512',
        issuer: config.iss || config.client_id,
        subject: config.client_id,
        audience: config.audience || config.token_url,
        scope,
        claims: (config.claims ?? {}) as Record<string, unknown>,
      },
      this.#clock.nowMs(),
    );
    const form = this.#form({ grant_type: JWT_BEARER, assertion: signed });
    const what = 'oauth2: cannot fetch token';
    const response = await this.#send(form).catch((error: unknown) => {
      throw new Error(`${what}: ${messageOf(error)}`, { cause: error });
    });
    if (response.status < 200 || response.status > 299) throw new Error(refusalOf(response));
    try {
      return readToken(response);
    } catch (error) {
      throw new Error(messageOf(error).replace('oauth2: cannot parse json', what), { cause: error });
    }
  }

  /** The fields that every request has; those of the configuration replace none but the grant's type. */
  #form(fields: Record<string, string>): URLSearchParams {
    const form = new URLSearchParams(fields);
    if (this.#config.scopes.length > 0) form.set('scope', this.#config.scopes.join(' '));
    for (const [name, value] of Object.entries(this.#config.endpoint_params)) {
      if (form.has(name) && name !== 'grant_type') throw new Error(`oauth2: cannot overwrite parameter ${quote(name)}`);
      form.set(name, value);
    }
    return form;
  }

  #send(form: URLSearchParams, headers: Record<string, string> = {}): Promise<CollectedResponse> {
    form.sort();
    const userAgent = this.#userAgent === undefined ? {} : { 'user-agent': this.#userAgent };
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    return this.#post(form.toString(), { ...type, ...userAgent, ...headers });
  }
}

/** As Go escapes a value of a query. */
function escaped(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
