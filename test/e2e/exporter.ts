/** A target with known values: each scrape gets the next number, and what was served is kept. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

export interface Exporter {
  /** `host:port`. */
  address: string;
  /** The number served last; every number from 1 on was served once. */
  served(): number;
  close(): Promise<void>;
}

/** Starts an exporter with `series` series, all of the value of the scrape's number. */
export async function startExporter(series = 1): Promise<Exporter> {
  let number = 0;
  const server: Server = createServer((_request, response) => {
    number++;
    const lines = Array.from({ length: series }, (_, i) => `sequence{series="${i}"} ${number}\n`);
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    response.end(`# TYPE sequence gauge\n${lines.join('')}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    address: `127.0.0.1:${address.port}`,
    served: () => number,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
