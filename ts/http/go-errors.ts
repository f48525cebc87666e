/** Failures of HTTP in the words a Prometheus user knows: those of Go's client. */

import { quote } from '../util/index.ts';

/** Said of a request that took longer than its timeout. */
export const DEADLINE_EXCEEDED = 'context deadline exceeded';

interface SystemError extends Error {
  code?: string;
  address?: string;
  port?: number;
  hostname?: string;
  errors?: SystemError[];
}

/** A system call's errors by Node's code. */
const SYSTEM: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  EPIPE: 'broken pipe',
  EACCES: 'permission denied',
  EMFILE: 'too many open files',
  ENOENT: 'no such file or directory',
  EADDRNOTAVAIL: 'cannot assign requested address',
};

/** Certificate errors by Node's code. */
const CERTIFICATE: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'x509: certificate signed by unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'x509: certificate signed by unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'x509: certificate signed by unknown authority',
  CERT_HAS_EXPIRED: 'x509: certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'x509: certificate has expired or is not yet valid',
};

/** What went wrong with a request, as Go's client would put it. */
export function requestError(method: string, url: string, error: Error | string): string {
  const why = typeof error === 'string' ? error : describe(error);
  return `${method.slice(0, 1)}${method.slice(1).toLowerCase()} ${quote(url)}: ${why}`;
}

/** What went wrong with a file: Go names what it did with it. */
export function fileError(path: string, error: Error): string {
  const { code = '' } = error as SystemError;
  if (code === 'EISDIR') return `read ${path}: is a directory`;
  const why = SYSTEM[code];
  return why === undefined ? error.message : `open ${path}: ${why}`;
}

/** What went wrong while the body was read. */
export function bodyError(error: Error): string {
  if (error.message === DEADLINE_EXCEEDED) return DEADLINE_EXCEEDED;
  const { code } = error as SystemError;
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    return 'unexpected EOF';
  }
  if (isParserError(error)) return 'malformed chunked encoding';
  return describe(error);
}

function describe(error: Error): string {
  const { code = '', address, port, hostname, errors } = error as SystemError;
  const [first] = errors ?? [];
  if (first) return describe(first);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const why = code === 'ENOTFOUND' ? 'no such host' : 'server misbehaving';
    return `dial tcp: lookup ${hostname ?? ''}: ${why}`;
  }
  const system = SYSTEM[code];
  if (system !== undefined) {
    if (address === undefined) return `read tcp: read: ${system}`;
    const unix = port === undefined || port < 0;
    return unix ? `dial unix ${address}: connect: ${system}` : `dial tcp ${host(address, port)}: connect: ${system}`;
  }
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return DEADLINE_EXCEEDED;
  if (code === 'UND_ERR_SOCKET') return 'EOF';
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'HPE_HEADER_OVERFLOW') {
    return 'net/http: server response headers exceeded limit; aborted';
  }
  if (isParserError(error)) {
    return 'net/http: HTTP/1.x transport connection broken: malformed HTTP response';
  }
  const certificate = CERTIFICATE[code];
  if (certificate !== undefined) return `tls: failed to verify certificate: ${certificate}`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `tls: failed to verify certificate: x509: certificate is not valid for the name: ${error.message}`;
  }
  return error.message;
}

function isParserError(error: Error): boolean {
  return error.name === 'HTTPParserError' || ((error as SystemError).code?.startsWith('HPE_') ?? false);
}

function host(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
