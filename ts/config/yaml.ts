/**
 * YAML as Prometheus reads it: the first document, YAML 1.1 scalars (`yes` is a boolean), merge keys,
 * strict about repeated keys. The `yaml` package parses with its plainest schema; what a scalar means
 * is decided here, since a string field takes `0123` as it stands. Knows nothing of any key.
 */

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import { messageOf } from '../util/index.ts';
import { ConfigError, type Issue, type Place } from './errors.ts';

/** Nodes visited at most, aliases followed: a bound against documents that explode. */
const NODES_MAX = 1_000_000;

/** Merge keys that lead to each other. */
const MERGE_DEPTH_MAX = 20;

/** Issues gathered before the walk is given up. */
const ISSUES_MAX = 20;

/** What a scalar resolves to. */
export type ScalarValue = string | number | boolean | null;

/** An entry of a mapping, with both nodes for their places. */
export interface Entry {
  key: string;
  keyNode: Node;
  valueNode: Node | null;
}

/** A parsed file: hands out nodes and gathers what is wrong with them. */
export class YamlSource {
  readonly file: string;
  readonly issues: Issue[] = [];
  readonly warnings: Issue[] = [];
  /** The first document's root, `null` for an empty file. */
  readonly root: Node | null;
  readonly #lines = new LineCounter();
  readonly #document: Document | undefined;
  /** What aliases stand for; looking one up walks the whole document. */
  readonly #targets = new WeakMap<Alias, Node>();
  #visited = 0;

  /** @throws ConfigError for text that is not YAML. */
  constructor(text: string, file: string) {
    this.file = file;
    this.#document = this.#parse(text);
    const error = this.#document?.errors[0];
    if (error) throw new ConfigError([{ ...this.#placeAt(error.pos[0]), message: `yaml: ${yamlMessage(error)}` }]);
    this.root = (this.#document?.contents as Node | null | undefined) ?? null;
  }

  #parse(text: string): Document | undefined {
    try {
      const documents = parseAllDocuments(text, {
        schema: 'failsafe',
        lineCounter: this.#lines,
        uniqueKeys: false,
        logLevel: 'silent',
        prettyErrors: false,
      });
      return Array.isArray(documents) ? documents[0] : undefined;
    } catch (cause) {
      const message = `yaml: ${yamlMessage(cause)}`;
      throw new ConfigError([{ file: this.file, line: 1, column: 1, message }], { cause });
    }
  }

  /** Where a node begins; the start of the file where there is none. */
  place(node: Node | null | undefined): Place {
    return this.#placeAt(node?.range?.[0] ?? 0);
  }

  /** Notes what is wrong with a node. @throws ConfigError when there is too much of it. */
  fail(node: Node | null | undefined, message: string): void {
    this.issues.push({ ...this.place(node), message });
    if (this.issues.length >= ISSUES_MAX) throw new ConfigError(this.issues);
  }

  /** Notes what the user should know though it is no mistake. */
  warn(node: Node | null | undefined, message: string): void {
    if (this.warnings.length < ISSUES_MAX * 5) this.warnings.push({ ...this.place(node), message });
  }

  /** The node an alias stands for, or the node itself; `null` for an absent or null one. */
  follow(node: Node | null | undefined): Node | null {
    if (++this.#visited > NODES_MAX) {
      throw new ConfigError([{ ...this.place(node), message: 'yaml: document contains excessive aliasing' }]);
    }
    let target = node ?? null;
    if (isAlias(target)) {
      target = this.#resolve(target);
    }
    return isScalar(target) && this.scalar(target) === null ? null : target;
  }

  /** The entries of a mapping in order, merge keys (`<<`) included; repeated keys are issues. */
  entries(map: Node, depth = 0): Entry[] {
    const own = new Map<string, Entry>();
    const merged: Entry[] = [];
    if (!isMap(map)) return [];
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const keyNode = isAlias(pair.key) ? (this.#resolve(pair.key) ?? pair.key) : pair.key;
      if (!isScalar(keyNode)) {
        this.fail(pair.key, 'a key must be a plain value');
        continue;
      }
      const key = this.text(keyNode);
      if (key === '<<' && keyNode.type === 'PLAIN') {
        merged.push(...this.#mergeSources(pair.value, depth + 1));
        continue;
      }
      if (own.has(key)) this.fail(pair.key, `field ${key} already set`);
      else own.set(key, { key, keyNode: pair.key, valueNode: pair.value });
    }
    for (const entry of merged) if (!own.has(entry.key)) own.set(entry.key, entry);
    return [...own.values()];
  }

  /** What a scalar means by YAML 1.1. */
  scalar(node: Scalar): ScalarValue {
    const text = this.text(node);
    const tag = node.tag ?? '';
    if (tag.endsWith(':null')) return null;
    if (tag.endsWith(':str') || tag.endsWith(':binary')) return text;
    const plain = node.type === undefined || node.type === 'PLAIN';
    return plain || tag !== '' ? resolvePlain(text) : text;
  }

  /** A scalar's text, as a string field takes it; `!!binary` is decoded. */
  text(node: Scalar): string {
    const text = typeof node.value === 'string' ? node.value : (node.source ?? '');
    return node.tag?.endsWith(':binary') ? this.#binary(node, text) : text;
  }

  #binary(node: Scalar, text: string): string {
    const compact = text.replaceAll(/\s/g, '');
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(compact)) {
      this.fail(node, 'yaml: !!binary value contains invalid base64 data');
      return '';
    }
    return decodeBytes(Buffer.from(compact, 'base64'));
  }

  #mergeSources(node: Node | null, depth: number): Entry[] {
    const target = this.follow(node);
    if (depth > MERGE_DEPTH_MAX) {
      this.fail(node, 'yaml: anchor contains itself');
      return [];
    }
    if (isMap(target)) return this.entries(target, depth);
    if (isSeq(target)) return (target.items as Node[]).flatMap((item) => this.#mergeSources(item, depth + 1));
    this.fail(node, 'yaml: map merge requires map or sequence of maps as the value');
    return [];
  }

  #resolve(alias: Alias): Node | null {
    const known = this.#targets.get(alias);
    if (known) return known;
    const target = this.#document && alias.resolve(this.#document);
    if (target) this.#targets.set(alias, target);
    else this.fail(alias, `yaml: unknown anchor '${alias.source}' referenced`);
    return target ?? null;
  }

  #placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.file, line: Math.max(1, line), column: Math.max(1, col) };
  }
}

const CONSTANTS = new Map<string, ScalarValue>([
  ...['', '~', 'null', 'Null', 'NULL'].map((text): [string, null] => [text, null]),
  ...['y', 'yes', 'true', 'on'].flatMap((text) => cases(text, true)),
  ...['n', 'no', 'false', 'off'].flatMap((text) => cases(text, false)),
  ...['.nan', '.NaN', '.NAN'].map((text): [string, number] => [text, Number.NaN]),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((text): [string, number] => [text, Infinity]),
  ...['-.inf', '-.Inf', '-.INF'].map((text): [string, number] => [text, -Infinity]),
]);

function cases(text: string, value: boolean): [string, boolean][] {
  const upper = text.toUpperCase();
  return [text, upper, upper.charAt(0) + text.slice(1)].map((form) => [form, value]);
}

/** The parser is recursive: what is nested too deeply ends its stack. */
function yamlMessage(error: unknown): string {
  const message = messageOf(error);
  return message.startsWith('Maximum call stack size') ? 'exceeded max depth' : message;
}

const INTEGER = /^([-+]?)(?:0x([0-9a-f]+)|0b([01]+)|0o?([0-7]+)|(0|[1-9][0-9]*))$/i;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:e[-+]?[0-9]+)?$/i;

function resolvePlain(text: string): ScalarValue {
  const constant = CONSTANTS.get(text);
  if (constant !== undefined) return constant;
  if (!/^[-+.0-9]/.test(text)) return text;
  const digits = text.replaceAll('_', '');
  const integer = INTEGER.exec(digits);
  if (integer) {
    const [, sign, hex, binary, octal, decimal] = integer;
    const magnitude =
      decimal !== undefined
        ? Number(decimal)
        : Number.parseInt(hex ?? binary ?? octal ?? '', hex !== undefined ? 16 : binary !== undefined ? 2 : 8);
    return sign === '-' ? -magnitude : magnitude;
  }
  return FLOAT.test(digits) ? Number(digits) : text;
}

/**
 * Bytes as a string. A byte that is not UTF-8 becomes the lone surrogate U+DC00 + byte, so that it is
 * not lost before validation refuses it.
 */
function decodeBytes(bytes: Buffer): string {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return strict.decode(bytes);
  } catch {
    return [...bytes].map((byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('');
  }
}

/** Whether a string came from valid UTF-8: it holds no lone surrogate. */
export function isValidUtf8(text: string): boolean {
  return !/\p{Cs}/u.test(text);
}
