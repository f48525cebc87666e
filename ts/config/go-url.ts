/**
 * The part of Go's `url.Parse` that a configuration meets: which texts it refuses, and the scheme and
 * host of those it takes. WHATWG's `URL` refuses and repairs other ones.
 */

import { quote } from '../util/index.ts';
import { checkedText, Field } from './schema.ts';

/** Scheme and host of a URL; both may be empty. */
export interface GoUrl {
  scheme: string;
  host: string;
}

/** Reads a URL as Go does. @throws Error with Go's message. */
export function parseGoUrl(text: string): GoUrl {
  const refuse = (why: string): never => {
    throw new Error(`parse ${quote(text)}: ${why}`);
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\x00-\x1f\x7f]/.test(text)) refuse('net/url: invalid control character in URL');
  const [beforeFragment = ''] = text.split('#', 1);
  const colon = /^([^:/?]*):/.exec(beforeFragment);
  let scheme = '';
  let rest = beforeFragment;
  if (colon) {
    const candidate = colon[1] ?? '';
    if (candidate === '') refuse('missing protocol scheme');
    if (!/^[A-Za-z][A-Za-z0-9+.-]*$/.test(candidate)) refuse('first path segment in URL cannot contain colon');
    scheme = candidate.toLowerCase();
    rest = beforeFragment.slice(candidate.length + 1);
  }
  const [hierarchy = ''] = rest.split('?', 1);
  const badEscape = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(hierarchy);
  if (badEscape) refuse(`invalid URL escape ${quote(badEscape[0])}`);
  if (!hierarchy.startsWith('//')) return { scheme, host: '' };
  const [authority = ''] = hierarchy.slice(2).split('/', 1);
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  if (/[ <>"{}|\\^`]/.test(host))
    refuse(`invalid character ${quote(/[ <>"{}|\\^`]/.exec(host)?.[0] ?? '')} in host name`);
  if (host.startsWith('[') && !host.includes(']')) refuse("missing ']' in host");
  const port = /:([^:\]]*)$/.exec(host)?.[1];
  if (port !== undefined && !/^[0-9]*$/.test(port)) refuse(`invalid port ${quote(`:${port}`)} after host`);
  return { scheme, host };
}

/** A URL; its password is not printed. */
export function url(): Field<string> {
  const field = checkedText(
    (value) => {
      parseGoUrl(value);
      return value;
    },
    { type: 'string', format: 'uri-reference' },
  );
  const encode = (value: string): string => value.replace(/^([^/?#]*\/\/[^/?#@]*?:)[^/?#]*@/, '$1xxxxx@');
  return new Field({ ...field.type, encode });
}
