/** Runs servers as a user would: the built program, or a peer, as a process on a free port of the loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../layout/files.ts';

/** Our program; `pretest` builds it. */
export const narthex = [process.execPath, join(root, 'dist', 'cli', 'main.js')];

/** A server that answered /-/ready. */
export interface Running {
  /** Without a slash at the end. */
  url: string;
  process: ChildProcess;
  /** All that it printed so far. */
  output(): string;
  /** Ends it as an operator would and waits; throws where it does not exit with 0 in time. */
  stop(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

/**
 * Starts a Prometheus-like server and waits until it is ready.
 *
 * @param command the program and its first arguments; `--web.listen-address` is added
 * @param port where it listens; a free one where absent
 */
export async function startServer(command: string[], port?: number, timeoutMs = 30_000): Promise<Running> {
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const [program, ...args] = command;
  if (program === undefined) throw new Error('no program to start');
  const child = spawn(program, [...args, `--web.listen-address=${address}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  const pieces: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => pieces.push(piece));
  const exited = once(child, 'exit');
  const running: Running = {
    url: `http://${address}`,
    process: child,
    output: () => Buffer.concat(pieces).toString(),
    stop: async () => {
      child.kill('SIGTERM');
      const inTime = await Promise.race([exited.then(() => true), sleep(10_000, false, { ref: false })]);
      if (!inTime) child.kill('SIGKILL');
      if (child.exitCode !== 0) throw new Error(`it did not stop by itself:\n${running.output()}`);
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
  await untilReady(running, timeoutMs);
  return running;
}

async function untilReady(running: Running, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (running.process.exitCode !== null) throw new Error(`it ended before it was ready:\n${running.output()}`);
    try {
      const { status } = await fetch(`${running.url}/-/ready`, { signal: AbortSignal.timeout(2000) });
      if (status === 200) return;
    } catch {
      // not listening yet
    }
    if (Date.now() > deadline) {
      await running.kill();
      throw new Error(`it was not ready within ${timeoutMs} ms:\n${running.output()}`);
    }
    await sleep(20);
  }
}

/** A port that nothing listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
