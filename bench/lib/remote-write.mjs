/** Requests of remote write 2.0 with native histograms, as one block of snappy that holds them as they are. */

export const CONTENT_TYPE = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

/**
 * Encodes series of integer histograms with one run of buckets.
 *
 * @param series `{ labels, histograms: { t, schema, sum, buckets }[] }`, the counts of buckets from index 1 on
 */
export function encodeHistograms(series) {
  const symbols = new Map([['', 0]]);
  const symbol = (text) => symbols.get(text) ?? symbols.set(text, symbols.size).size - 1;
  const encoded = series.map(({ labels, histograms }) => {
    const refs = Object.entries(labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap((pair) => pair.map((text) => varint(symbol(text))));
    return field(5, [field(1, refs), ...histograms.map((h) => field(3, histogram(h)))]);
  });
  const table = [...symbols.keys()].map((text) => field(4, [Buffer.from(text)]));
  return literal(Buffer.concat([...table, ...encoded]));
}

function histogram({ t, schema, sum, buckets }) {
  const zigzag = (n) => (n < 0 ? -2 * n - 1 : 2 * n);
  const span = [int(1, zigzag(1)), int(2, buckets.length)];
  const differences = buckets.map((n, i) => varint(zigzag(n - (buckets[i - 1] ?? 0))));
  const total = buckets.reduce((a, b) => a + b, 0);
  const bytes = Buffer.alloc(9);
  bytes[0] = (3 << 3) | 1;
  bytes.writeDoubleLE(sum, 1);
  return [int(1, total), bytes, int(4, zigzag(schema)), field(11, span), field(12, differences), int(15, t)];
}

function varint(n) {
  const bytes = [];
  let rest = n;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

function int(at, n) {
  return Buffer.concat([varint(at << 3), varint(n)]);
}

function field(at, parts) {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([varint((at << 3) | 2), varint(bytes.length), bytes]);
}

/** Snappy's block format: the length, then literals of up to 65,536 bytes. */
function literal(bytes) {
  const parts = [varint(bytes.length)];
  for (let at = 0; at < bytes.length; at += 65_536) {
    const piece = bytes.subarray(at, at + 65_536);
    parts.push(Buffer.from([61 << 2, (piece.length - 1) & 255, (piece.length - 1) >> 8]), piece);
  }
  return Buffer.concat(parts);
}
