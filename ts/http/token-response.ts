/** What a token endpoint answered, read as Go's oauth2 reads it: JSON, or a form, with a token or an error in it. */

import { quote } from '../util/index.ts';
import type { CollectedResponse } from './response-collector.ts';

/** A token, and how long it is good for. */
export interface Token {
  /** As it stands in an Authorization header. */
  authorization: string;
  /** 0 where the endpoint did not say. */
  expiresInSeconds: number;
}

/** Expiry is held in 32 bits. */
const SECONDS_MAX = 2 ** 31 - 1;

type Fields = Readonly<Record<string, unknown>>;

/** @throws Error in Go's words where there is no token in it */
export function readToken(response: CollectedResponse): Token {
  const { status, headers } = response;
  const text = Buffer.concat(response.pieces).toString();
  const failed = status < 200 || status > 299;
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const isForm = type === 'application/x-www-form-urlencoded' || type === 'text/plain';
  const refusal = refusalOf(response);
  let fields: Fields;
  try {
    fields = isForm ? Object.fromEntries(new URLSearchParams(text)) : parseJson(text);
  } catch (error) {
    throw new Error(failed ? refusal : (error as Error).message, { cause: error });
  }
  const told = ['error', 'error_description', 'error_uri'].map((name) => textOf(fields[name]));
  const [code = '', ...more] = told;
  if (code !== '') throw new Error(['oauth2:', ...[code, ...more.filter((part) => part !== '')].map(quote)].join(' '));
  if (failed) throw new Error(refusal);
  const token = textOf(fields.access_token);
  if (token === '') throw new Error('oauth2: server response missing access_token');
  return {
    authorization: `${typeName(textOf(fields.token_type))} ${token}`,
    expiresInSeconds: secondsOf(fields.expires_in),
  };
}

/** What Go says of an answer that is a refusal, and no more is known. */
export function refusalOf({ status, statusText, pieces }: CollectedResponse): string {
  return `oauth2: cannot fetch token: ${`${status} ${statusText}`.trimEnd()}\nResponse: ${Buffer.concat(pieces).toString()}`;
}

function typeName(type: string): string {
  const known = ['Bearer', 'MAC', 'Basic'].find((name) => name.toLowerCase() === type.toLowerCase());
  return known ?? (type || 'Bearer');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Some endpoints send a number, some a text. */
function secondsOf(value: unknown): number {
  const text = typeof value === 'number' ? String(value) : textOf(value);
  return /^-?\d+$/.test(text) ? Math.min(Number(text), SECONDS_MAX) : 0;
}

/** @throws Error in Go's words */
function parseJson(text: string): Fields {
  const fail = (why: string): never => {
    throw new Error(`oauth2: cannot parse json: ${why}`);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail(jsonMistake(text));
  }
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    return fail(`json: cannot unmarshal ${kind} into Go value of type internal.tokenJSON`);
  }
  const fields = value as Fields;
  for (const name of ['access_token', 'token_type', 'error']) {
    const field = fields[name] ?? '';
    if (typeof field !== 'string')
      fail(`json: cannot unmarshal ${typeof field} into Go struct field tokenJSON.${name} of type string`);
  }
  const seconds = fields.expires_in ?? 0;
  if (!/^-?\d+$/.test(String(seconds))) fail(`strconv.ParseInt: parsing ${quote(String(seconds))}: invalid syntax`);
  return fields;
}

/** What Go says of a text that is not JSON, as far as its beginning tells. */
function jsonMistake(text: string): string {
  const first = text.trimStart()[0];
  if (first === undefined) return 'unexpected end of JSON input';
  const begins = /^(?:[{["\d-]|true|false|null)/.test(text.trimStart());
  return begins ? 'unexpected end of JSON input' : `invalid character '${first}' looking for beginning of value`;
}
