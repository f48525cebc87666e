/** A real node exporter on a free port of the loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '../e2e/client.ts';
import { freePort } from './program.ts';
import { findProgram, orSkip } from './require.ts';

/** The program, where there is one. */
export const nodeExporter = orSkip(
  'node_exporter',
  findProgram('prometheus-node-exporter') ?? findProgram('node_exporter'),
  "Debian's package prometheus-node-exporter has it",
);

export interface NodeExporter {
  /** Host and port. */
  address: string;
  /** Ends it and waits. */
  close(): Promise<void>;
}

/** Starts it; whoever does closes it, and at the latest it ends with this process. */
export async function startNodeExporter(program: string): Promise<NodeExporter> {
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(program, [`--web.listen-address=${address}`], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const kill = (): unknown => child.kill('SIGKILL');
  process.once('exit', kill);
  const close = async (): Promise<void> => {
    kill();
    await exited;
    process.removeListener('exit', kill);
  };
  try {
    await eventually('the node exporter', async () => (await fetch(`http://${address}/metrics`)).ok);
  } catch (error) {
    await close();
    throw error;
  }
  return { address, close };
}
