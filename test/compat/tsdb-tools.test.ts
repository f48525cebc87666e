/**
 * `narthex tsdb` beside promtool 3.16: the same output from the same directories, the same samples in blocks made of
 * the same input.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { narthex, type Running, startServer } from '../support/program.ts';
import { conformance, currentPeer } from '../support/require.ts';

const vectors = conformance('tsdb');
const promtool = currentPeer('promtool');
const scratch = mkdtempSync(join(tmpdir(), 'narthex-tools-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Ended {
  code: number;
  out: string;
  err: string;
}

function run(command: string[], args: string[]): Promise<Ended> {
  const [program = '', ...first] = command;
  return new Promise((resolve) => {
    execFile(program, [...first, 'tsdb', ...args], { cwd: scratch, maxBuffer: 1 << 28 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, out, err });
    });
  });
}

async function both(args: string[]): Promise<{ ours: Ended; theirs: Ended }> {
  return { ours: await run(narthex, args), theirs: await run([promtool ?? ''], args) };
}

const sortedLines = (text: string) => text.split('\n').toSorted().join('\n');

/** Lists of analyze with entries of equal number in order of name: promtool has them in any order, a new one each run. */
function orderTies(text: string): string {
  const lines = text.split('\n');
  const entry = /^(\d+) (.*)$/;
  for (let start = 0; start < lines.length; start++) {
    const number = entry.exec(lines[start] ?? '')?.[1];
    let end = start + 1;
    while (number !== undefined && entry.exec(lines[end] ?? '')?.[1] === number) end++;
    lines.splice(start, end - start, ...lines.slice(start, end).toSorted());
    start = end - 1;
  }
  return lines.join('\n');
}

/** Only the numbers of the lists: which of several with the same number comes under a limit is anybody's guess. */
const onlyNumbers = (text: string) => text.replaceAll(/^(\d+) .*$/gm, '$1');

const asItIs = (text: string) => text;
const commands: [args: string[], normalize: (text: string) => string][] = [
  [['list'], asItIs],
  [['list', '-r'], asItIs],
  [['analyze', '--extended', '--limit=100000'], orderTies],
  [['analyze'], onlyNumbers],
  [['analyze', '--limit=100000', '--match={__name__=~".*e.*",__name__!=""}'], orderTies],
  [['dump'], asItIs],
  [['dump', '--min-time=1767227000000', '--max-time=1767229000000', '--match={__name__=~"[a-m].*"}'], asItIs],
  [['dump', '--format=seriesjson'], asItIs],
  [['dump-openmetrics'], asItIs],
];

/** Directories and how promtool's output is to be read there. */
const directories: Record<string, { skip?: string[]; panics?: string; unordered?: boolean }> = {
  'a-blocks-wal': {},
  'a2-checkpoint': {},
  'b-histograms': {},
  // promtool does not read the log of late samples, and so leaves out a third of the samples.
  'c-out-of-order': { skip: ['dump', 'dump-openmetrics'] },
  'd-xor2': {},
  'd2-xor2-start-timestamps': {},
  // promtool panics where deleted intervals lie around the span asked for.
  'e-tombstones': { panics: '--min-time=1767227000000' },
  'e-tombstones-cleaned': {},
  // Without blocks promtool prints the head's series in the order in which it has hashed them.
  'f-torn-head-chunk': { unordered: true },
};

describe.skipIf(vectors === undefined || promtool === undefined).each(Object.entries(directories))(
  '%s',
  (name, { skip = [], panics, unordered = false }) => {
    beforeAll(() => {
      mkdirSync(join(scratch, name));
      execFileSync('tar', ['-xzf', join(vectors ?? '', name, 'data.tar.gz'), '-C', join(scratch, name)]);
    });

    test.each(commands.filter(([[command]]) => !skip.includes(command ?? '')))(
      '%j prints what promtool prints',
      { timeout: 60_000 },
      async ([command = '', ...flags], normalize) => {
        const { ours, theirs } = await both([command, ...flags, join(name, 'data')]);
        const read = (text: string) => normalize(unordered ? sortedLines(text) : text);
        if (panics !== undefined && flags.includes(panics)) {
          expect(theirs.err).toContain('panic: ');
          expect(ours.code).toBe(0);
          return;
        }
        expect(ours.code).toBe(theirs.code);
        expect(read(ours.out) === read(theirs.out), 'the outputs differ').toBe(true);
        expect(theirs.code === 1 || ours.out.length > 0).toBe(true);
      },
    );
  },
);

describe.skipIf(vectors === undefined || promtool === undefined)('a torn log', () => {
  test.each(['f-torn-cut', 'f-torn-flip', 'f-torn-page-boundary', 'f-torn-zero'])(
    '%s: dump fails as promtool does, but prints what can be read',
    async (name) => {
      mkdirSync(join(scratch, name));
      execFileSync('tar', ['-xzf', join(vectors ?? '', name, 'data.tar.gz'), '-C', join(scratch, name)]);
      const { ours, theirs } = await both(['dump', join(name, 'data')]);
      expect([ours.code, theirs.code]).toEqual([1, 1]);
      expect(ours.err).toContain('the write-ahead log is damaged');
      const recovered = gunzipSync(readFileSync(join(vectors ?? '', name, 'dump.txt.gz'))).toString();
      const lines = (text: string) => text.trimEnd().split('\n').toSorted();
      expect(lines(ours.out).length).toBe(lines(recovered).length);
    },
  );
});

/** OpenMetrics of every type over 30 blocks, more than a piece, with an exemplar, a stale marker and odd names. */
function openMetrics(): string {
  const lines: string[] = [];
  const at = (i: number) => `${1_767_225_600 + i * 60}.${String(i % 1000).padStart(3, '0')}`;
  lines.push('# HELP c A counter.', '# TYPE c counter');
  for (let i = 0; i < 3600; i++) lines.push(`c_total{path="/a"} ${i * 3} ${at(i)} # {trace="t${i}"} 1 ${at(i)}`);
  lines.push(`c_created{path="/a"} 1767225600 ${at(1)}`);
  lines.push('# TYPE h histogram', '# UNIT h ');
  for (const le of ['0.1', '1', '+Inf']) {
    for (let i = 0; i < 3600; i += 2) lines.push(`h_bucket{le="${le}"} ${i} ${at(i)}`);
  }
  lines.push('# TYPE g gauge');
  for (let i = 0; i < 3600; i++) {
    for (let s = 0; s < 3; s++) lines.push(`{"g.ü",instance="host ${s}",empty=""} ${Math.sin(i * s) * 1e6} ${at(i)}`);
  }
  lines.push('# TYPE s summary');
  for (let i = 0; i < 100; i++) lines.push(`s{quantile="0.50"} ${i % 7 === 0 ? 'NaN' : i / 3} ${at(i)}`);
  lines.push('# EOF', '');
  return lines.join('\n');
}

describe.skipIf(promtool === undefined)('create-blocks-from openmetrics', () => {
  const metaOf = (dir: string) =>
    readdirSync(join(scratch, dir))
      .filter((name) => name.length === 26)
      .map((name) => JSON.parse(readFileSync(join(scratch, dir, name, 'meta.json'), 'utf8')))
      .map((meta) => ({ from: meta.minTime, to: meta.maxTime, stats: meta.stats, level: meta.compaction.level }))
      .toSorted((a, b) => a.from - b.from);

  test.each([[[]], [['--max-block-duration=20h', '--label=job=backfill', '--label=quantile=']]])(
    'with %j makes the blocks that promtool makes',
    { timeout: 120_000 },
    async (flags: string[]) => {
      const [ours, theirs] = [`ours${flags.length}`, `theirs${flags.length}`];
      writeFileSync(join(scratch, 'in.om'), openMetrics());
      const command = ['create-blocks-from', 'openmetrics', ...flags, 'in.om'];
      const made = await run(narthex, [...command, ours]);
      const peer = await run([promtool ?? ''], [...command, theirs]);
      expect(made).toMatchObject({ code: 0, err: '' });
      expect(peer).toMatchObject({ code: 0, err: '' });
      const table = (text: string) => text.replaceAll(/^\S{26}/gm, '');
      expect(table(made.out)).toBe(table(peer.out));
      expect(metaOf(ours)).toEqual(metaOf(theirs));
      expect(metaOf(ours).length).toBe(flags.length === 0 ? 30 : 4);
      // promtool only dumps where there is a log.
      for (const dir of [ours, theirs]) mkdirSync(join(scratch, dir, 'wal'));
      const dumps = [await run(narthex, ['dump', ours]), await run([promtool ?? ''], ['dump', ours])];
      const want = await run([promtool ?? ''], ['dump', theirs]);
      expect(want.out.split('\n').length).toBeGreaterThan(15_000);
      for (const dump of dumps) expect(dump.out === want.out, 'the samples differ').toBe(true);
      const names = ['index', 'chunks/000001', 'tombstones'];
      for (const [i, name] of [...blocks(ours).keys()].entries()) {
        for (const file of names) {
          const same = readFileSync(join(name, file)).equals(
            readFileSync(join([...blocks(theirs).keys()][i] ?? '', file)),
          );
          expect(same, `${file} of block ${i}`).toBe(true);
        }
      }
      expect(await run(narthex, ['verify', ours])).toMatchObject({ code: 0 });
    },
  );

  /** Directories of blocks in order of their time. */
  function blocks(dir: string): Map<string, number> {
    const names = readdirSync(join(scratch, dir)).filter((name) => name.length === 26);
    const found = names.map((name): [string, number] => {
      const path = join(scratch, dir, name);
      return [path, JSON.parse(readFileSync(join(path, 'meta.json'), 'utf8')).minTime as number];
    });
    return new Map(found.toSorted((a, b) => a[1] - b[1]));
  }
});

describe.skipIf(promtool === undefined)('create-blocks-from rules', () => {
  let server: Running;
  beforeAll(async () => {
    const data = ['a{i="1"}', 'a{i="2"}', 'b{i="1"}'].flatMap((series, s) =>
      Array.from({ length: 5 * 240 }, (_, i) => `${series} ${i * (s + 1)} ${1_767_225_600 + i * 15}`),
    );
    writeFileSync(join(scratch, 'data.om'), `${data.join('\n')}\n# EOF\n`);
    const made = await run(narthex, ['create-blocks-from', 'openmetrics', '-q', 'data.om', 'served']);
    expect(made.code).toBe(0);
    writeFileSync(join(scratch, 'empty.yml'), '');
    server = await startServer([
      ...narthex,
      'server',
      `--config.file=${join(scratch, 'empty.yml')}`,
      `--storage.tsdb.path=${join(scratch, 'served')}`,
      '--storage.tsdb.retention.time=100y',
    ]);
  });
  afterAll(() => server?.stop());

  test('writes the samples that promtool writes from the same server', { timeout: 60_000 }, async () => {
    writeFileSync(
      join(scratch, 'rules.yml'),
      [
        'groups:',
        '- name: first',
        '  labels: {team: a, tier: group}',
        '  rules:',
        '  - {record: "i:a:sum", expr: "sum by (i) (a)", labels: {tier: rule}}',
        '  - {record: "b:rate", expr: "rate(b[5m]) / 0"}',
        '- name: slower',
        '  interval: 5m',
        '  rules:',
        '  - {record: "count", expr: "count({__name__=~\\"a|b\\"})"}',
        '',
      ].join('\n'),
    );
    const flags = ['--start=2026-01-01T00:30:00Z', '--end=1767240000', `--url=${server.url}/`, 'rules.yml'];
    const command = ['create-blocks-from', 'rules', ...flags];
    const made = await run(narthex, [...command, '--output-dir=ours-rules']);
    expect(made).toMatchObject({ code: 0, out: '' });
    expect(made.err).toMatch(/^b:rate: PromQL info: metric might not be a counter.*\n$/);
    expect(await run([promtool ?? ''], [...command, '--output-dir=theirs-rules'])).toMatchObject({ code: 0 });
    for (const dir of ['ours-rules', 'theirs-rules']) mkdirSync(join(scratch, dir, 'wal'), { recursive: true });
    const ours = await run([promtool ?? ''], ['dump', 'ours-rules']);
    const theirs = await run([promtool ?? ''], ['dump', 'theirs-rules']);
    expect(theirs.out.split('\n').length).toBeGreaterThan(500);
    expect(ours.out).toBe(theirs.out);
  });

  test('an expression that the server refuses fails its rule and no other', async () => {
    writeFileSync(
      join(scratch, 'mixed.yml'),
      'groups:\n- name: g\n  rules:\n  - {record: bad, expr: "a + on() a"}\n  - {record: good, expr: "sum(a)"}\n',
    );
    const flags = ['--start=1767225600', '--end=1767232000', `--url=${server.url}`, '--output-dir=mixed', 'mixed.yml'];
    const ended = await run(narthex, ['create-blocks-from', 'rules', ...flags]);
    expect(ended).toMatchObject({ code: 1, out: '' });
    expect(ended.err).toMatch(/^rule importer error: bad: query range: execution: .*\nerror importing rules\n$/s);
    const dump = await run(narthex, ['dump', 'mixed']);
    expect(dump.out).toContain('{__name__="good"} ');
    expect(dump.out).not.toContain('bad');
  });
});
