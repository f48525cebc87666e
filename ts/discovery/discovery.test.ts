/** Discovery as a consumer sees it: real files, real watches; time by hand where it matters. */

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock, silentLogger, systemClock } from '../util/index.ts';
import { type DiscoveryJob, DiscoveryManager, type TargetSets } from './index.ts';

let directory = '';
const managers: DiscoveryManager[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'narthex-sd-'));
});

afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.stop()));
  await rm(directory, { recursive: true });
});

/** A manager and what it handed on last. */
function setup(clock = systemClock) {
  const seen: TargetSets[] = [];
  const manager = new DiscoveryManager({ clock, logger: silentLogger, onUpdate: (sets) => seen.push(sets) });
  managers.push(manager);
  const addresses = (job: string): string[] =>
    (seen.at(-1)?.get(job) ?? [])
      .flatMap((group) => group.targets.map((target) => target.__address__ ?? ''))
      .toSorted();
  return { manager, seen, addresses };
}

function job(name: string, options: Partial<DiscoveryJob> = {}): DiscoveryJob {
  return { job_name: name, static_configs: [], file_sd_configs: [], ...options };
}

function metric(manager: DiscoveryManager, name: string): number {
  const family = manager.families().find((candidate) => candidate.name === name);
  return (family?.samples ?? []).reduce((sum, sample) => sum + sample.value, 0);
}

/** Waits for a condition, with a bound. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('condition was not met within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('the manager', () => {
  it('hands on static targets, and an empty set for a job without any', async () => {
    const { manager, seen, addresses } = setup();
    await manager.applyConfig([
      job('a', { static_configs: [{ targets: ['x:1', 'y:2'], labels: { z: '1' } }] }),
      job('b'),
    ]);
    await until(() => seen.length > 0);
    expect(addresses('a')).toEqual(['x:1', 'y:2']);
    expect(seen[0]?.get('a')?.[0]).toMatchObject({ source: '0', labels: { z: '1' } });
    expect(seen[0]?.get('b')).toEqual([]);
    expect(metric(manager, 'prometheus_sd_discovered_targets')).toBe(2);
  });

  it('drops the targets of a job that is gone and leaves a shared mechanism running', async () => {
    const { manager, seen, addresses } = setup();
    const shared = { static_configs: [{ targets: ['x:1'], labels: {} }] };
    await manager.applyConfig([job('a', shared), job('b', shared)]);
    await until(() => seen.length > 0);
    const received = metric(manager, 'prometheus_sd_received_updates_total');
    await manager.applyConfig([job('b', shared)]);
    await until(() => seen.at(-1)?.has('a') === false);
    expect(addresses('b')).toEqual(['x:1']);
    expect(received).toBe(1);
    expect(metric(manager, 'prometheus_sd_received_updates_total')).toBe(1);
  });

  it('holds updates back that come too fast', async () => {
    const clock = new ManualClock();
    const { manager, seen } = setup(clock);
    const apply = (port: number): Promise<void> =>
      manager.applyConfig([job('a', { static_configs: [{ targets: [`x:${port}`], labels: {} }] })]);
    await apply(1);
    await clock.advance(0);
    expect(seen).toHaveLength(1);
    for (let port = 2; port <= 6; port++) await apply(port);
    await clock.advance(100);
    expect(seen).toHaveLength(1);
    await clock.advance(60);
    expect(seen).toHaveLength(2);
    expect(seen[1]?.get('a')?.[0]?.targets).toEqual([{ __address__: 'x:6' }]);
  });
});

describe('files', () => {
  it('reads JSON and YAML, follows changes, and drops what is gone', async () => {
    const { manager, seen, addresses } = setup();
    const yaml = join(directory, 'a.yml');
    const json = join(directory, 'b.json');
    await writeFile(yaml, '- targets: [a:1]\n  labels: {x: y}\n');
    await writeFile(json, '[{"targets": ["b:1"]}, {"targets": ["b:2"]}]');
    const files = [join(directory, '*.yml'), join(directory, '*.json')];
    await manager.applyConfig([job('f', { file_sd_configs: [{ files, refresh_interval: 3_600_000 }] })]);
    await until(() => seen.length > 0);
    expect(addresses('f')).toEqual(['a:1', 'b:1', 'b:2']);
    expect(seen[0]?.get('f')?.[0]).toEqual({
      source: `${yaml}:0`,
      targets: [{ __address__: 'a:1' }],
      labels: { x: 'y', __meta_filepath: yaml },
    });

    await writeFile(`${json}.tmp`, '[{"targets": ["b:3"]}]');
    await rename(`${json}.tmp`, json);
    await until(() => addresses('f').join() === 'a:1,b:3');

    await rm(yaml);
    await until(() => addresses('f').join() === 'b:3');
    expect(metric(manager, 'prometheus_sd_file_mtime_seconds')).toBeGreaterThan(1e9);
  });

  it('hands a group that did not change on as the same one', async () => {
    const { manager, seen, addresses } = setup();
    const files = ['a.yml', 'b.yml'].map((name) => join(directory, name)) as [string, string];
    for (const file of files) await writeFile(file, '- targets: [same:1]\n');
    await manager.applyConfig([job('f', { file_sd_configs: [{ files, refresh_interval: 3_600_000 }] })]);
    await until(() => seen.length > 0);
    const [before] = seen[0]?.get('f') ?? [];
    for (const [file, target] of [
      [files[0], 'same:1'],
      [files[1], 'other:1'],
    ] as const) {
      await writeFile(`${file}.tmp`, `- targets: ["${target}"]\n`);
      await rename(`${file}.tmp`, file);
    }
    await until(() => addresses('f').includes('other:1'));
    expect(seen.at(-1)?.get('f')?.[0]).toBe(before);
  });

  it('keeps the old groups of a file that turned bad, and counts it', async () => {
    const { manager, seen, addresses } = setup();
    const file = join(directory, 'a.yml');
    await writeFile(file, '- targets: [a:1]\n');
    await manager.applyConfig([job('f', { file_sd_configs: [{ files: [file], refresh_interval: 3_600_000 }] })]);
    await until(() => seen.length > 0);
    await writeFile(file, '- targts: [a:2]\n');
    await until(() => metric(manager, 'prometheus_sd_file_read_errors_total') > 0);
    expect(addresses('f')).toEqual(['a:1']);
    await writeFile(file, '- targets: [a:3]\n');
    await until(() => addresses('f').join() === 'a:3');
  });

  it('reads again at the refresh interval where no watch tells it', async () => {
    const clock = new ManualClock();
    const { manager, seen, addresses } = setup(clock);
    const late = join(directory, 'later');
    const files = [join(late, '*.yml')];
    await manager.applyConfig([job('f', { file_sd_configs: [{ files, refresh_interval: 300_000 }] })]);
    await until(() => metric(manager, 'prometheus_sd_received_updates_total') > 0);
    await clock.advance(1000);
    expect(addresses('f')).toEqual([]);
    expect(metric(manager, 'prometheus_sd_file_watcher_errors_total')).toBe(1);
    const { mkdir } = await import('node:fs/promises');
    await mkdir(late);
    await writeFile(join(late, 'a.yml'), '- targets: [a:1]\n');
    await clock.advance(300_000);
    await until(() => metric(manager, 'prometheus_sd_received_updates_total') > 1);
    await clock.advance(5000);
    expect(addresses('f')).toEqual(['a:1']);
    expect(seen.length).toBe(2);
  });
});
