#!/usr/bin/env node
/**
 * A process that plays many targets at once: every address of 127.0.0.0/8 is one. It answers each request on a kept
 * connection with the same small body and remembers when each target was asked. Usage: target-server.mjs SERIES. It
 * prints its port; a line on standard input makes it print what it saw as JSON and begin anew; the end of it ends it.
 */
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const series = Number(process.argv[2] ?? 5);
const lines = Array.from({ length: series }, (_, i) => `bench_value{series="${i}"} ${i}\n`).join('');
const body = `# TYPE bench_value gauge\n${lines}`;
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
);

let connections = 0;
/** When each address was asked, in milliseconds. */
let asked = new Map();

const server = createServer({ noDelay: true }, (socket) => {
  connections++;
  const target = socket.localAddress;
  let rest = '';
  socket.on('error', () => {});
  socket.on('data', (data) => {
    rest += data.toString('latin1');
    for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
      rest = rest.slice(end + 4);
      const times = asked.get(target) ?? [];
      times.push(Date.now());
      asked.set(target, times);
      socket.write(answer);
    }
  });
});
server.listen(0, '0.0.0.0', 4096, () => console.log(JSON.stringify({ port: server.address().port })));

createInterface({ input: process.stdin })
  .on('line', () => {
    console.log(JSON.stringify({ connections, asked: [...asked.values()] }));
    asked = new Map();
    connections = 0;
  })
  .on('close', () => process.exit());
