/** A temporary directory for one test file, with a configuration and a place for data. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { narthex, type Running, startServer } from '../support/program.ts';

export interface Workspace {
  dir: string;
  configFile: string;
  dataDir: string;
  /** Writes the configuration file. */
  configure(yaml: string): void;
  /** Starts the program as `narthex server` on a free port; it is stopped after the tests. */
  start(...flags: string[]): Promise<Running>;
}

/** Call at the top of a test file: removes everything after its tests. */
export function workspace(): Workspace {
  const dir = mkdtempSync(join(tmpdir(), 'narthex-e2e-'));
  const running: Running[] = [];
  afterAll(async () => {
    for (const server of running) if (server.process.exitCode === null) await server.kill();
    rmSync(dir, { recursive: true, force: true });
  });
  const configFile = join(dir, 'prometheus.yml');
  const dataDir = join(dir, 'data');
  return {
    dir,
    configFile,
    dataDir,
    configure: (yaml) => writeFileSync(configFile, yaml),
    start: async (...flags) => {
      const command = [...narthex, 'server', `--config.file=${configFile}`, `--storage.tsdb.path=${dataDir}`, ...flags];
      const server = await startServer(command);
      running.push(server);
      return server;
    },
  };
}

/** A configuration that scrapes the given addresses. */
export function scrapeConfig(job: string, addresses: readonly string[], interval = '200ms'): string {
  return `global: {scrape_interval: ${interval}, scrape_timeout: ${interval}}
scrape_configs:
  - job_name: ${job}
    static_configs: [{targets: ${JSON.stringify(addresses)}}]
`;
}
