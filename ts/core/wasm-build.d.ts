/** What `npm run build:wasm` generates: `imports` in package.json says where. */
declare module '#wasm/engine' {
  export const url: URL;
  export function glue(): import('./wasm-exports.ts').EngineGlue;
}

declare module '#wasm/syntax' {
  export const url: URL;
  export function glue(): import('./wasm-exports.ts').SyntaxGlue;
}
