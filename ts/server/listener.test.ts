import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { systemClock } from '../util/index.ts';
import { Listener, type ListenerOptions, splitAddress } from './listener.ts';

const options = (...addresses: string[]): ListenerOptions => ({
  addresses,
  readTimeoutMs: 60_000,
  maxConnections: 10,
  clock: systemClock,
});

const addresses: [string, { host: string; port: number }][] = [
  ['127.0.0.1:9090', { host: '127.0.0.1', port: 9090 }],
  [':9090', { host: '', port: 9090 }],
  ['[::1]:80', { host: '::1', port: 80 }],
];
it.each(addresses)('reads %s', (text, address) => {
  expect(splitAddress(text)).toEqual(address);
});

it.each(['9090', 'localhost', '::1:80', 'localhost:99999', 'localhost:'])('refuses %s', (text) => {
  expect(() => splitAddress(text)).toThrow('expected host:port');
});

it('listens on several addresses', async () => {
  const listener = await Listener.open(options('127.0.0.1:0', '127.0.0.1:0'), (_, response) => response.end('yes'));
  for (const address of listener.addresses()) {
    expect(await (await fetch(`http://${address}`)).text()).toBe('yes');
  }
  await listener.close(0);
});

it('names the address and the flag where the port is taken', async () => {
  const first = await Listener.open(options('127.0.0.1:0'), () => undefined);
  const address = first.addresses()[0] ?? '';
  const second = Listener.open(options('127.0.0.1:0', address), () => undefined);
  await expect(second).rejects.toMatchObject({ code: 'LISTEN', message: expect.stringContaining(address) });
  await expect(second).rejects.toThrow('--web.listen-address');
  await first.close(0);
});

it('cuts off a client that holds a half-sent body', async () => {
  const listener = await Listener.open(options('127.0.0.1:0'), (request, response) => {
    request.resume().on('end', () => response.end());
  });
  const [host = '', port] = (listener.addresses()[0] ?? '').split(':');
  const stuck = connect(Number(port), host).on('error', () => undefined);
  await once(stuck, 'connect');
  stuck.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
  const cut = once(stuck, 'close');
  await listener.close(100);
  await cut;
  await expect(fetch(`http://${host}:${port}`)).rejects.toThrow();
});
