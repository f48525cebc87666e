/** What the storage benches share: the contestants as whole servers, loading them by remote write, and the results. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildLoad, narthex } from './load.mjs';
import { findProgram, versionOf } from './peers.mjs';
import { answers, freePort, Program, sleep } from './process.mjs';
import { record as recordIn } from './results.mjs';

const LOAD_SECONDS_MAX = 900;
const BLOCK_SECONDS_MAX = 180;
const POLL_MS = 5;

/** The servers there are, us first. `name` may be repeated in `names` to leave the others out. */
export function servers(names) {
  const all = [{ name: 'narthex', version: 'this tree', program: narthex, flags: prometheusFlags }];
  const prometheus = findProgram('prometheus');
  if (prometheus) {
    all.push({
      name: 'prometheus',
      version: versionOf(prometheus),
      program: [prometheus],
      flags: prometheusFlags,
    });
  }
  const victoria = findProgram('victoria-metrics');
  if (victoria) {
    all.push({
      name: 'victoria-metrics',
      version: versionOf(victoria),
      program: [victoria],
      flags: (_config, dir, port) => [
        `-storageDataPath=${dir}`,
        `-httpListenAddr=127.0.0.1:${port}`,
        '-retentionPeriod=1y',
      ],
    });
  }
  return all.filter(({ name }) => names.includes(name));
}

/** As {@link servers}; throws where one is not there, because without it nothing is compared. */
export function allServers(names) {
  const found = servers(names);
  const absent = names.find((name) => !found.some((server) => server.name === name));
  if (absent !== undefined) throw new Error(`no ${absent} to compare with: run \`npm run bench:peers\``);
  return found;
}

function prometheusFlags(config, dir, port, { isNarthex }) {
  return [
    ...(isNarthex ? ['server'] : []),
    `--config.file=${config}`,
    `--storage.tsdb.path=${dir}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--web.enable-remote-write-receiver',
  ];
}

/** A data directory and the server over it, which can be killed and started again. */
export class Site {
  constructor(server, scratch, config = '') {
    this.server = server;
    this.name = server.name;
    this.dir = mkdtempSync(join(scratch, `${server.name}-`));
    this.config = join(scratch, `${server.name}-${config === '' ? 'plain' : 'own'}.yml`);
    writeFileSync(this.config, config);
  }

  /** Starts the server; returns the seconds from exec to ready. */
  async start() {
    this.port = await freePort();
    this.base = `http://127.0.0.1:${this.port}`;
    const [path, ...words] = this.server.program;
    const flags = this.server.flags(this.config, this.dir, this.port, { isNarthex: this.name === 'narthex' });
    const started = process.hrtime.bigint();
    this.program = new Program(path, [...words, ...flags], { name: this.name, env: this.server.env });
    const url = `${this.base}${this.name === 'victoria-metrics' ? '/health' : '/-/ready'}`;
    while (!(await answers(url).catch(() => false))) {
      if (this.program.child.exitCode !== null) throw new Error(`${this.name} ended:\n${this.program.output}`);
      if (process.hrtime.bigint() - started > 180_000_000_000n) throw new Error(`${this.name} is not ready`);
      await sleep(POLL_MS);
    }
    return Number(process.hrtime.bigint() - started) / 1e9;
  }

  async kill() {
    this.program.child.kill('SIGKILL');
    await this.program.exited;
  }

  async remove() {
    if (this.program) await this.program.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Makes everything that a server has taken in visible to queries; VictoriaMetrics would do so within seconds. */
export async function makeVisible(site) {
  if (site.name === 'victoria-metrics') await fetch(`${site.base}/internal/force_flush`);
}

let loadProgram;

/**
 * Sends `series` × `samples` by remote write; returns what the generator says. `names` says whose bench the series are
 * named for: `storage` or `query`.
 */
export async function load(site, { series, samples, startMs, intervalMs, names = 'storage' }) {
  loadProgram ??= buildLoad();
  const numbers = [series, samples, startMs, intervalMs, LOAD_SECONDS_MAX].map(String);
  const child = spawn(loadProgram, ['remote-write', names, `127.0.0.1:${site.port}`, ...numbers]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`loading ${site.name}: ${output}\n${site.program.output.slice(-2000)}`);
  return JSON.parse(output);
}

/** Waits for a block of so many samples; its name in the site's directory. */
export async function finishedBlock(site, samples) {
  const deadline = Date.now() + BLOCK_SECONDS_MAX * 1000;
  while (Date.now() < deadline) {
    const name = readdirSync(site.dir).find(
      (entry) => /^[0-9A-Z]{26}$/.test(entry) && existsSync(join(site.dir, entry, 'meta.json')),
    );
    if (name !== undefined) {
      const { numSamples } = JSON.parse(readFileSync(join(site.dir, name, 'meta.json'), 'utf8')).stats;
      if (numSamples !== samples) throw new Error(`${site.name}: a block of ${numSamples} samples`);
      return name;
    }
    await sleep(200);
  }
  throw new Error(`${site.name} cut no block:\n${site.program.output.slice(-2000)}`);
}

/** A temporary folder that goes with the process. */
export function scratchDir() {
  const scratch = mkdtempSync(join(tmpdir(), 'narthex-bench-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  return scratch;
}

const heading = `# Storage: results

Written by \`npm run bench -- compare WORKLOAD\`; a row is replaced when its workload runs again. Medians of interleaved
runs on one machine; a ratio above 1 means that Narthex is better.
`;

/** Puts a row into the results' file. */
export function record(row) {
  recordIn({ file: 'storage.md', heading, columns: ['narthex', 'prometheus', 'victoria-metrics'] }, row);
}
