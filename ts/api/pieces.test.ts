import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { Body } from '../core/engine.ts';
import { writePieces } from './pieces.ts';

/** Bytes of which each tells its place and its body. */
class Counting implements Body {
  readonly contentEncoding = '';
  readonly byteLength: number;
  readonly #seed: number;
  #at = 0;
  isFreed = false;

  constructor(byteLength: number, seed: number) {
    this.byteLength = byteLength;
    this.#seed = seed;
  }

  static at(place: number, seed: number): number {
    return (place * 31 + (place >>> 8) + seed) & 0xff;
  }

  get given(): number {
    return this.#at;
  }

  read(into: Uint8Array): number {
    const length = Math.min(into.length, this.byteLength - this.#at);
    for (let i = 0; i < length; i++) into[i] = Counting.at(this.#at + i, this.#seed);
    this.#at += length;
    return length;
  }

  next(): Uint8Array | null {
    throw new TypeError('not asked for');
  }

  free(): void {
    this.isFreed = true;
  }
}

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(bodyOf: (url: string) => Body): Promise<(path: string) => Promise<IncomingMessage>> {
  server = createServer((request, response) => writePieces(response, bodyOf(request.url ?? '')));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return (path) => new Promise((resolve, reject) => get({ port, path, agent: false }, resolve).on('error', reject));
}

it('sends every byte in its place, to several clients that read slowly', async () => {
  const length = 5_000_003;
  const bodies = [1, 2, 3].map((seed) => new Counting(length, seed));
  const ask = await serve((url) => bodies[Number(url.slice(1))] as Body);
  const answers = bodies.map(async (_, i) => {
    const response = await ask(`/${i}`);
    let place = 0;
    let wrong = 0;
    for await (const piece of response) {
      for (const byte of piece as Buffer) wrong += Number(byte !== Counting.at(place++, i + 1));
      if (place % 7 === 0) await sleep(2);
    }
    return { place, wrong };
  });
  expect(await Promise.all(answers)).toEqual(bodies.map(() => ({ place: length, wrong: 0 })));
  expect(bodies.every((body) => body.isFreed)).toBe(true);
});

it('stops ahead of a client that does not read, and frees what one leaves behind', async () => {
  const body = new Counting(1_000_000_000, 1);
  const ask = await serve(() => body);
  const response = await ask('/');
  response.pause();
  await sleep(300);
  // What fits into the sockets' buffers, and two pieces.
  expect(body.given).toBeLessThan(50_000_000);
  expect(body.isFreed).toBe(false);
  response.destroy();
  await expect.poll(() => body.isFreed).toBe(true);
});
