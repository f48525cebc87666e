/** The storage's flags and settings: in force from the start, changed by a reload, refused in Prometheus' words. */
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from 'vitest';
import { narthex, type Running } from '../support/program.ts';
import { eventually, getJson } from './client.ts';
import { workspace } from './workspace.ts';

const space = workspace();
let server: Running;

const storage = (tsdb: string, more = '') => `storage: {tsdb: ${tsdb}${more}}\n`;

beforeAll(async () => {
  space.configure(storage('{out_of_order_time_window: 1h, retention: {time: 3d, size: 1GB, percentage: 50}}'));
  server = await space.start(
    '--web.enable-lifecycle',
    '--storage.tsdb.retention.time=9d',
    '--enable-feature=exemplar-storage,delayed-compaction',
    '--storage.tsdb.max-block-chunk-segment-size=2MB',
    '--storage.tsdb.block-reload-interval=500ms',
    '--storage.tsdb.delayed-compaction.max-percent=5',
    '--storage.tsdb.delay-compact-file.path=uploads.json',
  );
});

const reload = async (yaml: string) => {
  space.configure(yaml);
  const response = await fetch(`${server.url}/-/reload`, { method: 'POST' });
  return { status: response.status, text: await response.text() };
};
const yamlInForce = async () => (await getJson<{ yaml: string }>(`${server.url}/api/v1/status/config`)).data.yaml;
const retention = async () =>
  (await getJson<{ storageRetention: string }>(`${server.url}/api/v1/status/runtimeinfo`)).data.storageRetention;
const metric = async (name: string) => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
};

describe('settings', () => {
  test('the file comes before the flags', async () => {
    expect(await retention()).toBe('3d or 1GiB or 50%');
    expect(await metric('prometheus_tsdb_retention_limit_seconds')).toBe(259_200);
    expect(await yamlInForce()).toContain('    out_of_order_time_window: 1h\n');
    expect(await yamlInForce()).toContain('  exemplars:\n    max_exemplars: 100000\n');
    expect(server.output()).toContain(
      'storage.tsdb.retention.size is ignored, because storage.tsdb.retention.percentage is specified',
    );
  });

  test('the flags take effect', async () => {
    expect(server.output()).not.toContain('has no effect yet');
    await eventually('looks at the data directory', async () => (await metric('prometheus_tsdb_reloads_total')) >= 2);
  });

  test('a reload changes them', async () => {
    expect(await reload(storage('{retention: {size: 2MB}}'))).toEqual({ status: 200, text: '' });
    expect(await retention()).toBe('2MiB');
    expect(await metric('prometheus_tsdb_retention_limit_seconds')).toBe(0);
    expect(await metric('prometheus_tsdb_retention_limit_bytes')).toBe(2 * 1024 * 1024);
    expect((await reload(storage('{chunk_encoding: {floats: xor2}}'))).status).toBe(200);
    expect(await retention()).toBe('9d');
    expect(await metric('prometheus_tsdb_retention_limit_seconds')).toBe(9 * 86_400);
  });

  const bad: [yaml: string, message: string][] = [
    [
      storage('{chunk_encoding: {floats: yor}}'),
      "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got \"yor\"",
    ],
    [storage('{out_of_order_time_window: -5m}'), 'not a valid duration string: "-5m"'],
    [
      storage('{retention: {percentage: 101}}'),
      "'storage.tsdb.retention.percentage' must be in the range [0, 100], got 101",
    ],
    [storage('{retention: {size: -1B}}'), "'storage.tsdb.retention.size' must be greater than or equal to 0, got -1B"],
  ];
  test.each(bad)('%j is refused', async (yaml, message) => {
    const { status, text } = await reload(yaml);
    expect(status).toBe(500);
    expect(text).toContain(message);
    expect(await retention()).toBe('9d');
  });
});

describe('a start is refused', () => {
  const xor = storage('{chunk_encoding: {floats: xor}}');
  const cases: [yaml: string, flag: string, message: string][] = [
    [
      '',
      '--storage.tsdb.wal-segment-size=1MB',
      "flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB",
    ],
    [
      '',
      '--storage.tsdb.max-block-chunk-segment-size=1KB',
      "flag 'storage.tsdb.max-block-chunk-segment-size' must be set over 1MB",
    ],
    [
      xor,
      '--enable-feature=st-storage',
      String.raw`float chunk encoding \"xor\" is incompatible with start-timestamp storage; XOR chunks do not store start timestamps, use \"xor2\"`,
    ],
  ];
  test.each(cases)('%j with %s', (yaml, flag, message) => {
    space.configure(yaml);
    const [program = '', ...args] = [...narthex, 'server', `--config.file=${space.configFile}`, flag];
    const place = [`--storage.tsdb.path=${space.dir}/refused`, '--web.listen-address=127.0.0.1:0'];
    const { status, stdout, stderr } = spawnSync(program, [...args, ...place], { encoding: 'utf8', timeout: 20_000 });
    expect(stdout + stderr).toContain(message);
    expect(status).toBe(1);
  });
});
