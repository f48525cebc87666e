/** Selectors applied to label sets here rather than in the database: for targets. */

import type { Engine, LabelSet, RelabelRule } from '../core/engine.ts';
import { EngineError } from '../core/errors.ts';

interface Matcher {
  name: string;
  type: '=' | '!=' | '=~' | '!~';
  value: string;
}

/** A test for label sets from a selector such as `{job="a"}`; throws `QUERY_PARSE`. */
export function selectorTest(engine: Engine, selector: string): (labels: LabelSet) => boolean {
  engine.checkSelector(selector);
  const tree: unknown = JSON.parse(engine.parseQueryJson(selector));
  const matchers = (tree as { matchers?: Matcher[] }).matchers;
  if (matchers === undefined) throw new EngineError('QUERY_PARSE', 'expected a series selector');
  const tests = matchers.map((matcher) => matcherTest(engine, matcher));
  return (labels) => tests.every((test) => test(labels));
}

/** Regular expressions are matched by the core, in Go's syntax, as a relabelling rule. */
function matcherTest(engine: Engine, { name, type, value }: Matcher): (labels: LabelSet) => boolean {
  if (type === '=') return (labels) => (labels[name] ?? '') === value;
  if (type === '!=') return (labels) => (labels[name] ?? '') !== value;
  const rule: RelabelRule = {
    sourceLabels: [name],
    separator: ';',
    regex: value,
    modulus: 0,
    targetLabel: '',
    replacement: '$1',
    action: type === '=~' ? 'keep' : 'drop',
  };
  const relabeler = engine.relabeler([rule], 'utf8');
  return (labels) => relabeler.apply([labels])[0] !== null;
}
