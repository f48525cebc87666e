/** `promtool query` against our server, and a real node exporter scraped by it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NodeExporter, nodeExporter, startNodeExporter } from '../support/node-exporter.ts';
import type { Running } from '../support/program.ts';
import { currentPeer, findProgram, orSkip } from '../support/require.ts';
import { eventually, query } from './client.ts';
import { scrapeConfig, workspace } from './workspace.ts';

const promtool = orSkip(
  'promtool',
  process.env.NARTHEX_PROMTOOL || findProgram('promtool'),
  "Debian's package prometheus has it, NARTHEX_PROMTOOL names another one",
);
const run = promisify(execFile);
const space = workspace();
let server: Running;

beforeAll(async () => {
  space.configure('');
  server = await space.start('--web.enable-lifecycle');
  space.configure(scrapeConfig('self', [new URL(server.url).host], '500ms'));
  await fetch(`${server.url}/-/reload`, { method: 'POST' });
  await eventually('up', async () => (await query(server.url, 'up == 1')).length === 1);
});

describe.skipIf(promtool === undefined)('promtool', () => {
  const promtoolPath = promtool ?? '';

  test('query instant', async () => {
    const { stdout } = await run(promtoolPath, ['query', 'instant', server.url, 'up{job="self"}']);
    expect(stdout).toMatch(/^up\{instance="127\.0\.0\.1:\d+", job="self"\} => 1 @\[/);
  });

  test('query range', async () => {
    const args = ['query', 'range', '--step=1s', server.url, 'count(up)'];
    const { stdout } = await run(promtoolPath, args);
    expect(stdout).toMatch(/^\{\} =>\n1 @\[/);
  });

  test('query series and labels', async () => {
    const series = await run(promtoolPath, ['query', 'series', '--match=up', server.url]);
    expect(series.stdout).toContain('__name__="up"');
    const labels = await run(promtoolPath, ['query', 'labels', server.url, 'job']);
    expect(labels.stdout.trim()).toBe('self');
  });

  // Older releases, such as Debian's, have no such command.
  test.skipIf(currentPeer('promtool') === undefined)('check healthy and ready', async () => {
    const checks = ['healthy', 'ready'].map((what) => run(promtoolPath, ['check', what, `--url=${server.url}`]));
    for (const { stdout, stderr } of await Promise.all(checks)) expect(stdout + stderr).toContain('SUCCESS');
  });

  test('a bad query fails with the position', async () => {
    const failed = run(promtoolPath, ['query', 'instant', server.url, 'sum(']);
    await expect(failed).rejects.toMatchObject({ stderr: expect.stringContaining('1:5: parse error') });
  });
});

describe.skipIf(nodeExporter === undefined)('node exporter', () => {
  let exporter: NodeExporter | undefined;
  afterAll(() => exporter?.close());

  test('is scraped: rate(node_cpu_seconds_total[1m]) has an answer', { timeout: 30_000 }, async () => {
    exporter = await startNodeExporter(nodeExporter ?? '');
    space.configure(scrapeConfig('node', [exporter.address], '1s'));
    await fetch(`${server.url}/-/reload`, { method: 'POST' });
    const series = await eventually('rates', async () => {
      const found = await query(server.url, 'sum by (mode) (rate(node_cpu_seconds_total[1m]))');
      return found.length > 3 && found;
    });
    expect(series.map((each) => each.metric.mode)).toContain('idle');
  });
});
