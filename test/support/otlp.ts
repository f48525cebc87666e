/** Requests of OTLP in JSON, for servers that are sent the same. */

export type Attributes = Record<string, unknown>;

/** A resource with one scope. */
export interface SentResource {
  attributes?: Attributes;
  scope?: { name?: string; version?: string; attributes?: Attributes };
  metrics: object[];
}

/** Attributes as `KeyValue`s. Numbers are integers where they are whole. */
export function attributes(of: Attributes): object[] {
  return Object.entries(of).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: unknown): object {
  if (value === null) return {};
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: `${value}` } : { doubleValue: value };
  if (Buffer.isBuffer(value)) return { bytesValue: value.toString('base64') };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  return { kvlistValue: { values: attributes(value as Attributes) } };
}

/** Nanoseconds of a time in milliseconds, as text. */
export function ns(ms: number): string {
  return `${BigInt(Math.round(ms)) * 1_000_000n}`;
}

export function otlpBody(resources: SentResource[]): string {
  const resourceMetrics = resources.map(({ attributes: own = {}, scope = {}, metrics }) => ({
    resource: { attributes: attributes(own) },
    scopeMetrics: [{ scope: { ...scope, attributes: attributes(scope.attributes ?? {}) }, metrics }],
  }));
  return JSON.stringify({ resourceMetrics });
}

/** Sends a body; the answer's status and text. */
export async function sendOtlp(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}/api/v1/otlp/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, text: await response.text() };
}
