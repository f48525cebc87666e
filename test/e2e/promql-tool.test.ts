/** `narthex tool promql`, beside promtool where that is installed. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { narthex } from '../support/program.ts';
import { currentPeer } from '../support/require.ts';

const promtool = currentPeer('promtool');

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

function run(command: string[], args: string[]): Ended {
  const [program = '', ...first] = command;
  const { status, stdout, stderr } = spawnSync(program, [...first, ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

const ours = (...args: string[]) => run(narthex, ['tool', 'promql', ...args]);

const wide = `sum by (job) (rate(${'x'.repeat(60)}{job="a"}[5m])) / on (job) group_left (b) sum(y offset 5m) without (${'z'.repeat(40)})`;

/** What to run, and what is printed. */
const cases: [args: string[], code: number, out: string][] = [
  [['--experimental', 'format', 'sum(up)by(job)'], 0, 'sum by (job) (up)\n'],
  [['format', '--experimental', 'up'], 0, 'up\n'],
  [['format', 'up'], 1, ''],
  [['--experimental', 'format', 'up['], 1, ''],
  [['--experimental', 'format', ''], 1, ''],
  [['--experimental', 'format', 'a +\nb c'], 1, ''],
  [['--experimental', 'format', '--', '-up'], 0, '-up\n'],
  [['--experimental', 'format', 'limitk(1, x)'], 1, ''],
  [['--experimental', '--enable-feature=promql-experimental-functions', 'format', 'limitk(1,x)'], 0, 'limitk(1, x)\n'],
  [['--experimental', 'label-matchers', 'set', 'a/b{j="k"}', 'j', 'l'], 0, 'a{j="l"} / b{j="l"}\n'],
  [['--experimental', 'label-matchers', 'set', '-t', '!~', 'rate(a[5m])', 'j', 'l"'], 0, 'rate(a{j!~"l\\""}[5m])\n'],
  [['--experimental', 'label-matchers', 'set', '--type==~', 'a', 'x y', 'l'], 0, 'a{"x y"=~"l"}\n'],
  [['--experimental', 'label-matchers', 'delete', 'a{j="l",k="m"}[5m:1m]', 'j'], 0, 'a{k="m"}[5m:1m]\n'],
  [['label-matchers', 'delete', 'a', 'j'], 1, ''],
];

test.each(cases)('%j', (args, code, out) => {
  const found = ours(...args);
  expect({ ...found, err: '' }).toEqual({ code, out, err: '' });
});

test('queries that would be none any more are refused', () => {
  expect(ours('--experimental', 'label-matchers', 'set', '-t', '=~', 'up', 'a', '(')).toMatchObject({
    code: 1,
    out: '',
  });
  expect(ours('--experimental', 'label-matchers', 'delete', '{a="b"}', 'a')).toMatchObject({ code: 1, out: '' });
});

test('a wrong command line ends with 1', () => {
  expect(ours('--experimental', 'format').code).toBe(1);
  expect(ours('--experimental', 'label-matchers', 'set', '-t', '<', 'a', 'b', 'c').code).toBe(1);
  expect(ours('--experimental', '--enable-feature=nosuch', 'format', 'a')).toMatchObject({
    code: 0,
    out: 'a\n',
    err: '  WARNING: Unknown feature passed to --enable-feature: nosuch\n',
  });
});

test.skipIf(promtool === undefined)('is what promtool prints', () => {
  const alike = [...cases.map(([args]) => args), ['--experimental', 'format', wide]];
  for (const args of alike) {
    expect([args, ours(...args)]).toEqual([args, run([promtool ?? ''], promtoolArgs(args))]);
  }
});

/** promtool takes the flags for all commands before the command. */
function promtoolArgs(args: string[]): string[] {
  const isGlobal = (arg: string) => arg === '--experimental' || arg.startsWith('--enable-feature');
  return [...args.filter(isGlobal), 'promql', ...args.filter((arg) => !isGlobal(arg))];
}
