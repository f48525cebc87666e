/**
 * Errors of the engine: one table of codes, the same in `crates/engine/src/error.rs`; a test compares
 * the two. What the HTTP API calls `errorType` follows from the code.
 */

/** Prometheus' `errorType` values that the engine can cause. */
export type ErrorType =
  | 'bad_data'
  | 'execution'
  | 'cost_limit'
  | 'canceled'
  | 'timeout'
  | 'internal'
  | 'unavailable'
  | 'not_found';

/** Every code an engine can fail with, with the `errorType` and HTTP status it stands for. */
export const ENGINE_ERRORS = {
  INVALID_ARGUMENT: { errorType: 'bad_data', status: 400 },
  QUERY_PARSE: { errorType: 'bad_data', status: 400 },
  QUERY_EXECUTION: { errorType: 'execution', status: 422 },
  QUERY_COST_LIMIT: { errorType: 'cost_limit', status: 422 },
  QUERY_CANCELED: { errorType: 'canceled', status: 499 },
  QUERY_TIMEOUT: { errorType: 'timeout', status: 503 },
  OVERLOADED: { errorType: 'unavailable', status: 503 },
  CLOSED: { errorType: 'unavailable', status: 503 },
  LOCKED: { errorType: 'unavailable', status: 503 },
  READ_ONLY: { errorType: 'internal', status: 500 },
  CORRUPT: { errorType: 'internal', status: 500 },
  IO: { errorType: 'internal', status: 500 },
  INTERNAL: { errorType: 'internal', status: 500 },
} as const satisfies Record<string, { errorType: ErrorType; status: number }>;

export type EngineErrorCode = keyof typeof ENGINE_ERRORS;

/** An error of the engine. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  get errorType(): ErrorType {
    return ENGINE_ERRORS[this.code].errorType;
  }

  get status(): number {
    return ENGINE_ERRORS[this.code].status;
  }

  /**
   * Makes an `EngineError` of what the addon threw: its messages start with the code and a colon.
   * Anything else becomes `INTERNAL` with the original as its cause.
   */
  static from(thrown: unknown): EngineError {
    if (thrown instanceof EngineError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const colon = message.indexOf(':');
    const code = message.slice(0, Math.max(colon, 0));
    if (Object.hasOwn(ENGINE_ERRORS, code)) {
      return new EngineError(code as EngineErrorCode, message.slice(colon + 1).trimStart(), { cause: thrown });
    }
    return new EngineError('INTERNAL', message, { cause: thrown });
  }
}
