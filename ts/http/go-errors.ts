/** Failures of HTTP in the words a Prometheus user knows: those of Go's client. */

import { quote } from '../util/index.ts';

/** Said of a request that took longer than its timeout. */
export const DEADLINE_EXCEEDED = 'context deadline exceeded';

/** Headers of an answer together. Go allows ten times as many, which the library beneath would copy again and again. */
export const HEADER_BYTES_MAX = 1024 * 1024;

/** Of a line that is none so much is told. */
const LINE_CHARS_MAX = 200;

interface SystemError extends Error {
  code?: string;
  address?: string;
  port?: number;
  hostname?: string;
  errors?: SystemError[];
  /** What the parser stumbled over. */
  data?: string;
  /** The connection that ended. */
  socket?: { bytesRead?: number };
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

/** Alerts of TLS by the end of Node's code. */
const ALERTS: Record<string, string> = {
  HANDSHAKE_FAILURE: 'handshake failure',
  BAD_CERTIFICATE: 'bad certificate',
  UNSUPPORTED_CERTIFICATE: 'unsupported certificate',
  CERTIFICATE_REVOKED: 'revoked certificate',
  CERTIFICATE_EXPIRED: 'expired certificate',
  CERTIFICATE_UNKNOWN: 'unknown certificate',
  CERTIFICATE_REQUIRED: 'certificate required',
  UNKNOWN_CA: 'unknown certificate authority',
  ACCESS_DENIED: 'access denied',
  PROTOCOL_VERSION: 'protocol version not supported',
  INTERNAL_ERROR: 'internal error',
  UNRECOGNIZED_NAME: 'unrecognized name',
  NO_APPLICATION_PROTOCOL: 'no application protocol',
};

const BROKEN = 'net/http: HTTP/1.x transport connection broken: ';

/** What went wrong with a request, as Go's client would put it. */
export function requestError(method: string, url: string, error: Error | string): string {
  const why = typeof error === 'string' ? error : networkError(error);
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
  if (error.message.includes('(Invalid character in chunk size)')) return 'invalid byte in chunk length';
  if (isParserError(error)) return 'malformed chunked encoding';
  return networkError(error);
}

/** What went wrong with a connection, or on one before there was an answer. */
export function networkError(error: Error): string {
  const { code = '', address, port, hostname, errors, socket } = error as SystemError;
  const [first] = errors ?? [];
  if (first) return networkError(first);
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
  if (code === 'UND_ERR_SOCKET') return (socket?.bytesRead ?? 0) > 0 ? `${BROKEN}unexpected EOF` : 'EOF';
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'HPE_HEADER_OVERFLOW') {
    return `${BROKEN}net/http: server response headers exceeded ${HEADER_BYTES_MAX} bytes; aborted`;
  }
  if (isParserError(error)) return BROKEN + parserError(error);
  return tlsError(error) ?? error.message;
}

/** What was wrong with an answer's first lines. */
function parserError(error: Error): string {
  const { data = '' } = error as SystemError;
  const [line = ''] = data.slice(0, LINE_CHARS_MAX).split(/\r?\n/, 1);
  const [reason] = /\([^)]*\)$/.exec(error.message) ?? [];
  if (reason === '(Invalid status code)') return `malformed HTTP status code ${quote(line.split(' ', 1)[0] ?? '')}`;
  if (reason?.startsWith('(Invalid header')) return 'malformed MIME header';
  return `malformed HTTP response ${quote(line)}`;
}

function tlsError(error: Error): string | undefined {
  const { code = '' } = error as SystemError;
  const certificate = CERTIFICATE[code];
  if (certificate !== undefined) return `tls: failed to verify certificate: ${certificate}`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `tls: failed to verify certificate: x509: certificate is not valid for the name: ${error.message}`;
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return 'http: server gave HTTP response to HTTPS client';
  const alert = /^ERR_SSL_\w+_ALERT_(\w+)$/.exec(code)?.[1];
  return alert === undefined
    ? undefined
    : `remote error: tls: ${ALERTS[alert] ?? alert.toLowerCase().replaceAll('_', ' ')}`;
}

function isParserError(error: Error): boolean {
  return error.name === 'HTTPParserError' || ((error as SystemError).code?.startsWith('HPE_') ?? false);
}

function host(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
