/** Agents over each other's data: Prometheus' opens our log and sends what we had not, and the other way round. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, query } from '../e2e/client.ts';
import { freePort, narthex, type Running, startServer } from '../support/program.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { currentPeer } from '../support/require.ts';

const prometheus = currentPeer('prometheus');
const dir = mkdtempSync(join(tmpdir(), 'narthex-agents-'));
const running: Running[] = [];
let receiver: Running;

afterAll(async () => {
  for (const server of running) if (server.process.exitCode === null) await server.kill();
  rmSync(dir, { recursive: true, force: true });
});

async function start(command: string[], ...flags: string[]): Promise<Running> {
  const server = await startServer([...command, ...flags]);
  running.push(server);
  return server;
}

const agents = { ours: [...narthex, 'server'], theirs: [prometheus ?? ''] };

describe.skipIf(prometheus === undefined)('agents', () => {
  beforeAll(async () => {
    writeFileSync(join(dir, 'empty.yml'), '');
    const flags = [`--config.file=${join(dir, 'empty.yml')}`, `--storage.tsdb.path=${join(dir, 'receiver')}`];
    receiver = await start(agents.ours, ...flags, '--web.enable-remote-write-receiver');
    const nowhere = `http://127.0.0.1:${await freePort()}`;
    for (const [file, url] of [
      ['send.yml', receiver.url],
      ['hold.yml', nowhere],
    ] as const) {
      writeFileSync(
        join(dir, file),
        `remote_write: [{url: '${url}/api/v1/write', send_native_histograms: true, queue_config: {batch_send_deadline: 50ms}}]\n`,
      );
    }
  });

  async function agent(who: keyof typeof agents, data: string, config: string): Promise<Running> {
    const flags = ['--agent', `--config.file=${join(dir, config)}`, `--storage.agent.path=${join(dir, data)}`];
    return start(agents[who], ...flags, '--web.enable-remote-write-receiver', '--storage.remote.flush-deadline=1s');
  }

  async function metric(server: Running, name: string): Promise<number> {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  /** Takes samples, is killed, and is followed by the other, which must know the series and their last times. */
  test.each([
    ['ours', 'theirs'],
    ['theirs', 'ours'],
  ] as const)('%s, then %s', { timeout: 60_000 }, async (before, after) => {
    const data = `${before}-${after}`;
    const t = Date.now() - 10_000;
    const series = (n: number, time: number) =>
      Array.from({ length: n }, (_, i) => ({
        labels: { __name__: 'passed', order: data, i: String(i) },
        samples: [{ t: time, v: i + 0.5 }],
        ...(i === 0 ? { exemplars: [{ labels: { id: 'x' }, t: time, v: 1 }] } : {}),
      }));
    const histogram = (time: number) => ({
      labels: { __name__: 'passed_native', order: data },
      histograms: [
        { t: time, count: 3, sum: 5, schema: 0, positiveSpans: [[0, 1]] as [number, number][], positive: [3] },
      ],
    });
    const first = await agent(before, data, 'hold.yml');
    await remoteWrite(first.url, [...series(20, t), histogram(t)]);
    expect(await metric(first, 'prometheus_agent_active_series')).toBe(21);
    await first.kill();

    const second = await agent(after, data, 'send.yml');
    expect(await metric(second, 'prometheus_agent_active_series')).toBe(21);
    expect(await metric(second, 'prometheus_agent_corruptions_total')).toBe(0);
    await expect(remoteWrite(second.url, series(1, t)), 'the last time is known').rejects.toThrow(/out of order/);
    // Prometheus sends nothing that is older than its own start.
    const later = Date.now() + 1000;
    await remoteWrite(second.url, [...series(20, later), histogram(later)]);
    await eventually('later samples at the receiver', async () => {
      const found = await query(receiver.url, `passed{order="${data}"}`, { time: String(later / 1000) });
      return found.length === 20 && found.every(({ value, metric: m }) => value?.[1] === String(Number(m.i) + 0.5));
    });
    await eventually('the later histogram, too', async () => {
      const time = String(later / 1000);
      const found = await query(receiver.url, `histogram_count(passed_native{order="${data}"})`, { time });
      return found.length === 1;
    });
    await second.stop();

    // And back again.
    const third = await agent(before, data, 'send.yml');
    expect(await metric(third, 'prometheus_agent_active_series')).toBe(21);
    expect(await metric(third, 'prometheus_agent_corruptions_total')).toBe(0);
    await third.stop();
  });
});
