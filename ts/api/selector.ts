/** Selectors applied to label sets here rather than in the database: for targets. */

import type { Engine, LabelSet, RelabelRule } from '../core/engine.ts';
import { EngineError } from '../core/errors.ts';
import { ApiError } from './errors.ts';

interface Matcher {
  name: string;
  type: '=' | '!=' | '=~' | '!~';
  value: string;
}

/**
 * Checks the selectors of match[]: each must be one, and match some label that is not empty. Throws
 * `QUERY_PARSE`, or an `ApiError` in Prometheus' words.
 */
export function checkMatchers(engine: Engine, selectors: readonly string[]): void {
  for (const selector of selectors) engine.checkSelector(selector);
  for (const selector of selectors) {
    if (matchersOf(engine, selector) === undefined) {
      throw ApiError.badData('match[] must contain at least one non-empty matcher');
    }
  }
}

/** A test for label sets from a selector such as `{job="a"}`; throws `QUERY_PARSE`. */
export function selectorTest(engine: Engine, selector: string): (labels: LabelSet) => boolean {
  engine.checkSelector(selector);
  const matchers = matchersOf(engine, selector) ?? matchersOf(engine, withMatcher(selector)) ?? [];
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
function matchersOf(engine: Engine, selector: string): Matcher[] | undefined {
  try {
    return (JSON.parse(engine.parseQueryJson(selector)) as { matchers?: Matcher[] }).matchers;
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
