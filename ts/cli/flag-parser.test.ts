import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addFlags, type FlagValues, flagValues, plainSwitches } from './flag-parser.ts';
import { SERVER_FLAGS } from './server-flags.ts';

function parse(...args: string[]): FlagValues {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  addFlags(command, SERVER_FLAGS);
  command.parse(plainSwitches(args, SERVER_FLAGS), { from: 'user' });
  return flagValues(command, SERVER_FLAGS);
}

describe('flags', () => {
  it("have Prometheus' defaults", () => {
    const flags = parse();
    expect(flags.given.size).toBe(0);
    expect(flags.shown()).toMatchObject({
      'config.file': 'prometheus.yml',
      'query.lookback-delta': '5m',
      'query.max-samples': '50000000',
      'storage.remote.read-sample-limit': '50000000',
      'storage.tsdb.path': 'data/',
      'storage.tsdb.retention.size': '0B',
      'storage.tsdb.wal-compression': 'true',
      'web.enable-lifecycle': 'false',
      'web.listen-address': '0.0.0.0:9090',
    });
  });

  it('are read in their units', () => {
    const flags = parse('--query.timeout=1m30s', '--storage.tsdb.retention.size', '1KB', '--query.max-samples=5e7');
    expect(flags.number('query.timeout')).toBe(90_000);
    expect(flags.number('storage.tsdb.retention.size')).toBe(1024);
    expect(flags.number('query.max-samples')).toBe(50_000_000);
  });

  const switches: [string[], boolean][] = [
    [['--web.enable-lifecycle'], true],
    [['--no-web.enable-lifecycle'], false],
    [['--web.enable-lifecycle=true'], true],
    [['--web.enable-lifecycle', '--web.enable-lifecycle=false'], false],
  ];
  it.each(switches)('%s switches', (args, on) => {
    expect(parse(...args).bool('web.enable-lifecycle')).toBe(on);
  });

  it('may be repeated where they are lists', () => {
    const flags = parse('--web.listen-address=:1', '--web.listen-address=:2', '--enable-feature=a,b');
    expect(flags.list('web.listen-address')).toEqual([':1', ':2']);
    expect(flags.shown()['enable-feature']).toBe('a,b');
  });

  const wrong: [string[], RegExp][] = [
    [['--query.timeout=x'], /not a valid duration string: "x"/],
    [['--query.timeout=1m', '--query.timeout=2m'], /flag 'query\.timeout' cannot be repeated/],
    [['--storage.tsdb.retention.size=x'], /units: invalid x/],
    [['--storage.tsdb.wal-compression-type=lz4'], /enum value must be one of snappy,zstd, got 'lz4'/],
    [['--query.timeout'], /argument missing/],
    [['--nope'], /unknown option/],
  ];
  it.each(wrong)('%s is refused', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });
});
