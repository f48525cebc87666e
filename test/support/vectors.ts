/** Data directories of the conformance vectors: their archives, their recorded answers, and servers over copies. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll } from 'vitest';
import { differenceOf, type Recorded, requestOf } from './answers.ts';
import { type Running, startServer } from './program.ts';

/** How a data directory is to be served. */
export interface Setup {
  /** The configuration file. */
  config: string;
  /** For `--enable-feature`. */
  features: string[];
}

/** A temporary folder for one test file, and the servers over data directories in it. */
export interface Scratch {
  path(...names: string[]): string;
  /** Unpacks the archive of a folder of vectors and returns its data directory. */
  unpack(vectors: string, place: string): string;
  /** Copies a data directory. */
  copy(dataDir: string, place: string): string;
  /** Serves a data directory; what is still running after the tests is killed. */
  serve(command: string[], dataDir: string, setup: Setup, ...flags: string[]): Promise<Running>;
}

/** Call at the top of a test file: removes everything after its tests. */
export function scratch(prefix: string): Scratch {
  const root = mkdtempSync(join(tmpdir(), `narthex-${prefix}-`));
  const running: Running[] = [];
  afterAll(async () => {
    for (const server of running) if (server.process.exitCode === null) await server.kill();
    rmSync(root, { recursive: true, force: true });
  });
  const place = (name: string) => {
    const folder = join(root, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  };
  return {
    path: (...names) => join(root, ...names),
    unpack: (vectors, name) => {
      const folder = place(name);
      execFileSync('tar', ['-xzf', join(vectors, 'data.tar.gz'), '-C', folder]);
      return join(folder, 'data');
    },
    copy: (dataDir, name) => {
      const copied = join(place(name), 'data');
      cpSync(dataDir, copied, { recursive: true });
      return copied;
    },
    serve: async (command, dataDir, { config, features }, ...flags) => {
      const file = join(root, 'prometheus.yml');
      writeFileSync(file, config);
      const enabled = features.length > 0 ? [`--enable-feature=${features.join(',')}`] : [];
      const server = await startServer([
        ...command,
        `--config.file=${file}`,
        `--storage.tsdb.path=${dataDir}`,
        '--storage.tsdb.retention.time=100y',
        '--web.enable-admin-api',
        ...enabled,
        ...flags,
      ]);
      running.push(server);
      return server;
    },
  };
}

/** The requests with their answers that a file holds. */
export function readRecorded(file: string): Recorded[] {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Recorded);
}

/** The lines of `dump.txt.gz`. */
export function readDump(vectors: string): string[] {
  return gunzipSync(readFileSync(join(vectors, 'dump.txt.gz')))
    .toString()
    .trimEnd()
    .split('\n');
}

/** The questions that a server answers otherwise, and how. */
export async function differences(url: string, recorded: Recorded[]): Promise<string[]> {
  const found: (string | undefined)[] = [];
  const AT_ONCE = 8;
  for (let i = 0; i < recorded.length; i += AT_ONCE) {
    found.push(...(await Promise.all(recorded.slice(i, i + AT_ONCE).map((each) => differenceOf(url, each)))));
  }
  return found.filter((difference) => difference !== undefined);
}

/** The names of the blocks in a data directory. */
export function blocksIn(dataDir: string): string[] {
  return readdirSync(dataDir).filter((name) => existsSync(join(dataDir, name, 'meta.json')));
}

/** What a server of ours or Prometheus' complained of while it opened a directory and stopped. */
export function complaints(output: string): string[] {
  const isComplaint = /level=(?:WARN|ERROR)|"level":"(?:warn|error)"|corrupt/i;
  // Late samples make blocks that overlap until they are merged.
  const isExpected = /Received an OS signal|Stopping|Overlapping blocks found/;
  return output.split('\n').filter((line) => isComplaint.test(line) && !isExpected.test(line));
}

/** What promtool says of a data directory; throws where it finds fault with it. */
export function promtoolRuns(promtool: string, dataDir: string) {
  const run = (...args: string[]): string =>
    execFileSync(promtool, ['tsdb', ...args], {
      encoding: 'utf8',
      maxBuffer: 1 << 30,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return {
    /** The samples, sorted lines. */
    dump: () => run('dump', dataDir).trimEnd().split('\n').sort(),
    /** The names of the blocks that it lists. */
    list: () =>
      run('list', dataDir)
        .split('\n')
        .flatMap((line) => line.match(/^[0-9A-HJKMNP-TV-Z]{26}(?= )/) ?? []),
    /** Reads each block's index and all its chunks. */
    analyze: () => blocksIn(dataDir).map((block) => run('analyze', '--extended', dataDir, block)),
  };
}

/** The answer that a server gives now. */
export async function record(url: string, request: Pick<Recorded, 'path' | 'params'>): Promise<Recorded> {
  const recorded = { ...request, status: 0, response: undefined };
  const response = await fetch(url + requestOf(recorded));
  return { ...request, status: response.status, response: await response.json() };
}

/** The counts of damage that a server has met, those that are not zero. */
export async function corruptions(url: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const counts = [...text.matchAll(/^(prometheus_tsdb_\w*(?:corruptions|_failed)\w*) (.*)$/gm)];
  return Object.fromEntries(counts.flatMap(([, name, n]) => (Number(n) === 0 ? [] : [[name, Number(n)]])));
}

/** Where two lists differ first; `undefined` where they do not. */
export function firstDifference(found: string[], want: string[]): object | undefined {
  const at = want.findIndex((line, i) => line !== found[i]);
  if (at < 0 && found.length === want.length) return undefined;
  const i = at < 0 ? want.length : at;
  return { line: i, found: found[i]?.slice(0, 300), want: want[i]?.slice(0, 300), lines: [found.length, want.length] };
}

/** One of a server's own metrics. */
export async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
}
