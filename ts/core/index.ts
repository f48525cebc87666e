/**
 * The engine: storage, queries and ingest, behind one interface. Owns the loading of the native addon and the
 * typed errors. Must not know HTTP, configuration files or schedules.
 */
export * from './engine.ts';
export { ENGINE_ERRORS, EngineError, type EngineErrorCode, type ErrorType } from './errors.ts';
export { checkQuery, compileRelabeler, open, openSyntax, pushBody, ruleGroupHash, startTool } from './native.ts';
export * from './remote-read.ts';
export * from './sender.ts';
export * from './syntax.ts';
export type { ToolOptions, ToolPiece, ToolRun } from './tools.ts';
