/** The gate of remote reads, before real responses. */

import { once } from 'node:events';
import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../util/index.ts';
import { ReadGate } from './read-gate.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function gated(limit: number) {
  const gate = new ReadGate(limit, systemClock);
  /** Those inside, by path. */
  const inside = new Map<string, ServerResponse>();
  const turnedAway: string[] = [];
  const server = createServer(async ({ url = '' }, response) => {
    await gate.enter(response).then(
      () => inside.set(url, response),
      () => turnedAway.push(url),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const ask = (path: string) => {
    const request = get({ port, path, agent: false });
    request.on('error', () => undefined).on('response', (response) => response.resume());
    return request;
  };
  return { gate, inside, turnedAway, ask };
}

async function until(what: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !what(); ) {
    if (Date.now() > end) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const value = (gate: ReadGate, at: 0 | 1) => gate.families()[at]?.samples.at(-1)?.value;

it('lets so many in, and the others in their order', async () => {
  const { gate, inside, turnedAway, ask } = await gated(2);
  ask('/1');
  ask('/2');
  await until(() => inside.size === 2);
  const third = ask('/3');
  await once(third, 'socket').then(([socket]) => (socket.connecting ? once(socket, 'connect') : undefined));
  ask('/4');
  expect(value(gate, 0)).toBe(2);
  third.destroy();
  await until(() => turnedAway.length === 1);
  expect(turnedAway).toEqual(['/3']);
  inside.get('/1')?.end();
  await until(() => inside.has('/4'));
  expect(value(gate, 0)).toBe(2);
  expect(value(gate, 1)).toBe(4);
  for (const response of inside.values()) response.end();
  await until(() => value(gate, 0) === 0);
});

it('without a limit lets all in', async () => {
  const { inside, ask } = await gated(0);
  for (let i = 0; i < 20; i++) ask(`/${i}`);
  await until(() => inside.size === 20);
});
