/** Stands between a target and its scraper and keeps what was sent. Each body gets a number, as one sample more. */
import { once } from 'node:events';
import { createServer } from 'node:http';

/** The name of the sample that carries a body's number. */
export const SEQUENCE = 'proxy_body_sequence';

/** The samples of a body: series in canonical form → value. */
export type Sent = Map<string, number>;

/** A proxy in front of one target. */
export interface RecordingProxy {
  /** `host:port` to scrape at /metrics. */
  address: string;
  /** Bodies that were sent to their end, by number. */
  sent: Map<number, Sent>;
  /** Settles when the next body has been sent. */
  nextSent(): Promise<unknown>;
  close(): void;
}

/** Starts a proxy for the target's URL. */
export async function startProxy(targetUrl: string): Promise<RecordingProxy> {
  const sent = new Map<number, Sent>();
  let count = 0;
  const server = createServer(async (_request, response) => {
    try {
      const answer = await fetch(targetUrl);
      const number = ++count;
      const body = `${await answer.text()}# TYPE ${SEQUENCE} gauge\n${SEQUENCE} ${number}\n`;
      response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
      response.end(body, () => {
        sent.set(number, parse(body));
        server.emit('sent');
      });
    } catch (error) {
      response.statusCode = 502;
      response.end(String(error));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    address: `127.0.0.1:${address.port}`,
    sent,
    nextSent: () => once(server, 'sent'),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A series in one form for both sides: JSON of its sorted labels. */
export function canonical(labels: Record<string, string>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Reads the text format as node exporter writes it: no timestamps. Deliberately not our own parser. */
function parse(body: string): Sent {
  const samples: Sent = new Map();
  for (const line of body.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [, name = '', inner = '', value = ''] = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === '') throw new Error(`the proxy does not understand: ${line}`);
    const labels: Record<string, string> = { __name__: name };
    for (const [, label = '', text = ''] of inner.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
      const unescaped = text.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
      // Prometheus stores these two labels in OpenMetrics' form of a float.
      const isFloat = (label === 'le' || label === 'quantile') && /^\d+$/.test(unescaped);
      if (unescaped !== '') labels[label] = isFloat ? `${unescaped}.0` : unescaped;
    }
    samples.set(canonical(labels), toNumber(value));
  }
  return samples;
}

/** A number as Prometheus prints it. */
export function toNumber(text: string): number {
  return Number(text.replace('Inf', 'Infinity'));
}
