/** Command lines as kingpin, Prometheus' flag parser, reads them, on top of commander. */

import { type Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { formatBytes, formatDuration, messageOf, parseBytes, parseDuration } from '../util/index.ts';
import type { FlagSpec } from './server-flags.ts';

/** Values by flag name; `given` holds the flags that were on the command line, in their order there. */
export class FlagValues {
  readonly #specs: ReadonlyMap<string, FlagSpec>;
  readonly #values: ReadonlyMap<string, unknown>;
  readonly given: ReadonlySet<string>;

  constructor(specs: readonly FlagSpec[], values: ReadonlyMap<string, unknown>) {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
    this.#values = values;
    this.given = new Set(values.keys());
  }

  text(name: string): string {
    return String(this.#value(name));
  }

  /** Milliseconds of a duration, bytes of a size, or a plain number; 0 where it is unset. */
  number(name: string): number {
    return Number(this.#value(name));
  }

  bool(name: string): boolean {
    return this.#value(name) === true;
  }

  list(name: string): string[] {
    const value = this.#value(name);
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** All flags as GET /api/v1/status/flags shows them. */
  shown(): Record<string, string> {
    const names = [...this.#specs.keys()].sort();
    return Object.fromEntries(names.map((name) => [name, this.#show(name)]));
  }

  #value(name: string): unknown {
    const spec = this.#specs.get(name);
    if (spec === undefined) throw new RangeError(`no such flag: --${name}`);
    return this.#values.has(name) ? this.#values.get(name) : defaultOf(spec);
  }

  #show(name: string): string {
    const value = this.#value(name);
    const kind = this.#specs.get(name)?.kind;
    if (kind === 'duration') return formatDuration(Number(value));
    if (kind === 'bytes') return formatBytes(Number(value));
    return Array.isArray(value) ? value.join(',') : String(value);
  }
}

/** Declares `specs` as options of `command`. */
export function addFlags(command: Command, specs: readonly FlagSpec[]): void {
  for (const spec of specs) {
    if (spec.kind === 'bool') {
      command.addOption(new Option(`--${spec.name}`, describe(spec)).hideHelp(spec.hidden === true));
      command.addOption(new Option(`--no-${spec.name}`).hideHelp());
      continue;
    }
    const option = new Option(`--${spec.name} <${placeholder(spec)}>`, describe(spec)).hideHelp(spec.hidden === true);
    command.addOption(option.argParser((text: string, before: unknown) => parseValue(spec, text, before)));
  }
}

/** The values that `command` has parsed of `args`, in the order in which they stand there. */
export function flagValues(command: Command, specs: readonly FlagSpec[], args: readonly string[] = []): FlagValues {
  const values = new Map<string, unknown>();
  const place = ({ name }: FlagSpec): number =>
    args.findIndex((arg) => [`--${name}`, `--no-${name}`].some((flag) => arg === flag || arg.startsWith(`${flag}=`)));
  const places = new Map(specs.map((spec) => [spec, place(spec)]));
  for (const spec of [...specs].sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0))) {
    const key = new Option(`--${spec.name}`).attributeName();
    if (command.getOptionValueSource(key) === 'cli') values.set(spec.name, command.getOptionValue(key));
  }
  return new FlagValues(specs, values);
}

/** `--flag=true` and `--flag=false` of switches become `--flag` and `--no-flag`. */
export function plainSwitches(args: readonly string[], specs: readonly FlagSpec[]): string[] {
  const switches = new Set(specs.filter((spec) => spec.kind === 'bool').map((spec) => spec.name));
  return args.map((arg) => {
    const match = /^--(.+)=(true|false)$/.exec(arg);
    if (match?.[1] === undefined || !switches.has(match[1])) return arg;
    return match[2] === 'true' ? `--${match[1]}` : `--no-${match[1]}`;
  });
}

/** Whether an error of commander is no error but the end of `--help` or `--version`. */
export function isHelp(error: unknown): error is CommanderError {
  return error instanceof CommanderError && error.exitCode === 0;
}

function defaultOf(spec: FlagSpec): unknown {
  if (spec.kind === 'bool') return spec.default === 'true';
  if (spec.kind === 'list') return spec.default === '' ? [] : spec.default.split(',');
  if (spec.default === '' && spec.kind !== 'text') return 0;
  return read(spec, spec.default);
}

function parseValue(spec: FlagSpec, text: string, before: unknown): unknown {
  if (spec.kind === 'list') return Array.isArray(before) ? [...before, text] : [text];
  if (before !== undefined) throw new InvalidArgumentError(`flag '${spec.name}' cannot be repeated`);
  try {
    return read(spec, text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}

function read(spec: FlagSpec, text: string): unknown {
  switch (spec.kind) {
    case 'duration':
      return parseDuration(text);
    case 'bytes':
      return parseBytes(text);
    case 'int':
    case 'number':
      return readNumber(spec.kind, text);
    case 'enum':
      if (spec.values?.includes(text)) return text;
      throw new RangeError(`enum value must be one of ${spec.values?.join(',')}, got '${text}'`);
    default:
      return text;
  }
}

function readNumber(kind: 'int' | 'number', text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new RangeError(`strconv.ParseFloat: parsing "${text}": invalid syntax`);
  }
  return kind === 'int' ? Math.trunc(value) : value;
}

function placeholder(spec: FlagSpec): string {
  if (spec.kind === 'list') return 'value';
  return spec.kind === 'enum' ? (spec.values ?? []).join('|') : spec.kind;
}

function describe(spec: FlagSpec): string {
  const mode = spec.mode === undefined ? '' : ` Use with ${spec.mode} mode only.`;
  const initial = spec.default === '' ? '' : ` (default ${spec.default})`;
  return `${spec.help}${mode}${initial}${spec.inert ? ' Accepted, without effect yet.' : ''}`;
}
