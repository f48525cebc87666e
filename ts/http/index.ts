/**
 * HTTP as a client, the way the configuration's HTTP sections ask for it: credentials, TLS, proxies, redirects, and
 * failures in Go's words. It must not know what is asked for: scrapes, samples and alerts are their folders' business.
 */

export { Attempt } from './attempt.ts';
export { type Destination, destinationOf } from './destination.ts';
export { fileError } from './go-errors.ts';
export {
  HttpClient,
  type HttpClientOptions,
  HttpFailure,
  type HttpRequest,
  headerOf,
} from './http-client.ts';
export { proxyExemptions } from './proxy.ts';
export type { CollectedResponse } from './response-collector.ts';
export { undici } from './transport.ts';
