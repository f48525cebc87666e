/** A server that is killed and started again over one data directory and one port. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, narthex, type Running, startServer } from '../support/program.ts';

export class Victim {
  readonly dir = mkdtempSync(join(tmpdir(), 'narthex-kill-'));
  readonly dataDir = join(this.dir, 'data');
  readonly port: number;
  #running: Running | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  /** A place for a server; `config` is told the port it will have. */
  static async create(config: (port: number) => string): Promise<Victim> {
    const victim = new Victim(await freePort());
    writeFileSync(join(victim.dir, 'prometheus.yml'), config(victim.port));
    return victim;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  #command(flags: string[]): string[] {
    const places = [`--config.file=${join(this.dir, 'prometheus.yml')}`, `--storage.tsdb.path=${this.dataDir}`];
    return [...narthex, 'server', ...places, ...flags];
  }

  /** Starts it and waits until it is ready. */
  async start(...flags: string[]): Promise<Running> {
    this.#running = await startServer(this.#command(flags), this.port);
    return this.#running;
  }

  /** Kills it at once, whatever it is doing. */
  async kill(): Promise<void> {
    const { process } = this.#running ?? {};
    if (process && process.exitCode !== null) throw new Error(`it ended by itself:\n${this.#running?.output()}`);
    await this.#running?.kill();
    this.#running = undefined;
  }

  /** Starts it and kills it after so many milliseconds, most likely while it opens the database. */
  async killWhileStarting(afterMs: number, ...flags: string[]): Promise<void> {
    const [program = '', ...args] = [...this.#command(flags), `--web.listen-address=127.0.0.1:${this.port}`];
    const child: ChildProcess = spawn(program, args, { stdio: 'ignore' });
    const exited = once(child, 'exit');
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    child.kill('SIGKILL');
    await exited;
  }

  /** What `narthex tsdb verify` finds wrong in the data directory: one line each. */
  async faults(): Promise<string[]> {
    const [program = '', ...args] = [...narthex, 'tsdb', 'verify', '--quiet', this.dataDir];
    const output = await new Promise<string>((resolve, reject) =>
      execFile(program, args, (error, stdout, stderr) =>
        error && error.code !== 1 ? reject(new Error(stderr, { cause: error })) : resolve(stdout),
      ),
    );
    // Below each finding stands what to do about it; the last line is the summary.
    const lines = output.trimEnd().split('\n').slice(0, -1);
    return lines.filter((line) => !line.startsWith('    ')).map((line) => line.replace(`${this.dataDir}/`, ''));
  }

  /** Ends it and removes its files. */
  async destroy(): Promise<void> {
    await this.#running?.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
