/**
 * Requests of remote read and what is in the answers, encoded and decoded here, independently of the code under test.
 * Bodies are handled as latin1 text where they are searched.
 */

export interface ReadMatcher {
  type: '=' | '!=' | '=~' | '!~';
  name: string;
  value: string;
}

export interface ReadQuery {
  startMs: number;
  endMs: number;
  matchers: ReadMatcher[];
  hints?: { startMs: number; endMs: number; func: string };
}

export const SAMPLES = 0;
export const STREAMED_XOR_CHUNKS = 1;

/** A request as one block of snappy. */
export function encodeRead(queries: ReadQuery[], acceptedTypes: number[]): Uint8Array<ArrayBuffer> {
  const encoded = queries.map(({ startMs, endMs, matchers, hints }) =>
    bytes(1, [
      int(1, startMs),
      int(2, endMs),
      ...matchers.map(({ type, name, value }) =>
        bytes(3, [int(1, ['=', '!=', '=~', '!~'].indexOf(type)), text(2, name), text(3, value)]),
      ),
      ...(hints ? [bytes(4, [text(2, hints.func), int(3, hints.startMs), int(4, hints.endMs)])] : []),
    ]),
  );
  const body = Buffer.concat([...encoded, bytes(2, acceptedTypes.map(varint))]);
  return literal(body);
}

/** Bytes as a block of snappy that is not compressed. */
export function literal(body: Buffer): Uint8Array<ArrayBuffer> {
  const tag = Buffer.from([62 << 2, 0, 0, 0]);
  tag.writeUIntLE(Math.max(body.length - 1, 0), 1, 3);
  return Uint8Array.from(Buffer.concat([varint(body.length), ...(body.length > 0 ? [tag, body] : [])]));
}

function varint(n: number): Buffer {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(n));
  for (; rest >= 128n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  return Buffer.from([...out, Number(rest)]);
}

const int = (field: number, n: number) => Buffer.concat([varint(field << 3), varint(n)]);
const bytes = (field: number, parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
};
const text = (field: number, value: string) => bytes(field, [Buffer.from(value)]);

/** What a block of snappy holds. */
export function unsnappy(block: Buffer): Buffer {
  const reader = new Reader(block);
  const out = Buffer.alloc(Number(reader.varint()));
  let at = 0;
  while (!reader.isAtEnd()) {
    const tag = reader.byte();
    if ((tag & 3) === 0) {
      const short = tag >> 2;
      const length = (short < 60 ? short : reader.little(short - 59)) + 1;
      at += reader.take(length).copy(out, at);
      continue;
    }
    const length = (tag & 3) === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const offset = (tag & 3) === 1 ? ((tag >> 5) << 8) | reader.byte() : reader.little((tag & 3) === 2 ? 2 : 4);
    for (let i = 0; i < length; i++, at++) out[at] = out[at - offset] ?? 0;
  }
  if (at !== out.length) throw new Error(`a block of ${out.length} bytes has ${at}`);
  return out;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(from: Buffer) {
    this.#bytes = from;
  }

  isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.take(1)[0] ?? 0;
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Error('bytes are missing');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  little(length: number): number {
    return this.take(length).readUIntLE(0, length);
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
  }

  /** The next field: its number, and its number or bytes. */
  field(): { number: number; value: bigint | Buffer } {
    const tag = Number(this.varint());
    const number = tag >> 3;
    if ((tag & 7) === 0) return { number, value: this.varint() };
    if ((tag & 7) === 1) return { number, value: this.take(8) };
    return { number, value: this.take(Number(this.varint())) };
  }
}

function fields(message: Buffer): { number: number; value: bigint | Buffer }[] {
  const reader = new Reader(message);
  const all = [];
  while (!reader.isAtEnd()) all.push(reader.field());
  return all;
}

const buffers = (message: Buffer, number: number): Buffer[] =>
  fields(message)
    .filter((field) => field.number === number)
    .map(({ value }) => value as Buffer);

function labelsOf(series: Buffer): string {
  return buffers(series, 1)
    .map((label) => `${buffers(label, 1).join()}=${buffers(label, 2).join()}`)
    .join(',');
}

/** The series of each query of an answer of samples: labels, and all other fields as they came, by labels. */
export function decodeSamples(body: Buffer): { labels: string; rest: string[] }[][] {
  return buffers(unsnappy(body), 1).map((result) =>
    buffers(result, 1)
      .map((series) => ({
        labels: labelsOf(series),
        rest: fields(series)
          .filter(({ number }) => number !== 1)
          .map(({ number, value }) => `${number} ${(value as Buffer).toString('hex')}`),
      }))
      .sort((a, b) => (a.labels < b.labels ? -1 : 1)),
  );
}

export interface ReadFrame {
  query: string;
  labels: string;
  chunks: { minMs: bigint; maxMs: bigint; encoding: number; data: string }[];
}

/** The frames of a streamed answer, their checksums aside. */
export function decodeFrames(body: Buffer): ReadFrame[] {
  const reader = new Reader(body);
  const out = [];
  while (!reader.isAtEnd()) {
    const length = Number(reader.varint());
    reader.take(4);
    const message = reader.take(length);
    const index = fields(message).find(({ number }) => number === 2)?.value ?? 0n;
    for (const series of buffers(message, 1)) {
      out.push({ query: String(index), labels: labelsOf(series), chunks: buffers(series, 2).map(chunkOf) });
    }
  }
  return out;
}

function chunkOf(message: Buffer): ReadFrame['chunks'][number] {
  const all = new Map(fields(message).map(({ number, value }) => [number, value]));
  const integer = (number: number) => (all.get(number) as bigint | undefined) ?? 0n;
  const data = (all.get(4) as Buffer | undefined)?.toString('hex') ?? '';
  return { minMs: integer(1), maxMs: integer(2), encoding: Number(integer(3)), data };
}
