import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { roundRobinLookup } from './round-robin-dns.ts';

it('goes to each address of a name now and then', async () => {
  const all = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address): LookupAddress => ({ address, family: 4 }));
  const lookup = roundRobinLookup((_, __, done) => done(null, all));
  const found = new Set<string>();
  for (let i = 0; i < 200; i++) {
    lookup('a.test', { all: i % 2 === 0 }, (error, address) => {
      expect(error).toBeNull();
      found.add(typeof address === 'string' ? address : (address[0]?.address ?? ''));
    });
  }
  expect([...found].sort()).toEqual(all.map(({ address }) => address));
});

it('passes on that there is none', () => {
  const lookup = roundRobinLookup((_, __, done) => done(null, []));
  lookup('a.test', {}, (error) => expect(error?.code).toBe('ENOTFOUND'));
});

it('looks names up as the system does', async () => {
  const server = createServer((socket) => socket.end('hello')).listen(0, 'localhost');
  await once(server, 'listening');
  const { port, family } = server.address() as AddressInfo;
  const lookup = roundRobinLookup();
  const socket = connect({ host: 'localhost', port, family: family === 'IPv6' ? 6 : 4, lookup });
  const [data] = await once(socket, 'data');
  expect(String(data)).toBe('hello');
  server.close();
});
