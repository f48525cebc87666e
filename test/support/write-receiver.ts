/** The other side of remote write: a real HTTP server that may be ill, with an engine that takes in what it hears. */

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Engine, open } from '../../ts/core/index.ts';

/** What is answered to the nth request, from 0; `undefined` to take it in. */
export type Mood = (n: number) => ((response: ServerResponse) => void) | undefined;

export interface WriteReceiver {
  /** Where to write to. */
  url: string;
  engine: Engine;
  /** Requests so far. */
  requests: number;
  /** Bodies of those that were taken in, compressed. */
  bodies: Buffer[];
  /** Why requests were refused. */
  refusals: string[];
  mood: Mood;
  close(): Promise<void>;
}

/** Starts one; late samples are taken in, unless it has no window for them. */
export async function startReceiver(
  mood: Mood = () => undefined,
  outOfOrderTimeWindowMs = 24 * 3_600_000,
): Promise<WriteReceiver> {
  const engine = await open({ dir: ':memory:', outOfOrderTimeWindowMs });
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    try {
      for await (const piece of request) pieces.push(piece as Buffer);
    } catch {
      // The sender was killed.
      return;
    }
    const ill = self.mood(self.requests++);
    if (ill) return ill(response);
    self.bodies.push(Buffer.concat(pieces));
    const { 'content-type': contentType = '', 'content-encoding': contentEncoding = '' } = request.headers;
    const report = await engine.ingestRemoteWrite({ pieces, contentType, contentEncoding: String(contentEncoding) });
    for (const kind of report.hasCounts ? (['samples', 'histograms', 'exemplars'] as const) : []) {
      response.setHeader(`x-prometheus-remote-write-${kind}-written`, String(report[kind]));
    }
    if (report.refusal) self.refusals.push(report.refusal.text);
    response.writeHead(report.refusal ? 400 : 204).end(report.refusal?.text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const self: WriteReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/write`,
    engine,
    requests: 0,
    bodies: [],
    refusals: [],
    mood,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await engine.close();
    },
  };
  return self;
}
