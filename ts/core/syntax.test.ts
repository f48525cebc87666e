/** The syntax services, in the addon and in WASM. */
import { describe, expect, test } from 'vitest';
import { wasmBuild } from '../../test/support/require.ts';
import { EngineError, openSyntax, type Syntax } from './index.ts';
import { loadSyntax } from './wasm-syntax.ts';

type Load = (options?: Parameters<typeof openSyntax>[0]) => Promise<Syntax>;
const kinds: { kind: string; isThere: boolean; load: Load }[] = [
  { kind: 'native', isThere: true, load: async (options) => openSyntax(options) },
  { kind: 'wasm', isThere: wasmBuild('wasm/syntax.wasm') !== undefined, load: loadSyntax },
];

describe.each(kinds)('$kind', async ({ isThere, load }) => {
  // What is absent, and why, has been said by `wasmBuild`.
  if (!isThere) return test.skip('absent', () => {});
  const syntax = await load();

  test('queries are checked, formatted and parsed without a database', () => {
    expect(syntax.check('sum(up)')).toBeUndefined();
    expect(syntax.check('sum(')).toBe('1:5: parse error: unclosed left parenthesis');
    expect(syntax.formatQuery('sum(up)by(a)')).toBe('sum by (a) (up)');
    expect(JSON.parse(syntax.parseQueryJson('1'))).toEqual({ type: 'numberLiteral', val: '1' });
    expect(() => syntax.formatQuery('{')).toThrow(EngineError);
  });

  test('features switch parts of the language on', async () => {
    const query = 'mad_over_time(x[5m])';
    expect(syntax.check(query)).toBe('1:1: parse error: function "mad_over_time" is not enabled');
    expect((await load({ features: ['promql-experimental-functions'] })).check(query)).toBeUndefined();
    await expect(load({ features: ['nosuch' as 'st-storage'] })).rejects.toThrow(/unknown feature "nosuch"/);
  });

  test('label matchers are set and deleted, unless no query would be left', () => {
    expect(syntax.setLabelMatcher('a / b{job="x"}', 'job', '=~', 'y|z')).toBe('a{job=~"y|z"} / b{job=~"y|z"}');
    expect(syntax.deleteLabelMatchers('a / b{job="x"}', 'job')).toBe('a / b');
    expect(() => syntax.setLabelMatcher('a', 'job', '=~', '(')).toThrow(/missing closing \)/);
    expect(() => syntax.deleteLabelMatchers('{job="x"}', 'job')).toThrow(/the edited query is invalid/);
  });

  test('completion counts as JavaScript does', () => {
    const text = 'count({a="𝄞"}) by (b';
    const [label] = syntax.complete(text, text.length);
    expect(label).toEqual({
      kind: 'labelName',
      from: text.length - 1,
      to: text.length,
      place: 'grouping',
      quote: null,
      metric: null,
      selectors: ['{a="𝄞"}'],
    });
    expect(syntax.complete('up{job=~"x', 10)).toEqual([
      {
        kind: 'labelValue',
        from: 9,
        to: 10,
        label: 'job',
        quote: '"',
        metric: 'up',
        selectors: ['{__name__="up"}'],
      },
    ]);
    expect(syntax.complete('', 0).map((c) => c.kind)).toEqual(['metricName', 'function', 'aggregation']);
    for (const cursor of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e300]) {
      expect(syntax.complete('up ', cursor).length).toBeGreaterThan(0);
    }
  });
});
