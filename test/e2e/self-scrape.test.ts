/** `narthex start`: within seconds there is something to ask, with no file and no flag. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { narthex, type Running, startServer } from '../support/program.ts';
import { conformance } from '../support/require.ts';
import { eventually, query } from './client.ts';

const dir = mkdtempSync(join(tmpdir(), 'narthex-start-'));
let server: Running;

beforeAll(async () => {
  server = await startServer([...narthex, 'start', `--storage.tsdb.path=${join(dir, 'data')}`]);
});
afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('narthex start', () => {
  test('scrapes itself: up is 1 within seconds', { timeout: 20_000 }, async () => {
    const series = await eventually('up', async () => {
      const found = await query(server.url, 'up');
      return found.length > 0 && found;
    });
    expect(series).toMatchObject([{ metric: { __name__: 'up', job: 'narthex' } }]);
    expect(series[0]?.value?.[1]).toBe('1');
  });

  test('names each family of its metrics once', async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] ?? '');
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
    expect(names).toContain('prometheus_target_scrapes_sample_out_of_order_total');
    expect(names).toContain('prometheus_engine_query_duration_seconds');
  });

  test('says where it is, what it uses, and what to try', () => {
    const output = server.output();
    expect(output).toContain(server.url);
    expect(output).toContain(join(dir, 'data'));
    expect(output).toContain('embedded default');
    expect(output).toContain(`curl -s '${server.url}/api/v1/query?query=up'`);
  });

  const dashboard = conformance('dashboards/prometheus-prometheus.json');
  test.skipIf(dashboard === undefined)(
    "has the metrics that Prometheus' own dashboard asks for",
    { timeout: 20_000 },
    async () => {
      const text = readFileSync(dashboard ?? '', 'utf8');
      const asked = new Set<string>(text.match(/\b(prometheus|process)_[a-z_]+(?=[{)[])/g));
      // Intervals between scrapes show after the second one.
      await eventually('all metrics', async () => {
        const metrics = await (await fetch(`${server.url}/metrics`)).text();
        const there = new Set<string>(metrics.match(/^[a-z_]+/gm));
        const missing = [...asked].filter((name) => !there.has(name));
        if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}`);
        return true;
      });
    },
  );

  test('names no metric twice', async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    const types: string[] = metrics.match(/^# TYPE \S+/gm) ?? [];
    expect(types.length).toBeGreaterThan(30);
    expect(types.filter((type, i) => types.indexOf(type) !== i)).toEqual([]);
  });

  test('shows a page that loads nothing from elsewhere', async () => {
    const response = await fetch(`${server.url}/`);
    const html = await response.text();
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(html).toContain('<form id="query">');
    expect(html).not.toMatch(/(src|href)="https?:/);
  });
});
