/** Errors of the API and what they become on the wire. */

import { EngineError, type ErrorType } from '../core/errors.ts';
import { messageOf, quote } from '../util/index.ts';

/** An error with the status and `errorType` the client is to see. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly errorType: ErrorType;
  readonly status: number;

  constructor(errorType: ErrorType, message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.errorType = errorType;
    this.status = options.status ?? DEFAULT_STATUS[errorType];
  }

  /** The client's fault. */
  static badData(message: string, cause?: unknown): ApiError {
    return new ApiError('bad_data', message, { cause });
  }

  /** The fault of one parameter, in Prometheus' words. */
  static invalidParameter(name: string, reason: string, cause?: unknown): ApiError {
    return ApiError.badData(`invalid parameter ${quote(name)}: ${reason}`, cause);
  }

  /** Makes an `ApiError` of anything that was thrown, framework errors included. */
  static from(thrown: unknown): ApiError {
    if (thrown instanceof ApiError) return thrown;
    if (thrown instanceof EngineError) {
      return new ApiError(thrown.errorType, thrown.message, { status: thrown.status, cause: thrown });
    }
    const status = frameworkStatus(thrown);
    return new ApiError(errorTypeOf(status), messageOf(thrown), { status, cause: thrown });
  }
}

/** As Prometheus maps them; what it has no case for is 500, `unavailable` included. */
const DEFAULT_STATUS: Record<ErrorType, number> = {
  bad_data: 400,
  execution: 422,
  cost_limit: 422,
  canceled: 499,
  timeout: 503,
  internal: 500,
  unavailable: 500,
  not_found: 404,
};

function frameworkStatus(thrown: unknown): number {
  const status = (thrown as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

function errorTypeOf(status: number): ErrorType {
  if (status === 404) return 'not_found';
  if (status === 503) return 'unavailable';
  return status < 500 ? 'bad_data' : 'internal';
}
