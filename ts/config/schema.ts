/**
 * The words a schema is written in. A type decodes a YAML node, knows its zero value, prints itself
 * again and describes itself as JSON Schema, so that the tables in this folder are the only place
 * where a key of the file format stands. Values keep the file's own key names; durations are
 * milliseconds and sizes bytes. Knows no key and no default of Prometheus.
 */

import { isMap, isScalar, isSeq, type Node } from 'yaml';
import { formatBytes, formatDuration, parseBytes, parseDuration, quote } from '../util/index.ts';
import type { YamlSource } from './yaml.ts';

/** How deep data of any shape may be nested. */
const DEPTH_MAX = 200;

/** What a regular expression in Go's syntax is checked with: what is wrong with it, or `undefined`. */
export type RegexCheck = (regex: string) => string | undefined;

/** One run over one file: where nodes come from and where issues go. */
export interface Decoding {
  source: YamlSource;
  checkRegex: RegexCheck;
  /** Where each decoded object stands, for checks that come later. */
  places: WeakMap<object, ObjectPlace>;
}

/** The nodes of a decoded object and of the keys it has. */
export interface ObjectPlace {
  node: Node | null;
  keys: Map<string, Node>;
}

/** A JSON Schema fragment. */
export type JsonSchema = { [key: string]: unknown };

/** How one kind of value is read and printed. */
export interface Type<T> {
  /** What the value is called in messages. */
  name: string;
  /** The value of a key that is there but null. */
  zero(): T;
  /** Reads a node that is not null; on failure it notes an issue and returns `zero()`. */
  decode(node: Node, decoding: Decoding, path: string): T;
  isZero(value: T): boolean;
  /** The value as plain data for printing; `undefined` leaves the key out. */
  encode(value: T): unknown;
  /** Joins relative file names inside the value with `directory`. */
  relocate?(value: T, join: (path: string) => string): T;
  /** Whether the printed list stands on one line. */
  flow?: boolean;
  json: JsonSchema;
}

/** A key of an object: its type, its default, and when it is printed. */
export class Field<T> {
  readonly type: Type<T>;
  readonly initial: () => T;
  /** Print it even where it is zero. */
  readonly printed: boolean;

  constructor(type: Type<T>, initial: () => T = () => type.zero(), printed = false) {
    this.type = type;
    this.initial = initial;
    this.printed = printed;
  }

  /** The value where the key is absent. */
  default(value: T): Field<T> {
    return new Field(this.type, () => structuredClone(value), this.printed);
  }

  /** Printed even where it is zero. */
  always(): Field<T> {
    return new Field(this.type, this.initial, true);
  }
}

/** The keys of an object, in the order in which they are printed. */
// biome-ignore lint/suspicious/noExplicitAny: Field is invariant, any table of fields must fit
export type Fields = Record<string, Field<any>>;

/** The value an object type yields. */
export type Infer<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** Notes that something is wrong with the object, or with one of its keys. */
export type Report = (message: string, key?: string) => void;

function mismatch(decoding: Decoding, node: Node, path: string, wanted: string): void {
  const { source } = decoding;
  const found = isMap(node) ? 'a mapping' : isSeq(node) ? 'a list' : quote(isScalar(node) ? source.text(node) : '');
  source.fail(node, `${path}: expected ${wanted}, found ${found}`);
}

interface ScalarOptions<T> {
  name: string;
  zero: T;
  json: JsonSchema;
  /** Turns the scalar into the value; `undefined` where the kind is wrong. Throws with what is wrong. */
  read(text: string, value: string | number | boolean): T | undefined;
  encode?(value: T): unknown;
}

function scalar<T extends string | number | boolean>(options: ScalarOptions<T>): Type<T> {
  return {
    name: options.name,
    zero: () => options.zero,
    json: options.json,
    isZero: (value) => value === options.zero,
    encode: options.encode ?? ((value) => value),
    decode(node, decoding, path) {
      const value = isScalar(node) ? decoding.source.scalar(node) : null;
      if (isScalar(node) && value !== null) {
        try {
          const read = options.read(decoding.source.text(node), value);
          if (read !== undefined) return read;
        } catch (error) {
          decoding.source.fail(node, error instanceof Error ? error.message : String(error));
          return options.zero;
        }
      }
      mismatch(decoding, node, path, options.name);
      return options.zero;
    },
  };
}

const STRING = scalar<string>({ name: 'a string', zero: '', json: { type: 'string' }, read: (text) => text });

/** A string; any scalar will do, as it stands in the file. */
export const text = (): Field<string> => new Field(STRING);

/** A string that must pass `check`, which throws with the message for the user. */
export function checkedText(check: (value: string) => string, json: JsonSchema = { type: 'string' }): Field<string> {
  return new Field(scalar<string>({ name: 'a string', zero: '', json, read: check }));
}

/** One of several words; `message` says what is wrong with another one. */
export function oneOf<T extends string>(words: readonly T[], message: (value: string) => string): Field<T | ''> {
  const type = scalar<T | ''>({
    name: 'a string',
    zero: '',
    json: { enum: words },
    read(value) {
      if ((words as readonly string[]).includes(value)) return value as T;
      throw new Error(message(value));
    },
  });
  return new Field(type);
}

/** A string that is never printed. */
export const secret = (): Field<string> =>
  new Field({ ...STRING, encode: (value) => (value === '' ? '' : '<secret>') });

/** A file's name; a relative one belongs to the directory of the configuration file. */
export const path = (): Field<string> => new Field({ ...STRING, relocate: (value, join) => join(value) });

export const bool = (): Field<boolean> =>
  new Field(
    scalar<boolean>({
      name: 'a boolean',
      zero: false,
      json: { type: 'boolean' },
      read: (_, value) => (typeof value === 'boolean' ? value : undefined),
    }),
  );

/** A boolean that may be absent: the wider section decides then. */
export const optionalBool = (): Field<boolean | undefined> => optional(bool().type, true);

function number(name: string, json: JsonSchema, accept: (value: number) => number | undefined): Field<number> {
  return new Field(
    scalar<number>({
      name,
      zero: 0,
      json,
      read: (_, value) => (typeof value === 'number' ? accept(value) : undefined),
    }),
  );
}

/** A whole number. */
export const int = (): Field<number> =>
  number('a whole number', { type: 'integer' }, (value) => (Number.isFinite(value) ? Math.trunc(value) : undefined));

/** A whole number that is not negative. */
export const uint = (): Field<number> =>
  number('a whole number that is not negative', { type: 'integer', minimum: 0 }, (value) =>
    Number.isFinite(value) && value >= 0 ? Math.trunc(value) : undefined,
  );

export const float = (): Field<number> => number('a number', { type: 'number' }, (value) => value);

/** A duration such as `1m30s`, in milliseconds. */
export const duration = (): Field<number> =>
  new Field(
    scalar<number>({
      name: 'a duration',
      zero: 0,
      json: { type: 'string', pattern: '^(0|([0-9]+(y|w|d|h|m|s|ms))+)$' },
      read: (value) => parseDuration(value),
      encode: formatDuration,
    }),
  );

/** A size such as `10MB`, in bytes. */
export const bytes = (): Field<number> =>
  new Field(
    scalar<number>({
      name: 'a size',
      zero: 0,
      json: { type: ['string', 'integer'], pattern: '^(0|([0-9.]+[KMGTPE]?i?B)+)$' },
      read: (value) => parseBytes(value),
      encode: formatBytes,
    }),
  );

/** Anything at all, kept as plain data. */
export const anything = (): Field<unknown> =>
  new Field<unknown>({
    name: 'anything',
    zero: () => undefined,
    isZero: (value) => value === undefined,
    encode: (value) => value,
    json: {},
    decode: (node, decoding) => plainData(node, decoding),
  });

function plainData(node: Node | null, decoding: Decoding, depth = 0): unknown {
  if (depth > DEPTH_MAX) {
    decoding.source.fail(node, 'yaml: exceeded max depth');
    return null;
  }
  const target = decoding.source.follow(node);
  if (isMap(target)) {
    const entries = decoding.source.entries(target);
    return Object.fromEntries(entries.map(({ key, valueNode }) => [key, plainData(valueNode, decoding, depth + 1)]));
  }
  if (isSeq(target)) return (target.items as Node[]).map((item) => plainData(item, decoding, depth + 1));
  return isScalar(target) ? decoding.source.scalar(target) : null;
}

/** A list; null elements become the element's zero value. `flow` prints it on one line. */
export function list<T>(element: Type<T>, options: { flow?: boolean; nullMessage?: string } = {}): Field<T[]> {
  const relocate = element.relocate?.bind(element);
  const type: Type<T[]> = {
    name: 'a list',
    zero: () => [],
    isZero: (value) => value.length === 0,
    encode: (value) => value.map((item) => element.encode(item)),
    flow: options.flow ?? false,
    json: { type: 'array', items: element.json },
    decode(node, decoding, at) {
      if (!isSeq(node)) {
        mismatch(decoding, node, at, 'a list');
        return [];
      }
      return (node.items as Node[]).map((item, i) => {
        const target = decoding.source.follow(item);
        if (target) return element.decode(target, decoding, `${at}[${i}]`);
        if (options.nullMessage) decoding.source.fail(item, options.nullMessage);
        return element.zero();
      });
    },
  };
  if (relocate) type.relocate = (value, join) => value.map((item) => relocate(item, join));
  return new Field(type);
}

/** A list of strings. */
export const texts = (options: { flow?: boolean } = {}): Field<string[]> => list(STRING, options);

/** A list of file names. */
export const paths = (): Field<string[]> => list(path().type);

/** A mapping with keys of the user's choice; `check` sees the whole of it. */
export function map<T>(
  element: Type<T>,
  check?: (value: Record<string, T>, report: Report) => void,
): Field<Record<string, T>> {
  const relocate = element.relocate?.bind(element);
  const type: Type<Record<string, T>> = {
    name: 'a mapping',
    zero: () => ({}),
    isZero: (value) => Object.keys(value).length === 0,
    encode: (value) =>
      Object.fromEntries(
        Object.keys(value)
          .toSorted()
          .map((key) => [key, element.encode(value[key] as T)]),
      ),
    json: { type: 'object', additionalProperties: element.json },
    decode(node, decoding, at) {
      if (!isMap(node)) {
        mismatch(decoding, node, at, 'a mapping');
        return {};
      }
      const entries = decoding.source.entries(node);
      const decoded: Record<string, T> = Object.create(null) as Record<string, T>;
      for (const { key, valueNode } of entries) {
        const target = decoding.source.follow(valueNode);
        decoded[key] = target ? element.decode(target, decoding, `${at}.${key}`) : element.zero();
      }
      const nodes = new Map(entries.map(({ key, keyNode }) => [key, keyNode]));
      check?.(decoded, (message, key) => decoding.source.fail(nodes.get(key ?? '') ?? node, message));
      return decoded;
    },
  };
  if (relocate) {
    type.relocate = (value, join) =>
      Object.fromEntries(Object.entries(value).map(([key, item]) => [key, relocate(item, join)]));
  }
  return new Field(type);
}

/** A mapping of strings to strings. */
export const textMap = (check?: (value: Record<string, string>, report: Report) => void) => map(STRING, check);

/** A value that may be absent altogether; null is absent too. */
export function optional<T>(inner: Type<T>, printed = false): Field<T | undefined> {
  const relocate = inner.relocate?.bind(inner);
  const type: Type<T | undefined> = {
    name: inner.name,
    zero: () => undefined,
    isZero: (value) => value === undefined,
    encode: (value) => (value === undefined ? undefined : inner.encode(value)),
    decode: (node, decoding, at) => inner.decode(node, decoding, at),
    json: inner.json,
  };
  if (relocate) type.relocate = (value, join) => (value === undefined ? undefined : relocate(value, join));
  return new Field(type, () => undefined, printed);
}
