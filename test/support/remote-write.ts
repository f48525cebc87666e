/** Requests of remote write 2.0, written out byte by byte, so that two servers can be sent the same. */

/** Runs of buckets: the gap before each, and its length. */
export type Spans = [offset: number, length: number][];

export interface SentHistogram {
  t: number;
  /** Start timestamp, 0 for none. */
  st?: number;
  /** Whether counts are floats. */
  isFloat?: boolean;
  count: number;
  sum: number | 'NaN';
  /** -53 for custom buckets. */
  schema: number;
  zeroThreshold?: number;
  zeroCount?: number;
  negativeSpans?: Spans;
  /** Counts per bucket, absolute. */
  negative?: number[];
  positiveSpans?: Spans;
  positive?: number[];
  isGauge?: boolean;
  /** Upper bounds of custom buckets. */
  bounds?: number[];
}

/** The types of metadata, by number. */
const TYPES = ['unknown', 'counter', 'gauge', 'histogram', 'gaugehistogram', 'summary', 'info', 'stateset'] as const;

export interface SentSeries {
  labels: Record<string, string>;
  metadata?: { type: (typeof TYPES)[number]; help: string; unit: string };
  /** `NaN` is a stale marker, `'NaN'` the ordinary one. */
  samples?: { t: number; st?: number; v: number | 'NaN' }[];
  histograms?: SentHistogram[];
  exemplars?: { labels: Record<string, string>; t: number; v: number }[];
}

export const REMOTE_WRITE_2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

/** Sends series to a server; throws where it does not take all of them. */
export async function remoteWrite(url: string, series: SentSeries[]): Promise<void> {
  const headers = { 'content-type': REMOTE_WRITE_2, 'content-encoding': 'snappy' };
  const response = await fetch(`${url}/api/v1/write`, { method: 'POST', headers, body: encodeRequest(series) });
  if (response.status !== 204) throw new Error(`${response.status}: ${await response.text()}`);
}

/** A request as one block of snappy. */
export function encodeRequest(series: SentSeries[]): Uint8Array<ArrayBuffer> {
  const symbols = new Map([['', 0]]);
  const refs = (labels: Record<string, string>): number[] =>
    Object.entries(labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flat()
      .map((text) => symbols.get(text) ?? symbols.set(text, symbols.size).size - 1);
  const symbol = (text: string): number => symbols.get(text) ?? symbols.set(text, symbols.size).size - 1;
  const encoded = series.map((each) => field(5, encodeSeries(each, refs, symbol)));
  const table = [...symbols.keys()].map((text) => field(4, Buffer.from(text)));
  return literal(Buffer.concat([...table, ...encoded]));
}

function encodeSeries(
  { labels, metadata, samples = [], histograms = [], exemplars = [] }: SentSeries,
  refs: (labels: Record<string, string>) => number[],
  symbol: (text: string) => number,
): Buffer {
  return Buffer.concat([
    packed(1, refs(labels)),
    ...samples.map(({ t, st = 0, v }) => field(2, Buffer.concat([double(1, v), int(2, t), int(3, st)]))),
    ...histograms.map((histogram) => field(3, encodeHistogram(histogram))),
    ...exemplars.map(({ labels, t, v }) => field(4, Buffer.concat([packed(1, refs(labels)), double(2, v), int(3, t)]))),
    ...(metadata ? [field(5, encodeMetadata(metadata, symbol))] : []),
  ]);
}

function encodeMetadata(
  { type, help, unit }: NonNullable<SentSeries['metadata']>,
  symbol: (text: string) => number,
): Buffer {
  return Buffer.concat([int(1, TYPES.indexOf(type)), int(3, symbol(help)), int(4, symbol(unit))]);
}

function encodeHistogram(h: SentHistogram): Buffer {
  const { isFloat = false, zeroCount = 0, positive = [], negative = [] } = h;
  const number = isFloat ? double : int;
  const spans = (at: number, list: Spans = []) =>
    list.map(([offset, length]) => field(at, Buffer.concat([int(1, zigzag(offset)), int(2, length)])));
  const counts = (at: number, list: number[]) =>
    isFloat
      ? doubles(at + 1, list)
      : packed(
          at,
          list.map((n, i) => zigzag(n - (list[i - 1] ?? 0))),
        );
  return Buffer.concat([
    number(isFloat ? 2 : 1, h.count),
    double(3, h.sum),
    int(4, zigzag(h.schema)),
    double(5, h.zeroThreshold ?? 0),
    number(isFloat ? 7 : 6, zeroCount),
    ...spans(8, h.negativeSpans),
    counts(9, negative),
    ...spans(11, h.positiveSpans),
    counts(12, positive),
    int(14, h.isGauge === true ? 3 : 0),
    int(15, h.t),
    doubles(16, h.bounds ?? []),
    int(17, h.st ?? 0),
  ]);
}

function zigzag(n: number): number {
  return n < 0 ? -2 * n - 1 : 2 * n;
}

function varint(n: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(n));
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

function int(at: number, n: number): Buffer {
  return Buffer.concat([varint(at << 3), varint(n)]);
}

function double(at: number, n: number | 'NaN'): Buffer {
  return Buffer.concat([varint((at << 3) | 1), doubleBytes(n)]);
}

/** A stale marker is what NaN stands for here. */
const STALE = Buffer.from('020000000000f07f', 'hex');
const ORDINARY_NAN = Buffer.from('010000000000f87f', 'hex');

function doubleBytes(n: number | 'NaN'): Buffer {
  if (n === 'NaN') return ORDINARY_NAN;
  if (Number.isNaN(n)) return STALE;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(n);
  return bytes;
}

function field(at: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((at << 3) | 2), varint(bytes.length), bytes]);
}

function packed(at: number, list: number[]): Buffer {
  return list.length === 0 ? Buffer.alloc(0) : field(at, Buffer.concat(list.map(varint)));
}

function doubles(at: number, list: number[]): Buffer {
  return list.length === 0 ? Buffer.alloc(0) : field(at, Buffer.concat(list.map(doubleBytes)));
}

/** A block of snappy that holds the bytes as one literal. */
function literal(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const head = Buffer.alloc(5);
  head.writeUInt8(63 << 2);
  head.writeUInt32LE(bytes.length - 1, 1);
  return Uint8Array.from(Buffer.concat([varint(bytes.length), head, bytes]));
}
