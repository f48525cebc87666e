/** Bodies of remote write 1.0, written here so that sender and receiver share no code. */

export interface Sent {
  labels: Record<string, string>;
  samples?: { timeMs: number; value: number }[];
  exemplars?: { timeMs: number; value: number; labels: Record<string, string> }[];
  /** Native histograms of one bucket, whose sum and count are the value. */
  histograms?: { timeMs: number; value: number; isFloat: boolean }[];
}

/** A compressed `prometheus.WriteRequest`. */
export function writeRequest(series: Sent[]): Uint8Array<ArrayBuffer> {
  return snappy(Buffer.concat(series.map((each) => message(1, timeSeries(each)))));
}

function timeSeries({ labels, samples = [], exemplars = [], histograms = [] }: Sent): Buffer {
  return Buffer.concat([
    ...labelPairs(labels),
    ...samples.map((s) => message(2, Buffer.concat([double(1, s.value), integer(2, s.timeMs)]))),
    ...exemplars.map((e) =>
      message(3, Buffer.concat([...labelPairs(e.labels), double(2, e.value), integer(3, e.timeMs)])),
    ),
    ...histograms.map((h) => message(4, histogram(h.timeMs, h.value, h.isFloat))),
  ]);
}

function histogram(timeMs: number, value: number, isFloat: boolean): Buffer {
  const span = message(11, integer(2, 1));
  return Buffer.concat([
    isFloat ? double(2, value) : integer(1, value),
    double(3, value),
    isFloat ? Buffer.concat([double(7, 0)]) : integer(6, 0),
    span,
    // One delta as a zigzag number, or one count.
    isFloat ? message(13, doubleBytes(value)) : message(12, varint(value * 2)),
    integer(15, timeMs),
  ]);
}

function labelPairs(labels: Record<string, string>): Buffer[] {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([name, value]) =>
    message(1, Buffer.concat([message(1, Buffer.from(name)), message(2, Buffer.from(value))])),
  );
}

function message(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

function double(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8 + 1), doubleBytes(value)]);
}

function doubleBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** Snappy's block format with one literal: valid, and not compressed. */
function snappy(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const head = Buffer.alloc(5);
  head.writeUInt8(63 << 2, 0);
  head.writeUInt32LE(bytes.length - 1, 1);
  return Uint8Array.from(Buffer.concat([varint(bytes.length), head, bytes]));
}
