/** The client of the query benches, `load query`: one request at a time, over connections that stay open. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { buildLoad } from './load.mjs';
import { sleep } from './process.mjs';

/** A server rests as long as a request took, within these bounds, so that what it puts off does not fall on the next. */
const REST_MIN_MS = 5;
const REST_MAX_MS = 250;

export class QueryClient {
  constructor() {
    this.child = spawn(buildLoad(), ['query'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /**
   * Sends a request to `site` and reads the whole answer; returns milliseconds, bytes of the body and, where asked to
   * `watch`, the peak of the server's anonymous memory meanwhile.
   */
  async ask(site, path, { watch = false } = {}) {
    this.child.stdin.write(`127.0.0.1:${site.port} ${path}${watch ? ` ${site.program.pid}` : ''}\n`);
    const { value: line } = await this.lines.next();
    if (line === undefined || !line.startsWith('{')) throw new Error(`${site.name}, ${path}: ${line}`);
    const { status, bytes, ns, peakBytes } = JSON.parse(line);
    if (status !== 200) throw new Error(`${site.name} answers ${status} to ${decodeURIComponent(path)}`);
    const ms = ns / 1e6;
    await sleep(Math.min(Math.max(ms, REST_MIN_MS), REST_MAX_MS));
    return { ms, bytes, peakBytes };
  }

  async close() {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin.end();
    await ended;
  }
}
