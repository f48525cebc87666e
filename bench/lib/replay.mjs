/** The sender of the ingest benches, `load replay`: all requests are encoded first, and then sent to whom it is told. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { buildLoad } from './load.mjs';

/** Series of a request, one sample each. */
const REQUEST_SERIES = 2000;
/** Each sends its share of the series, one request at a time. */
const CONNECTIONS = 5;
const SECONDS_MAX = 900;

/** The words of `load` for samples in requests. */
export function planOf({ format, names = 'storage', series, samples, startMs, intervalMs }) {
  return [format, names, series, samples, REQUEST_SERIES, CONNECTIONS, startMs, intervalMs].map(String);
}

export class Replay {
  constructor(plan) {
    this.plan = plan;
    this.child = spawn(buildLoad(), ['replay', ...planOf(plan)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Waits until all is encoded; what there is of it. */
  async ready() {
    this.content ??= await this.answer('encoding');
    return this.content;
  }

  /** Sends everything to `site` as fast as it is taken. */
  send(site, path) {
    return this.command(site, `send 127.0.0.1:${site.port} ${path} ${SECONDS_MAX}`);
  }

  /** Finds how much `site` takes, then asks `query` every `everyMs` while it gets half of that. */
  under(site, path, { calibrateSeconds, seconds, everyMs, query }) {
    return this.command(
      site,
      `under 127.0.0.1:${site.port} ${path} ${calibrateSeconds} ${seconds} ${everyMs} ${query}`,
    );
  }

  async command(site, line) {
    await this.ready();
    this.child.stdin.write(`${line}\n`);
    return this.answer(site.name);
  }

  async answer(what) {
    const { value: line } = await this.lines.next();
    if (line === undefined || !line.startsWith('{')) throw new Error(`${what}: ${line}`);
    return JSON.parse(line);
  }

  async close() {
    if (this.child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin.end();
    await ended;
  }
}
