/** Selectors applied to label sets here rather than in the database: for targets. */

import type { Engine, LabelSet, RelabelRule } from '../core/engine.ts';
import { EngineError } from '../core/errors.ts';

interface Matcher {
  name: string;
  type: '=' | '!=' | '=~' | '!~';
  value: string;
}

/** A test for label sets from a selector such as `{job="a"}`; throws `QUERY_PARSE`. */
export async function selectorTest(engine: Engine, selector: string): Promise<(labels: LabelSet) => boolean> {
  engine.checkSelector(selector);
  const matchers = (await matchersOf(engine, selector)) ?? (await matchersOf(engine, withMatcher(selector))) ?? [];
  const wanted = matchers.filter(({ name }) => name !== EXTRA_LABEL);
  const tests = wanted.map((matcher) => matcherTest(engine, matcher));
  return (labels) => tests.every((test) => test(labels));
}

/** The label of a matcher that makes any selector a query. */
const EXTRA_LABEL = '__narthex_any__';

/** A selector without a name, with one matcher more. */
function withMatcher(selector: string): string {
  return selector.trim().replace(/^\{/, `{${EXTRA_LABEL}="x",`);
}

/** The matchers of a valid selector; `undefined` where all match the empty string: that is no query. */
async function matchersOf(engine: Engine, selector: string): Promise<Matcher[] | undefined> {
  try {
    return (JSON.parse(await engine.parseQueryJson(selector)) as { matchers?: Matcher[] }).matchers;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'QUERY_PARSE') return undefined;
    throw error;
  }
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
