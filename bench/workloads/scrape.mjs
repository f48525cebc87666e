/**
 * Workload `scrape`: 50 targets of 2,000 series each, every second, gzip. The figure is samples per CPU-second of the
 * server while it scrapes; all contestants read the same bodies.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildLoad, narthex } from '../lib/load.mjs';
import { findProgram, versionOf } from '../lib/peers.mjs';
import { answers, cpuSeconds, freePort, Program, queryNumber, sleep } from '../lib/process.mjs';

const TARGETS = 50;
const SERIES = 2000;
const VARIANTS = 8;
const WARMUP_SECONDS = 6;
const MEASURED_SECONDS = 15;

export const title = `scrape: ${TARGETS} targets × ${SERIES} series every second for ${MEASURED_SECONDS} s`;
export const floor = { against: 'prometheus', ratio: 1 };
export const runs = 5;

export async function contestants() {
  const scratch = mkdtempSync(join(tmpdir(), 'narthex-bench-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const exporter = new Program(buildLoad(), ['exporter', String(TARGETS), String(SERIES), String(VARIANTS)], {
    stdin: 'pipe',
    name: 'load exporter',
  });
  await exporter.until('port', async () => exporter.output.includes('port'));
  process.once('exit', () => exporter.child.kill());
  const config = join(scratch, 'prometheus.yml');
  writeFileSync(config, configuration(JSON.parse(exporter.output).port));

  const list = [
    {
      name: 'narthex',
      version: 'this tree',
      command: (dir, port) => [narthex[0], [narthex[1], 'server', ...prometheusFlags(config, dir, port)]],
    },
  ];
  const prometheus = findProgram('prometheus');
  if (prometheus) {
    list.push({
      name: 'prometheus',
      version: versionOf(prometheus),
      command: (dir, port) => [prometheus, prometheusFlags(config, dir, port)],
    });
  }
  const victoria = findProgram('victoria-metrics');
  if (victoria) {
    list.push({
      name: 'victoria-metrics',
      version: versionOf(victoria),
      command: (dir, port) => [
        victoria,
        [`-promscrape.config=${config}`, `-storageDataPath=${dir}`, `-httpListenAddr=127.0.0.1:${port}`],
      ],
    });
  }
  for (const contestant of list) contestant.run = () => measure(scratch, contestant);
  return Object.assign(list, { close: () => exporter.stop() });
}

function configuration(port) {
  const groups = Array.from(
    { length: TARGETS },
    (_, i) =>
      `      - targets: ['127.0.0.1:${port}']\n        labels: {__metrics_path__: /metrics/${i}, instance: node-${i}}\n`,
  );
  return `global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n  - job_name: node\n    static_configs:\n${groups.join('')}`;
}

function prometheusFlags(config, dir, port) {
  return [`--config.file=${config}`, `--storage.tsdb.path=${dir}`, `--web.listen-address=127.0.0.1:${port}`];
}

async function measure(scratch, contestant) {
  const dir = mkdtempSync(join(scratch, 'data-'));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const [path, args] = contestant.command(dir, port);
  const program = new Program(path, args, { name: contestant.name });
  try {
    await program.until('answer', () => answers(`${base}/-/ready`));
    await program.until('scrapes', async () => (await queryNumber(base, 'sum(up)')) === TARGETS, 60);
    await sleep(WARMUP_SECONDS * 1000);
    const cpuBefore = cpuSeconds(program.pid);
    const started = process.hrtime.bigint();
    await sleep(MEASURED_SECONDS * 1000);
    const cpu = cpuSeconds(program.pid) - cpuBefore;
    const wallSeconds = Number(process.hrtime.bigint() - started) / 1e9;
    const perScrape = await queryNumber(base, `sum(count_over_time(scrape_samples_scraped[${MEASURED_SECONDS}s]))`);
    const lost = await queryNumber(base, 'sum(up == 0) or vector(0)');
    const samples = perScrape * SERIES;
    if (lost > 0 || samples < 0.9 * TARGETS * SERIES * MEASURED_SECONDS) {
      throw new Error(`${contestant.name} took in only ${samples} samples`);
    }
    return { samples, cpuSeconds: cpu, wallSeconds, memoryBytes: program.memoryBytesMax };
  } finally {
    await program.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
