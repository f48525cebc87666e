/**
 * The program as the build bundles it: a few files instead of several hundred, each with the code that V8 compiled of
 * it at build time. Another version of V8 refuses that code and compiles anew, which is slower and nothing else.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Script } from 'node:vm';

type Exports = Record<string, unknown>;
type Wrapper = (
  exports: Exports,
  require: (id: string) => unknown,
  module: { exports: Exports },
  filename: string,
  dirname: string,
) => void;

const HEAD = '(function (exports, require, module, __filename, __dirname) {';

/** The files of a folder, each loaded when it is first asked for. Node has no such cache of its own before 22. */
export class Bundle {
  readonly #folder: string;
  readonly #require: NodeJS.Require;
  readonly #modules = new Map<string, { exports: Exports }>();
  readonly #scripts = new Map<string, Script>();

  constructor(folder: string) {
    this.#folder = folder;
    this.#require = createRequire(join(folder, 'program.cjs'));
  }

  /** What a file exports. Throws where it is missing, and what it throws. */
  load(name: string): Exports {
    const known = this.#modules.get(name);
    if (known !== undefined) return known.exports;
    const filename = join(this.#folder, name);
    // On the first line, so that lines in stack traces are those of the file.
    const source = `${HEAD}${readFileSync(filename, 'utf8')}\n})`;
    const cachedData = readIfThere(codeFile(filename));
    const script = new Script(source, { filename, ...(cachedData === undefined ? {} : { cachedData }) });
    const module = { exports: {} };
    this.#modules.set(name, module);
    this.#scripts.set(filename, script);
    const require = (id: string) => (id.startsWith('./') ? this.load(id.slice(2)) : this.#require(id));
    (script.runInThisContext() as Wrapper)(module.exports, require, module, filename, this.#folder);
    return module.exports;
  }

  /** Names of the files whose compiled code V8 did not take. */
  refused(): string[] {
    return [...this.#scripts].filter(([, script]) => script.cachedDataRejected !== false).map(([filename]) => filename);
  }

  /** Writes beside each file that is loaded what V8 has compiled of it by now. */
  writeCode(): void {
    for (const [filename, script] of this.#scripts) writeFileSync(codeFile(filename), script.createCachedData());
  }
}

function codeFile(filename: string): string {
  return `${filename}.v8`;
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
