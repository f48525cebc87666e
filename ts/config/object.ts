/**
 * The one composite of the schema language that has named keys: unknown keys are issues, absent ones
 * get their defaults, and a check may look at the whole.
 */

import { isMap, type Node } from 'yaml';
import { type Decoding, Field, type Fields, type Infer, type JsonSchema, type Report, type Type } from './schema.ts';

/** What an object type needs besides its keys. */
export interface ObjectOptions<F extends Fields> {
  /**
   * Looks at the decoded whole, may fill in what depends on several keys, and reports what is wrong.
   * It runs only where nothing inside was wrong.
   */
  check?(value: Infer<F>, report: Report, decoding: Decoding): void;
  /** Keys that another name replaces on the way in, such as deprecated ones, are never printed. */
  hidden?: readonly (keyof F & string)[];
}

/** An object's type, which also knows the value of an object without any key. */
export interface ObjectType<T> extends Type<T> {
  initial(): T;
}

/** A key whose object has its own defaults where the key is absent; where it is null, all is zero. */
export function section<T>(type: ObjectType<T>): Field<T> {
  return new Field(type, () => type.initial());
}

/** An object with the given keys. */
export function object<F extends Fields>(fields: F, options: ObjectOptions<F> = {}): ObjectType<Infer<F>> {
  const names = Object.keys(fields);
  const hidden = new Set<string>(options.hidden);
  const build = (valueFor: (field: Field<unknown>, name: string) => unknown): Infer<F> =>
    Object.fromEntries(names.map((name) => [name, valueFor(fields[name] as Field<unknown>, name)])) as Infer<F>;
  return {
    name: 'a mapping',
    initial: () => build((field) => field.initial()),
    zero: () => build((field) => field.type.zero()),
    isZero: (value) => names.every((name) => fields[name]?.type.isZero(value[name]) ?? true),
    encode: (value) => encodeObject(fields, value, hidden),
    json: describe(fields),
    relocate: (value, join) => build((field, name) => relocated(field, value[name], join)),
    decode(node, decoding, path) {
      const before = decoding.source.issues.length;
      const value = build((field) => field.initial());
      const keys = new Map<string, Node>();
      decoding.places.set(value, { node, keys });
      if (!isMap(node)) {
        decoding.source.fail(node, `${path || 'the document'}: expected a mapping`);
        return value;
      }
      for (const { key, keyNode, valueNode } of decoding.source.entries(node)) {
        const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
        if (!field) {
          decoding.source.fail(keyNode, unknownKey(key, path, names));
          continue;
        }
        keys.set(key, keyNode);
        const target = decoding.source.follow(valueNode);
        const decoded = target ? field.type.decode(target, decoding, path ? `${path}.${key}` : key) : field.type.zero();
        (value as Record<string, unknown>)[key] = decoded;
      }
      if (decoding.source.issues.length === before) {
        options.check?.(value, (message, key) => decoding.source.fail(keys.get(key ?? '') ?? node, message), decoding);
      }
      return value;
    },
  };
}

/** Notes an issue at a decoded object, or at one of its keys, after it was decoded. */
export function reportAt(decoding: Decoding, value: object, message: string, key?: string): void {
  const place = decoding.places.get(value);
  decoding.source.fail(place?.keys.get(key ?? '') ?? place?.node, message);
}

/** Whether the file itself named this key of the object. */
export function isSet(decoding: Decoding, value: object, key: string): boolean {
  return decoding.places.get(value)?.keys.has(key) ?? false;
}

function relocated(field: Field<unknown>, value: unknown, join: (path: string) => string): unknown {
  return field.type.relocate ? field.type.relocate(value, join) : value;
}

function encodeObject(fields: Fields, value: Record<string, unknown>, hidden: ReadonlySet<string>): unknown {
  const out: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const current = value[name];
    if (hidden.has(name) || (!field.printed && field.type.isZero(current))) continue;
    const encoded: unknown = field.type.encode(current);
    if (encoded !== undefined) out[name] = encoded;
  }
  return out;
}

function describe(fields: Fields): JsonSchema {
  const properties = Object.entries(fields).map(([name, field]) => {
    const initial: unknown = field.initial();
    const plain = typeof initial === 'object' || field.type.isZero(initial);
    const described = plain ? field.type.json : { ...field.type.json, default: field.type.encode(initial) };
    return [name, described] as const;
  });
  return { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false };
}

function unknownKey(key: string, path: string, names: readonly string[]): string {
  const near = nearest(key, names);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return `field ${key} not found in ${path || 'the top level'}${hint}`;
}

/** The name within two edits of `key`, where there is one. */
function nearest(key: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = 3;
  for (const name of names) {
    const distance = Math.abs(name.length - key.length) < least ? editDistance(key, name) : least;
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
