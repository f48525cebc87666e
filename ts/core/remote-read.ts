/** Remote read as TypeScript sees it: the core reads requests and makes answers, TypeScript carries them. */

import type { Body, LabelSet } from './engine.ts';

/** A request of remote read, as it came. */
export interface RemoteReadRequest {
  /** The body in pieces, in order: one block of snappy. */
  pieces: Uint8Array[];
  /** Added to series that have no such label; a matcher that asks for one of them asks for its absence. */
  externalLabels: LabelSet;
  /** Samples of one query's answer at most, where it is no stream; 0: any number. */
  sampleLimit: number;
  /** Size at which a frame of a stream ends; one more chunk may be in it. */
  maxBytesInFrame: number;
}

/** An answer of chunks, made as it is fetched. */
export interface FrameStream {
  /** The next frames, about half a MiB unless one is longer; `null` at the end. One call at a time. */
  next(): Promise<Uint8Array | null>;
  /** Ends it and frees what it holds; to be called in any case. */
  close(): void;
}

/** One of these. */
export interface RemoteReadAnswer {
  /** Why there is no answer. */
  refusal?: { status: number; text: string };
  /** `prometheus.ReadResponse`; its content encoding is `snappy`. */
  samples?: Body;
  /** Frames of `prometheus.ChunkedReadResponse`. */
  chunks?: FrameStream;
}

/** What of an entry of `remote_read` decides about requests and answers. */
export interface RemoteEndpoint {
  /** Matchers for these are added, and the labels taken from the answer: the external labels, or none. */
  externalLabels: LabelSet;
  /** Only selectors with equality matchers for all of these are asked. */
  requiredMatchers: LabelSet;
  /** Whether it is asked also for times that the database has. */
  readRecent: boolean;
  /** Longest frame of a streamed answer, bytes. */
  chunkedReadLimit: number;
}

/** A request of remote read to be posted. */
export interface RemoteRequest {
  id: number;
  /** The place of its endpoint in the list. */
  endpoint: number;
  /** One block of snappy. */
  body: Uint8Array;
  /** How long its answer is of use. */
  timeoutMs: number;
}

/** An answer of status 2xx as it came, or why there is none. */
export type RemoteResponse = { contentType: string; pieces: Uint8Array[] } | { error: string };

/** Reaches the servers that a query asks besides the database. */
export interface RemoteReader {
  readonly endpoints: readonly RemoteEndpoint[];
  /** Posts a request. Rejects only where `signal` aborts: what goes wrong otherwise is a warning of the query. */
  fetch(request: RemoteRequest, signal: AbortSignal | undefined): Promise<RemoteResponse>;
}
