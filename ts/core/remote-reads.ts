/** A question that other servers are asked too: the core says what to post, and runs once the answers are there. */

import type { Body, ColumnsResult } from './engine.ts';
import { EngineError } from './errors.ts';
import type { RemoteReader, RemoteRequest, RemoteResponse } from './remote-read.ts';

/** Requests of one question that are under way at once. */
const UNDER_WAY_MAX = 16;

/** A run may want to know more, as `info` does; deeper than this nobody nests it. */
const ROUNDS_MAX = 32;

/** A question in the core. */
export interface NativeRemoteReads<Cancel> {
  /** What is to be posted now; each request once. */
  requests(): RemoteRequest[];
  answer(id: number, response: RemoteResponse): void;
  /** `null` where there are more requests. */
  json(cancel?: Cancel): Promise<Body | null>;
  values(cancel?: Cancel): Promise<ColumnsResult | null>;
  /** JavaScript's collector does not see how much memory this holds. */
  close(): void;
}

/** Posts what `reads` asks for and runs it, until it has its answer. */
export async function askRemotes<Cancel, T>(
  reads: NativeRemoteReads<Cancel>,
  remote: RemoteReader,
  signal: AbortSignal | undefined,
  run: () => Promise<T | null>,
): Promise<T> {
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const requests = reads.requests();
      await Promise.all(Array.from({ length: UNDER_WAY_MAX }, () => post(requests, reads, remote, signal)));
      const answer = await run();
      if (answer !== null) return answer;
    }
  } catch (thrown) {
    throw EngineError.from(thrown);
  } finally {
    reads.close();
  }
  throw new EngineError('QUERY_EXECUTION', 'the query asks other servers again and again');
}

/** Takes requests off the list as long as there are any. */
async function post<Cancel>(
  requests: RemoteRequest[],
  reads: NativeRemoteReads<Cancel>,
  remote: RemoteReader,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let request = requests.pop(); request; request = requests.pop()) {
    reads.answer(request.id, await fetched(remote, request, signal));
  }
}

async function fetched(
  remote: RemoteReader,
  request: RemoteRequest,
  signal: AbortSignal | undefined,
): Promise<RemoteResponse> {
  try {
    return await remote.fetch(request, signal);
  } catch (cause) {
    if (!signal?.aborted) throw EngineError.from(cause);
    throw new EngineError('QUERY_CANCELED', 'query was canceled in query execution', { cause });
  }
}
