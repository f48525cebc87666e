/** The command line: what goes wrong at the start says what, where, and what to do. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { narthex } from '../support/program.ts';
import { workspace } from './workspace.ts';

const space = workspace();

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the program to its end. */
function run(...args: string[]): Promise<Outcome> {
  const [node = '', ...program] = narthex;
  return new Promise((resolve) => {
    execFile(node, [...program, ...args], { timeout: 15_000 }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr });
    });
  });
}

const serve = (...flags: string[]) =>
  run('server', `--config.file=${space.configFile}`, `--storage.tsdb.path=${space.dataDir}`, ...flags);

describe('narthex', () => {
  test('without arguments prints help', async () => {
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toMatch(/server[\s\S]*start[\s\S]*tool/);
  });

  test.each([['--version'], ['server', '--version']])('%s %s', async (...args) => {
    expect(await run(...args)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^narthex \d+\.\d+\.\d+ \(speaks Prometheus 3\.16\.0\)/),
    });
  });

  test('an unknown command', async () => {
    const { code, stderr } = await run('serve');
    expect([code, stderr]).toEqual([1, expect.stringContaining("unknown command 'serve'")]);
  });

  const wrong: [string, number, RegExp][] = [
    ['--nope', 1, /unknown option '--nope'/],
    ['--query.timeout=x', 2, /query\.timeout.*not a valid duration string: "x"/],
    ['--query.max-samples=x', 2, /query\.max-samples.*strconv\.ParseFloat: parsing "x": invalid syntax/],
    ['--log.level=loud', 2, /log\.level.*debug,info,warn,error/],
    ['extra', 1, /too many arguments/],
    ['--web.external-url="http://x"', 1, /must not begin or end with quotes/],
    ['--web.config.file=web.yml', 1, /TLS and authentication are not part of this version/],
    ['--web.listen-address=9090', 1, /--web\.listen-address=9090: expected host:port/],
  ];
  test.each(wrong)('server %s exits with %d', async (flag, code, message) => {
    space.configure('');
    const outcome = await serve('--web.listen-address=127.0.0.1:0', flag);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.code).toBe(code);
  });

  test('a busy port: the address, the flag, exit 1', async () => {
    space.configure('');
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const outcome = await serve(`--web.listen-address=127.0.0.1:${port}`);
    taken.close();
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain(`127.0.0.1:${port}`);
    expect(outcome.stderr).toContain('in use');
    expect(outcome.stderr).toContain('--web.listen-address');
  });

  test('a bad configuration: file, line, column, what is wrong, exit 1', async () => {
    space.configure('global:\n  scrape_interval: 5s\n  scrape_intervall: 5s\n');
    const outcome = await serve('--web.listen-address=127.0.0.1:0');
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(new RegExp(`^${space.configFile}:3:3: .*scrape_intervall`, 'm'));
  });

  test('a configuration that is not there', async () => {
    const outcome = await run('server', `--config.file=${join(space.dir, 'none.yml')}`);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('none.yml');
  });

  test('a regular expression that Go does not take is a bad configuration', async () => {
    const rule = "{source_labels: [a], regex: 'a(', action: keep}";
    space.configure(`scrape_configs:\n- job_name: x\n  relabel_configs: [${rule}]\n`);
    const outcome = await serve('--web.listen-address=127.0.0.1:0');
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/prometheus\.yml:3:\d+: .*missing closing \)/);
  });

  test('tool check config', async () => {
    space.configure('global: {scrape_interval: 5s}\n');
    expect(await run('tool', 'check', 'config', space.configFile)).toMatchObject({
      code: 0,
      stdout: `Checking ${space.configFile}\n SUCCESS: ${space.configFile} is valid prometheus config file syntax\n\n`,
    });
    space.configure('global: {nope: 1}\n');
    const bad = await run('tool', 'check', 'config', space.configFile);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/FAILED: .*prometheus\.yml:1:10: /);
  });

  test('the data directory of another server: says so, exit 1', async () => {
    space.configure('');
    const first = await space.start();
    const outcome = await serve('--web.listen-address=127.0.0.1:0');
    await first.stop();
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('lock');
  });
});
