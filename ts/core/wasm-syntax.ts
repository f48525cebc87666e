/**
 * The syntax of PromQL without an engine, for editors and checks in a browser: a small WASM module, whose calls return at
 * once.
 */
import type { EngineFeature } from './engine.ts';
import type { Completion, Syntax } from './syntax.ts';
import type { SyntaxExports, SyntaxGlue } from './wasm-exports.ts';
import { WasmInstance, type WasmSource } from './wasm-module.ts';

export type { EngineFeature } from './engine.ts';
export { EngineError, type EngineErrorCode } from './errors.ts';
export * from './syntax.ts';
export type { WasmSource } from './wasm-module.ts';

/** Loads the module. `features` switches parts of the language on, `source` says where the module's bytes are. */
export async function loadSyntax(options: { features?: EngineFeature[]; source?: WasmSource } = {}): Promise<Syntax> {
  const instance = await WasmInstance.create<SyntaxGlue>('syntax', () => import('#wasm/syntax'), options.source);
  const syntax = instance.call((glue) => new glue.Syntax(options.features ?? []));
  const call = <T>(work: (syntax: SyntaxExports) => T): T => instance.call(() => work(syntax));
  return {
    check: (query) => call((s) => s.check(query)),
    formatQuery: (query) => call((s) => s.formatQuery(query)),
    parseQueryJson: (query) => call((s) => s.parseQueryJson(query)),
    setLabelMatcher: (query, name, op, value) => call((s) => s.setLabelMatcher(query, name, op, value)),
    deleteLabelMatchers: (query, name) => call((s) => s.deleteLabelMatchers(query, name)),
    complete: (text, cursor) => JSON.parse(call((s) => s.completeJson(text, cursor))) as Completion[],
  };
}
