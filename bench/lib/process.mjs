/** Starts programs, watches what they use, and stops them by their own pid. Linux only: it reads /proc. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const TICKS_PER_SECOND = 100;
const SAMPLE_INTERVAL_MS = 100;

/** A port of 127.0.0.1 that is free now. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** CPU seconds that a process has used, with its children that have ended. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS_PER_SECOND;
}

/** Anonymous memory that a process has now, bytes. */
export function anonymousBytes(pid) {
  const line = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

/** The most memory that a process ever had at once, mapped files and its own program included, bytes. */
export function peakBytes(pid) {
  const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

/**
 * A started program. `memoryBytesMax` is the peak of its anonymous memory, sampled ten times a second; `cpuSecondsEnd`
 * its CPU time when last looked at.
 */
export class Program {
  constructor(path, args, options = {}) {
    this.name = options.name ?? path;
    this.output = '';
    this.memoryBytesMax = 0;
    this.cpuSecondsEnd = 0;
    this.child = spawn(path, args, {
      stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: options.env,
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (data) => {
        this.output = (this.output + data).slice(-100_000);
      });
    }
    this.exited = new Promise((resolve) => {
      this.child.once('exit', (code) => resolve(code ?? -1));
      this.child.once('error', (error) => {
        this.output += String(error);
        resolve(-1);
      });
    });
    this.timer = setInterval(() => this.look(), SAMPLE_INTERVAL_MS);
    this.exited.then(() => clearInterval(this.timer));
  }

  get pid() {
    return this.child.pid;
  }

  look() {
    try {
      this.memoryBytesMax = Math.max(this.memoryBytesMax, anonymousBytes(this.pid));
      this.cpuSecondsEnd = cpuSeconds(this.pid);
    } catch {
      // It has ended between two looks.
    }
  }

  /** Waits until `check` holds, at most `seconds`. */
  async until(what, check, seconds = 30) {
    const deadline = Date.now() + seconds * 1000;
    while (Date.now() < deadline) {
      if (this.child.exitCode !== null) throw new Error(`${this.name} ended early:\n${this.output}`);
      if (await check().catch(() => false)) return;
      await sleep(50);
    }
    throw new Error(`${this.name}: no ${what} within ${seconds} s:\n${this.output}`);
  }

  async stop() {
    this.look();
    if (this.child.exitCode === null) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 15_000);
    await this.exited;
    clearTimeout(timer);
  }
}

/** @param {number} ms */
export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether a GET of `url` answers 200. */
export async function answers(url) {
  const response = await fetch(url);
  await response.arrayBuffer();
  return response.status === 200;
}

/** The value of an instant query's only element. */
export async function queryNumber(base, query) {
  const response = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(query)}`);
  const body = await response.json();
  const value = body.data?.result?.[0]?.value?.[1];
  if (value === undefined) throw new Error(`${query}: ${JSON.stringify(body).slice(0, 300)}`);
  return Number(value);
}
