import { describe, expect, test } from 'vitest';
import { ConfigError } from './errors.ts';
import { parseRuleFile } from './rule-file.ts';

const check = (query: string) =>
  query.includes('(') === query.includes(')') ? undefined : 'unclosed left parenthesis';
const parse = (lines: string[]) => parseRuleFile(`${lines.join('\n')}\n`, 'r.yml', check);
const rule = (...lines: string[]) => ['groups:', '- name: g', '  rules:', ...lines.map((line) => `  ${line}`)];

describe('files of rules', () => {
  test('groups with their defaults', () => {
    const groups = parse([
      'groups:',
      '- name: g',
      '  interval: 1m',
      '  labels: {team: a}',
      '  rules:',
      '  - {record: "job:up:sum", expr: sum(up), labels: {severity: 1}}',
      '  - {alert: Down, expr: up == 0, for: 5m, annotations: {summary: x}}',
    ]);
    const common = { for: 0, keep_firing_for: 0, labels: {}, annotations: {} };
    expect(groups).toEqual([
      {
        name: 'g',
        interval: 60_000,
        query_offset: undefined,
        limit: 0,
        labels: { team: 'a' },
        rules: [
          { ...common, record: 'job:up:sum', alert: '', expr: 'sum(up)', labels: { severity: '1' } },
          { ...common, record: '', alert: 'Down', expr: 'up == 0', for: 300_000, annotations: { summary: 'x' } },
        ],
      },
    ]);
    expect(parse([''])).toEqual([]);
  });

  test.each<[string, string[], string]>([
    [
      'both names',
      rule('- {record: a, alert: b, expr: up}'),
      '4:6: group "g", rule 1, "b": only one of \'record\' and \'alert\' must be set',
    ],
    ['no name', rule('- {expr: up}'), "one of 'record' or 'alert' must be set"],
    ['no expression', rule('- record: a'), "field 'expr' must be set in rule"],
    [
      'a wrong expression',
      rule('- record: a', '  expr: sum(up'),
      '5:5: group "g", rule 1, "a": could not parse expression: unclosed left parenthesis',
    ],
    [
      'braces',
      rule('- {record: "a{b}", expr: up}'),
      'braces present in the recording rule name; should it be in expr?: a{b}',
    ],
    ['for', rule('- {record: a, expr: up, for: 1m}'), "invalid field 'for' in recording rule"],
    [
      'annotations',
      rule('- {record: a, expr: up, annotations: {b: c}}'),
      "invalid field 'annotations' in recording rule",
    ],
    ['a label', rule('- {record: a, expr: up, labels: {__name__: c}}'), 'invalid label name: __name__'],
    ['a group twice', ['groups:', '- name: g', '- name: g'], '3:3: groupname: "g" is repeated in the same file'],
    ['an unknown key', rule('- {record: a, expr: up, labls: {}}'), 'field labls not found'],
    ['a group without a name', ['groups:', '- rules: []'], 'Groupname must not be empty'],
  ])('%s', (_, lines, message) => {
    expect(() => parse(lines)).toThrow(ConfigError);
    expect(() => parse(lines)).toThrow(message);
    expect(() => parse(lines)).toThrow(/^r\.yml:\d+:\d+: /);
  });
});
