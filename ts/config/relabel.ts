/** Relabelling rules as the file has them. Applying them is the core's work. */

import { quote } from '../util/index.ts';
import { isValidLabelName, type ValidationScheme } from './names.ts';
import { isSet, object, reportAt } from './object.ts';
import { checkedText, type Decoding, Field, type Infer, list, type Type, text, texts, uint } from './schema.ts';

const ACTIONS = [
  'replace',
  'keep',
  'drop',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
] as const;

/** What a rule does. */
export type RelabelAction = (typeof ACTIONS)[number];

const DEFAULT_REGEX = '(.*)';
const DEFAULT_SEPARATOR = ';';
const DEFAULT_REPLACEMENT = '$1';

/** A regular expression; absent it is the default, which is not printed, and null it is empty. */
const regexType: Type<string | undefined> = {
  ...(text().type as Type<string | undefined>),
  zero: () => '',
  isZero: (value) => value === undefined,
};

const relabelFields = {
  source_labels: texts({ flow: true }),
  separator: text().default(DEFAULT_SEPARATOR).always(),
  regex: new Field(regexType, () => undefined),
  modulus: uint(),
  target_label: text(),
  replacement: text().default(DEFAULT_REPLACEMENT).always(),
  action: checkedText(
    (value) => {
      const action = value.toLowerCase();
      if ((ACTIONS as readonly string[]).includes(action)) return action;
      throw new Error(`unknown relabel action ${quote(value)}`);
    },
    { enum: ACTIONS },
  ).default('replace'),
};

/** A relabelling rule, defaults filled in. */
export type RelabelConfig = Infer<typeof relabelFields>;

const relabelType = object(relabelFields, {
  check(rule, report, decoding) {
    if (rule.regex === undefined) return;
    const wrong = decoding.checkRegex(rule.regex);
    if (wrong !== undefined) report(wrong, 'regex');
  },
});

/** A list of rules; `nullMessage` says what is wrong with an empty one. */
export const relabelConfigs = (nullMessage: string) => list(relabelType, { nullMessage });

/** The rule as the core takes it. */
export function relabelRule(rule: RelabelConfig): {
  sourceLabels: string[];
  separator: string;
  regex: string;
  modulus: number;
  targetLabel: string;
  replacement: string;
  action: RelabelAction;
} {
  return {
    sourceLabels: rule.source_labels,
    separator: rule.separator,
    regex: rule.regex ?? DEFAULT_REGEX,
    modulus: rule.modulus,
    targetLabel: rule.target_label,
    replacement: rule.replacement,
    action: rule.action as RelabelAction,
  };
}

/** Checks rules against each other's keys and the names that are valid where they apply. */
export function checkRelabelConfigs(rules: RelabelConfig[], scheme: ValidationScheme, decoding: Decoding): void {
  for (const rule of rules) {
    const wrong = checkRule(rule, scheme, decoding);
    if (wrong !== undefined) reportAt(decoding, rule, wrong, 'action');
  }
}

const NEEDS_TARGET = new Set(['replace', 'hashmod', 'lowercase', 'uppercase', 'keepequal', 'dropequal']);
const PLAIN_TARGET = new Set(['lowercase', 'uppercase', 'keepequal', 'dropequal']);
const LEGACY_TEMPLATE = /^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$/;

function checkRule(rule: RelabelConfig, scheme: ValidationScheme, decoding: Decoding): string | undefined {
  const { action, target_label: target } = rule;
  if (action === '') return 'relabel action cannot be empty';
  if (action === 'hashmod' && rule.modulus === 0) return 'relabel configuration for hashmod requires non-zero modulus';
  if (NEEDS_TARGET.has(action) && target === '') {
    return `relabel configuration for ${action} action requires 'target_label' value`;
  }
  const template = (value: string): boolean =>
    scheme === 'utf8' ? isValidLabelName(value, scheme) : LEGACY_TEMPLATE.test(value);
  const validTarget =
    action === 'replace' && target.includes('$')
      ? template(target)
      : !NEEDS_TARGET.has(action) || isValidLabelName(target, scheme);
  if (!validTarget) return `${quote(target)} is invalid 'target_label' for ${action} action`;
  if (PLAIN_TARGET.has(action) && rule.replacement !== DEFAULT_REPLACEMENT) {
    return `'replacement' can not be set for ${action} action`;
  }
  if (action === 'labelmap' && !template(rule.replacement)) {
    return `${quote(rule.replacement)} is invalid 'replacement' for ${action} action`;
  }
  return checkLoneKeys(rule, decoding);
}

function checkLoneKeys(rule: RelabelConfig, decoding: Decoding): string | undefined {
  const { action } = rule;
  const others = rule.modulus !== 0 || rule.separator !== DEFAULT_SEPARATOR || rule.replacement !== DEFAULT_REPLACEMENT;
  if ((action === 'dropequal' || action === 'keepequal') && (others || rule.regex !== undefined)) {
    return `${action} action requires only 'source_labels' and \`target_label\`, and no other fields`;
  }
  if (
    (action === 'labeldrop' || action === 'labelkeep') &&
    (others || rule.target_label !== '' || isSet(decoding, rule, 'source_labels'))
  ) {
    return `${action} action requires only 'regex', and no other fields`;
  }
  return undefined;
}
