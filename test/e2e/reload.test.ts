/** Reloading by signal and by HTTP: a good file takes over, a bad one changes nothing and says why. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../support/program.ts';
import { eventually, getJson, query } from './client.ts';
import { type Exporter, startExporter } from './exporter.ts';
import { scrapeConfig, workspace } from './workspace.ts';

const space = workspace();
let server: Running;
let exporter: Exporter;

beforeAll(async () => {
  exporter = await startExporter();
  space.configure(scrapeConfig('first', [exporter.address]));
  server = await space.start('--web.enable-lifecycle', '--config.auto-reload', '--config.auto-reload-interval=1s');
});

const pools = async () =>
  (await getJson<{ scrapePools: string[] }>(`${server.url}/api/v1/scrape_pools`)).data.scrapePools;
const metric = async (name: string) => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
};

describe('reload', () => {
  test('POST /-/reload takes a new file over and marks what is gone as stale', async () => {
    await eventually('the first scrape', async () => (await query(server.url, 'up{job="first"}')).length === 1);
    space.configure(scrapeConfig('second', [exporter.address]));
    expect((await fetch(`${server.url}/-/reload`, { method: 'POST' })).status).toBe(200);
    await eventually('the second pool', async () => String(await pools()) === 'second');
    await eventually('the second job', async () => (await query(server.url, 'up{job="second"} == 1')).length === 1);
    expect(await metric('prometheus_config_last_reload_successful')).toBe(1);
  });

  test('a bad file is refused with its place, the old one stays', async () => {
    space.configure('global:\n  scrape_intervall: 5s\n');
    const response = await fetch(`${server.url}/-/reload`, { method: 'PUT' });
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(text).toMatch(/^failed to reload config: couldn't load configuration/);
    expect(text).toContain(`${space.configFile}:2:3: `);
    expect(await pools()).toEqual(['second']);
    expect(await metric('prometheus_config_last_reload_successful')).toBe(0);
    const { data } = await getJson<{ reloadConfigSuccess: boolean }>(`${server.url}/api/v1/status/runtimeinfo`);
    expect(data.reloadConfigSuccess).toBe(false);
  });

  test('a changed file is noticed', async () => {
    space.configure(scrapeConfig('noticed', [exporter.address]));
    await eventually('the new job', async () => (await pools())[0] === 'noticed');
  });

  test('SIGHUP reloads too', async () => {
    space.configure(scrapeConfig('third', [exporter.address]));
    server.process.kill('SIGHUP');
    await eventually('the third job', async () => (await pools())[0] === 'third');
    expect(await metric('prometheus_config_last_reload_successful')).toBe(1);
    const { data } = await getJson<{ yaml: string }>(`${server.url}/api/v1/status/config`);
    expect(data.yaml).toContain('- job_name: third\n');
  });
});
