/**
 * The HTTP API as Prometheus 3.16 speaks it: one file per family of routes, the parameters of each
 * route declared beside it. Knows the engine's interface and what it asks of the server through
 * `ApiContext`; it must not know how targets are scraped, where configuration comes from, or who
 * listens on which socket.
 */
export { createApp } from './app.ts';
export type {
  ApiContext,
  ApiOptions,
  BuildInfo,
  DroppedTargetView,
  Readiness,
  RemoteReadOptions,
  RequestRecord,
  RuntimeInfo,
  TargetsView,
  TargetView,
} from './context.ts';
export { errorEnvelope } from './respond.ts';
