/** Form values as Go's net/http reads them, from the URL and from bodies. */

import type { FastifyRequest } from 'fastify';
import { ApiError } from './errors.ts';

/** Names with one or more values each. */
export class Form {
  readonly #values = new Map<string, string[]>();

  append(name: string, value: string): void {
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [value]);
    else values.push(value);
  }

  /** The first value; '' where there is none. */
  get(name: string): string {
    return this.#values.get(name)?.[0] ?? '';
  }

  /** All values in the order sent. */
  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  /** Appends all values of another form. */
  addAll(other: Form): void {
    for (const [name, values] of other.#values) {
      for (const value of values) this.append(name, value);
    }
  }
}

/** Reads `a=1&b=2`. Pairs that hold a semicolon or a broken escape are left out, as with Go. */
export function parseForm(text: string): Form {
  const form = new Form();
  if (text === '') return form;
  for (const pair of text.split('&')) {
    if (pair === '' || pair.includes(';')) continue;
    const equals = pair.indexOf('=');
    const name = unescapeValue(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : unescapeValue(pair.slice(equals + 1));
    if (name !== undefined && value !== undefined) form.append(name, value);
  }
  return form;
}

const BROKEN_ESCAPE = /%(?![0-9a-fA-F]{2})/;

function unescapeValue(text: string): string | undefined {
  const spaced = text.replaceAll('+', ' ');
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return BROKEN_ESCAPE.test(spaced) ? undefined : decodeBytes(spaced);
  }
}

/** For escapes that are no UTF-8: what is none becomes U+FFFD. */
function decodeBytes(text: string): string {
  const bytes: Buffer[] = [];
  for (const part of text.split(/((?:%[0-9a-fA-F]{2})+)/)) {
    bytes.push(part.startsWith('%') ? Buffer.from(part.replaceAll('%', ''), 'hex') : Buffer.from(part));
  }
  return Buffer.concat(bytes).toString('utf8');
}

/** Stands for a body of a media type that holds no form. */
export class OtherBody {
  readonly mediaType: string;
  readonly byteLength: number;

  constructor(mediaType: string, byteLength: number) {
    this.mediaType = mediaType;
    this.byteLength = byteLength;
  }
}

/** Reads a multipart/form-data body; files are left out. */
export async function parseMultipart(body: Buffer, contentType: string): Promise<Form> {
  const form = new Form();
  try {
    const data = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
    for (const [name, value] of data.entries()) {
      if (typeof value === 'string') form.append(name, value);
    }
  } catch (error) {
    throw ApiError.badData('error parsing form values: malformed multipart body', error);
  }
  return form;
}

/**
 * The values of a request: those of the body before those of the URL. A body that is no form is
 * ignored as Prometheus does, unless nothing else was sent: then 415 says why.
 */
export function formOf(request: FastifyRequest): Form {
  const form = new Form();
  const query = queryOf(request);
  if (request.body instanceof Form) form.addAll(request.body);
  if (request.body instanceof OtherBody && request.body.byteLength > 0 && query.isEmpty) {
    const type = request.body.mediaType === '' ? 'a body without Content-Type' : request.body.mediaType;
    throw new ApiError('bad_data', `unsupported media type: expected application/x-www-form-urlencoded, got ${type}`, {
      status: 415,
    });
  }
  form.addAll(query);
  return form;
}

/** The values of the URL alone. */
export function queryOf(request: FastifyRequest): Form {
  return request.query instanceof Form ? request.query : new Form();
}
