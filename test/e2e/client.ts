/** Asks a running server, and waits for what is to come. */
import { setTimeout as sleep } from 'node:timers/promises';

/** An answer of the API. */
export interface Answer<Data = unknown> {
  status: 'success' | 'error';
  data: Data;
  errorType?: string;
  error?: string;
  warnings?: string[];
}

/** A series of a vector or matrix. */
export interface Series {
  metric: Record<string, string>;
  value?: [number, string];
  values?: [number, string][];
}

/** `data` of a query. */
export interface QueryData {
  resultType: string;
  result: Series[];
}

export async function getJson<Data>(url: string): Promise<Answer<Data>> {
  const response = await fetch(url);
  return (await response.json()) as Answer<Data>;
}

/** An instant query; its series. */
export async function query(
  server: string,
  expression: string,
  params: Record<string, string> = {},
): Promise<Series[]> {
  const search = new URLSearchParams({ query: expression, ...params });
  const answer = await getJson<QueryData>(`${server}/api/v1/query?${search}`);
  if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`);
  return answer.data.result;
}

/** Asks until `accept` returns something; fails with `what` after `limitMs`. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  limitMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  let failure: unknown;
  for (;;) {
    try {
      const found = await ask();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`, { cause: failure });
    await sleep(50);
  }
}
