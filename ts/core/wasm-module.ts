/**
 * WASM modules and their instances: fetches and compiles a module once, makes instances, and tells errors, which have a
 * code, from traps, which end an instance. Needs no Node: the same code runs in a browser.
 */
import { EngineError } from './errors.ts';

/** What the glue of every module exports besides what it is for. */
export interface Glue {
  (source: { module_or_path: unknown }): Promise<unknown>;
  /** What the panic said that ended the instance, '' where none did. */
  fault(): string;
}

/** A module as `npm run build:wasm` writes it: the glue afresh with each call, so that each instance stands alone. */
export interface WasmBuild<G extends Glue> {
  url: URL;
  glue(): G;
}

/**
 * Where the bytes of a module come from, where they are not beside its glue: an address, the bytes, or a compiled
 * `WebAssembly.Module`, which is the way in runtimes that compile no code themselves.
 */
export type WasmSource = URL | Uint8Array | object;

/** The part of `WebAssembly` that is used here; Node's types do not have it. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { compile(bytes: Uint8Array): Promise<object> };
};

/** Compiled modules by address: compiling takes longer than all else. */
const compiled = new Map<string, Promise<object>>();

async function moduleOf(source: WasmSource): Promise<object> {
  if (source instanceof Uint8Array) return WebAssembly.compile(source);
  if (!(source instanceof URL)) return source;
  const { href } = source;
  let module = compiled.get(href);
  if (module === undefined) {
    module = bytesAt(source).then((bytes) => WebAssembly.compile(bytes));
    compiled.set(href, module);
    // What failed may work the next time.
    module.catch(() => compiled.delete(href));
  }
  return module;
}

async function bytesAt(url: URL): Promise<Uint8Array> {
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return readFile(url);
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * One instance with a memory of its own. A trap ends it: the call that it struck rejects with `INTERNAL`, later ones with
 * `CLOSED`, and its memory is free once nobody holds on to the objects that it made.
 */
export class WasmInstance<G extends Glue> {
  #glue: G | undefined;
  #ended: string;

  private constructor(glue: G, name: string) {
    this.#glue = glue;
    this.#ended = `the ${name} is closed`;
  }

  /** Makes an instance. @throws EngineError `INTERNAL` where the module is absent or cannot be instantiated */
  static async create<G extends Glue>(
    name: string,
    load: () => Promise<WasmBuild<G>>,
    source?: WasmSource,
  ): Promise<WasmInstance<G>> {
    try {
      const build = await load();
      const glue = build.glue();
      await glue({ module_or_path: await moduleOf(source ?? build.url) });
      return new WasmInstance(glue, name);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new EngineError('INTERNAL', `the WASM module of the ${name} cannot be loaded: ${why}`, { cause });
    }
  }

  /** Calls into the instance. @throws EngineError */
  call<T>(work: (glue: G) => T): T {
    const glue = this.#glue;
    if (glue === undefined) throw new EngineError('CLOSED', this.#ended);
    try {
      return work(glue);
    } catch (thrown) {
      if (!isTrap(thrown)) throw EngineError.from(thrown);
      const why = faultOf(glue) || thrown.message;
      this.#ended = `a trap has ended the instance, open another one: ${why}`;
      this.#glue = undefined;
      throw new EngineError('INTERNAL', this.#ended, { cause: thrown });
    }
  }

  /** Lets go of the memory. */
  end(): void {
    this.#glue = undefined;
  }
}

/** A trap is a `RuntimeError`; a stack that is used up is a `RangeError` of the engine that runs the module. */
function isTrap(thrown: unknown): thrown is Error {
  return thrown instanceof Error && ['RuntimeError', 'RangeError'].includes(thrown.name);
}

/** The text of a panic is still in the memory; where that is damaged, too, there is none. */
function faultOf(glue: Glue): string {
  try {
    return glue.fault();
  } catch {
    return '';
  }
}
