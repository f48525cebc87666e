/** `narthex tsdb` and `narthex tool tsdb` as a script meets them: arguments, output, exit codes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { narthex } from '../support/program.ts';

const scratch = mkdtempSync(join(tmpdir(), 'narthex-tsdb-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

async function tsdb(args: string[], input?: string): Promise<Ended> {
  const [program = '', ...first] = narthex;
  const child = spawn(program, [...first, ...args], { cwd: scratch, stdio: 'pipe' });
  const ended: Ended = { code: null, out: '', err: '' };
  child.stdout.on('data', (piece: Buffer) => {
    ended.out += piece.toString();
  });
  child.stderr.on('data', (piece: Buffer) => {
    ended.err += piece.toString();
  });
  child.stdin.end(input);
  [ended.code] = (await once(child, 'close')) as [number | null];
  return ended;
}

const TEXT = ['# TYPE a gauge', 'a{x="1"} 1 1000', 'a{x="1"} 2 10000', 'b{x="<2>"} -0.5 10000.25', '# EOF', ''].join(
  '\n',
);

describe('a directory made by create-blocks-from', () => {
  beforeAll(async () => {
    writeFileSync(join(scratch, 'in.om'), TEXT);
    const made = await tsdb(['tsdb', 'create-blocks-from', 'openmetrics', '--label=job=j', 'in.om', 'made']);
    expect(made).toMatchObject({ code: 0, err: '' });
    const [heading, ...rows] = made.out.trimEnd().split('\n');
    expect(heading).toMatch(/^BLOCK ULID {18}MIN TIME {5}MAX TIME {5}DURATION {5}NUM SAMPLES {2}NUM CHUNKS/);
    expect(rows.map((row) => row.split(/ +/).slice(1, 7))).toEqual([
      ['1000000', '1000001', '1ms', '1', '1', '1'],
      ['10000000', '10000251', '251ms', '2', '2', '2'],
    ]);
  });

  test.each([
    [
      'dump',
      [],
      '{__name__="a", job="j", x="1"} 1 1000000\n{__name__="a", job="j", x="1"} 2 10000000\n{__name__="b", job="j", x="<2>"} -0.5 10000250\n',
    ],
    ['dump', ['--match={x="<2>"}', '--match=b'], '{__name__="b", job="j", x="<2>"} -0.5 10000250\n'],
    ['dump', ['--min-time=2', '--max-time=1000000'], '{__name__="a", job="j", x="1"} 1 1000000\n'],
    ['dump', ['--format=seriesjson', '--match=b'], '{"__name__":"b","job":"j","x":"\\u003c2\\u003e"}\n'],
    ['dump-openmetrics', ['--match=b'], 'b{job="j",x="<2>"} -0.5 10000.250\n# EOF\n'],
    ['verify', [], '2 blocks, 3 series, 3 chunks, 3 samples, 0 log records: nothing is wrong\n'],
    ['verify', ['--json'], '{"blocks":2,"series":3,"chunks":3,"samples":3,"records":0,"findings":0}\n'],
  ])('%s %j', async (command, flags, out) => {
    expect(await tsdb(['tsdb', command, 'made', ...flags])).toEqual({ code: 0, out, err: '' });
  });

  test('list for people, under the other name', async () => {
    const listed = await tsdb(['tool', 'tsdb', 'list', '-r', 'made']);
    expect(listed).toMatchObject({ code: 0, err: '' });
    expect(listed.out.split('\n')[1]).toMatch(/ 1970-01-01 00:16:40 \+0000 UTC .* \d+B$/);
  });

  test('analyze takes a block, a limit and a selector', async () => {
    const [first = ''] = readdirSync(join(scratch, 'made')).filter((name) => {
      const meta = readFileSync(join(scratch, 'made', name, 'meta.json'), 'utf8');
      return meta.includes('"minTime": 1000000,');
    });
    const analyzed = await tsdb(['tsdb', 'analyze', 'made', first, '--limit=1', '--match={x="1"}', '--extended']);
    expect(analyzed).toMatchObject({ code: 0, err: '' });
    expect(analyzed.out).toContain(`Block ID: ${first}\nDuration: 1ms\nTotal Series: 1\nMatcher: {x="1"}\n`);
    expect(analyzed.out).toContain('Most common label pairs:\n1 __name__=a\n\n');
    expect(analyzed.out).toContain('samples per float chunk (min/avg/max): 1/1/1\n');
  });

  test('verify says what is wrong where, and exits with 1', async () => {
    mkdirSync(join(scratch, 'bad'));
    const [block = ''] = readdirSync(join(scratch, 'made'));
    mkdirSync(join(scratch, 'bad', block, 'chunks'), { recursive: true });
    for (const file of ['meta.json', 'tombstones', 'index', 'chunks/000001']) {
      copyFileSync(join(scratch, 'made', block, file), join(scratch, 'bad', block, file));
    }
    const chunks = join(scratch, 'bad', block, 'chunks', '000001');
    const bytes = readFileSync(chunks);
    bytes[12] = (bytes[12] ?? 0) ^ 1;
    writeFileSync(chunks, bytes);
    const text = await tsdb(['tsdb', 'verify', 'bad']);
    expect(text).toMatchObject({ code: 1, err: '' });
    expect(text.out).toContain(`bad/${block}/chunks/000001 at offset 8: chunk: `);
    const json = await tsdb(['tsdb', 'verify', '--json', 'bad']);
    expect(json.code).toBe(1);
    const lines = json.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines[0]).toMatchObject({ path: `bad/${block}/chunks/000001`, offset: 8, kind: 'chunk' });
    expect(lines.at(-1)).toMatchObject({ blocks: 1, findings: lines.length - 1 });
  });
});

test('create-blocks-from reads a pipe, prints nothing if asked to, and makes longer blocks', async () => {
  const flags = ['--max-block-duration=7h', '-q'];
  const made = await tsdb(['tsdb', 'create-blocks-from', 'openmetrics', '/dev/stdin', 'piped', ...flags], TEXT);
  expect(made).toEqual({ code: 0, out: '', err: '' });
  expect(readdirSync(join(scratch, 'piped'))).toHaveLength(1);
});

test('bench write tells what promtool tells', async () => {
  const told = await tsdb(['tsdb', 'bench', 'write', '--metrics=20', '--scrapes=100']);
  expect(told).toMatchObject({ code: 0, err: '' });
  const lines = told.out.replaceAll(/duration=\S+/g, 'duration=D').replace(/sec: \S+/, 'sec: N');
  expect(lines).toBe(
    [
      '>> start stage=readData',
      '>> completed stage=readData duration=D',
      '>> start stage=ingestScrapes',
      'ingestion completed',
      '>> completed stage=ingestScrapes duration=D',
      ' > total samples: 2000',
      ' > samples/sec: N',
      '>> start stage=stopStorage',
      '>> completed stage=stopStorage duration=D',
      '',
    ].join('\n'),
  );
  expect(readdirSync(join(scratch, 'benchout'))).toEqual(['storage']);
});

describe('what cannot be done', () => {
  const create = ['create-blocks-from', 'openmetrics'];
  const rules = ['create-blocks-from', 'rules'];
  test.each<[string[], number, string]>([
    [['list', 'nowhere'], 1, 'opening the db dir: stat nowhere: no such file or directory\n'],
    [['list', '--foo'], 1, "unknown option '--foo'"],
    [['dump', '--format=x', '.'], 1, "argument 'x' is invalid"],
    [['dump', '--min-time=x', '.'], 1, 'strconv.ParseInt: parsing "x": invalid syntax'],
    [['dump', '--match={', '.'], 1, 'unexpected'],
    [['analyze', '.', 'X'], 1, 'invalid block ID X'],
    [['verify', 'nowhere'], 2, 'opening the db dir: stat nowhere: no such file or directory\n'],
    [['verify', '--foo'], 2, "unknown option '--foo'"],
    [create, 1, "missing required argument 'input file'"],
    [[...create, 'nowhere'], 1, 'stat nowhere: no such file or directory\n'],
    [[...create, '.'], 1, 'read .: is a directory\n'],
    [[...create, '--label=a', 'in.om'], 1, "expected KEY=VALUE got 'a'"],
    [[...create, '--max-block-duration=2d', 'in.om'], 1, 'time: invalid duration "2d"'],
    [[...rules, '--start=1'], 1, "missing required argument 'rule-files'"],
    [[...rules, 'r.yml'], 1, "required option '--start <time>' not specified"],
    [[...rules, '--start=x', 'r.yml'], 1, 'error parsing start time: cannot parse "x" to a valid timestamp'],
    [[...rules, '--start=2', '--end=1', 'r.yml'], 1, 'start time is not before end time\n'],
    [[...rules, '--start=1', 'nowhere.yml'], 1, 'rule importer parse error: ENOENT: no such file or directory'],
  ])('%j', async (args, code, message) => {
    const ended = await tsdb(['tsdb', ...args]);
    expect(ended).toMatchObject({ code, out: '' });
    expect(ended.err).toContain(message);
  });

  test('a rule file with a mistake names its place; an API that is not there fails each rule', async () => {
    const file = join(scratch, 'rules.yml');
    const write = (expr: string) =>
      writeFileSync(file, `groups:\n- name: g\n  rules:\n  - {record: r, expr: '${expr}'}\n`);
    const flags = ['--start=1767225600', '--end=1767229200', '--url=http://127.0.0.1:1', '--output-dir=rules'];
    write('sum(up');
    const wrong = await tsdb(['tsdb', ...rules, ...flags, 'rules.yml']);
    expect(wrong.err).toContain('rule importer parse error: rules.yml:4:');
    write('sum(up)');
    const absent = await tsdb(['tsdb', ...rules, ...flags, 'rules.yml']);
    expect(absent).toMatchObject({ code: 1, out: '' });
    expect(absent.err).toMatch(
      /^rule importer error: r: query range: Post ".*\/api\/v1\/query_range": dial tcp .*: connect: connection refused\nerror importing rules\n$/,
    );
  });
});
