/** The module that also runs the PromQL test language: `npm run build:wasm -- --testkit`. */
import { pathToFileURL } from 'node:url';
import type { EngineGlue } from '../../ts/core/wasm-exports.ts';
import { type WasmBuild, WasmInstance } from '../../ts/core/wasm-module.ts';
import { wasmBuild } from '../support/require.ts';

/** One statement of a script, run. */
export interface Statement {
  line: number;
  query: string;
  failure: string | null;
}

export interface TestkitGlue extends EngineGlue {
  runScript(text: string): Statement[];
  panicNow(text: string): void;
}

/** The glue's path; `undefined` where the module is not built, which has been said then. */
export const testkit = wasmBuild('.wasm-testkit/engine.js');

export function testkitInstance(): Promise<WasmInstance<TestkitGlue>> {
  const load = () => import(pathToFileURL(testkit ?? '').href) as Promise<WasmBuild<TestkitGlue>>;
  return WasmInstance.create('testkit', load);
}
