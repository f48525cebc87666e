/** Compares answers of the HTTP API: stored numbers exactly, computed ones within 1e-12, vectors in any order. */

/** One recorded request and its answer. */
export interface Recorded {
  path: string;
  params: Record<string, string | string[]>;
  status: number;
  response: unknown;
}

/** The path and query of a recorded GET request. */
export function requestOf({ path, params }: Recorded): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const each of Array.isArray(value) ? value : [value]) query.append(name, each);
  }
  return `${path}?${query}`;
}

/** Asks a server and says how its answer differs; `undefined` where it does not. */
export async function differenceOf(url: string, recorded: Recorded): Promise<string | undefined> {
  const request = requestOf(recorded);
  const answer = await fetch(url + request);
  const found: unknown = await answer.json();
  if (answer.status !== recorded.status) {
    return `${request}: status ${answer.status}, not ${recorded.status}: ${JSON.stringify(found).slice(0, 300)}`;
  }
  const isComputed = String(recorded.params.query ?? '').includes('(');
  const place = differ(inOrder(found), inOrder(recorded.response), isComputed ? 1e-12 : 0, '');
  return place === undefined ? undefined : `${request}: ${place}`;
}

/** Neither vectors nor lists of series promise an order: sorts them by their labels. */
function inOrder(response: unknown): unknown {
  const { data } = response as { data?: unknown };
  if (Array.isArray(data) && isObject(data[0]) && '__name__' in data[0]) {
    return { ...(response as object), data: sorted(data, (labels) => labels) };
  }
  if (!isObject(data) || data.resultType !== 'vector' || !Array.isArray(data.result)) return response;
  const result = sorted(data.result as { metric: object }[], ({ metric }) => metric);
  return { ...(response as object), data: { ...data, result } };
}

function sorted<T>(list: T[], labelsOf: (each: T) => object): T[] {
  const key = (each: T) => JSON.stringify(Object.entries(labelsOf(each)).sort());
  return list.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** The first place where two JSON values differ. */
function differ(found: unknown, expected: unknown, tolerance: number, path: string): string | undefined {
  if (found === expected) return undefined;
  if (isObject(found) && isObject(expected)) {
    for (const key of new Set([...Object.keys(found), ...Object.keys(expected)])) {
      const place = differ(found[key], expected[key], tolerance, `${path}.${key}`);
      if (place !== undefined) return place;
    }
    return undefined;
  }
  // Only the second member of [time, "value"] is a number in a string that may be computed.
  if (/\.values?(\.\d+)?\.1$/.test(path) && isNear(Number(found), Number(expected), tolerance)) return undefined;
  return `${path} is ${JSON.stringify(found)?.slice(0, 200)}, not ${JSON.stringify(expected)?.slice(0, 200)}`;
}

function isNear(found: number, expected: number, tolerance: number): boolean {
  if (Object.is(found, expected)) return true;
  return Math.abs(found - expected) <= tolerance * Math.max(Math.abs(found), Math.abs(expected));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
