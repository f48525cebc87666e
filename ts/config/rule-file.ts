/**
 * Files of rules: groups of recording and alerting rules, checked as Prometheus checks them but for templates in labels
 * and annotations of alerts.
 */

import { quote } from '../util/index.ts';
import { ConfigError, type Issue } from './errors.ts';
import { isValidLabelName } from './names.ts';
import { object, reportAt } from './object.ts';
import { type Decoding, duration, int, list, optional, text, textMap } from './schema.ts';
import { YamlSource } from './yaml.ts';

/** A rule; exactly one of `record` and `alert` is not empty. Durations are milliseconds. */
export interface Rule {
  record: string;
  alert: string;
  expr: string;
  for: number;
  keep_firing_for: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** Rules that are evaluated one after the other. Durations are milliseconds, 0 where the file has none. */
export interface RuleGroup {
  name: string;
  interval: number;
  query_offset: number | undefined;
  limit: number;
  rules: Rule[];
  labels: Record<string, string>;
}

/** Says what is wrong with an expression, `undefined` where nothing is. The engine knows. */
export type QueryCheck = (query: string) => string | undefined;

const ruleType = object({
  record: text(),
  alert: text(),
  expr: text(),
  for: duration(),
  keep_firing_for: duration(),
  labels: textMap(),
  annotations: textMap(),
});

const groupType = object({
  name: text(),
  interval: duration(),
  query_offset: optional(duration().type),
  limit: int(),
  rules: list(ruleType),
  labels: textMap(),
});

const fileType = object({ groups: list(groupType) });

/**
 * Reads the text of a file of rules.
 * @throws ConfigError with the places of all mistakes
 */
export function parseRuleFile(content: string, file: string, checkQuery: QueryCheck): RuleGroup[] {
  const source = new YamlSource(content, file);
  const decoding: Decoding = { source, checkRegex: () => undefined, places: new WeakMap() };
  const node = source.follow(source.root);
  const groups = node ? fileType.decode(node, decoding, '').groups : [];
  if (source.issues.length === 0) {
    const names = new Set<string>();
    for (const group of groups) checkGroup(group, names, decoding, checkQuery);
  }
  if (source.issues.length > 0) throw new ConfigError(source.issues satisfies Issue[]);
  return groups;
}

function checkGroup(group: RuleGroup, names: Set<string>, decoding: Decoding, checkQuery: QueryCheck): void {
  if (group.name === '') reportAt(decoding, group, 'Groupname must not be empty');
  if (names.has(group.name)) {
    reportAt(decoding, group, `groupname: "${group.name}" is repeated in the same file`, 'name');
  }
  names.add(group.name);
  for (const name of invalidLabels(group.labels)) reportAt(decoding, group, `invalid label name: ${name}`, 'labels');
  group.rules.forEach((rule, i) => {
    const title = `group ${quote(group.name)}, rule ${i + 1}, ${quote(rule.alert || rule.record)}`;
    for (const [message, key] of faults(rule, checkQuery)) reportAt(decoding, rule, `${title}: ${message}`, key);
  });
}

function faults(rule: Rule, checkQuery: QueryCheck): [message: string, key: keyof Rule][] {
  const found: [string, keyof Rule][] = [];
  if (rule.record !== '' && rule.alert !== '') {
    found.push(["only one of 'record' and 'alert' must be set", 'record']);
  }
  if (rule.record === '' && rule.alert === '') found.push(["one of 'record' or 'alert' must be set", 'record']);
  if (rule.expr === '') {
    found.push(["field 'expr' must be set in rule", 'expr']);
  } else {
    const wrong = checkQuery(rule.expr);
    if (wrong !== undefined) found.push([`could not parse expression: ${wrong}`, 'expr']);
  }
  if (rule.record !== '') found.push(...recordingFaults(rule));
  for (const name of invalidLabels(rule.labels)) found.push([`invalid label name: ${name}`, 'labels']);
  for (const name of Object.keys(rule.annotations)) {
    if (!isValidLabelName(name, 'utf8')) found.push([`invalid annotation name: ${name}`, 'annotations']);
  }
  return found;
}

function recordingFaults(rule: Rule): [message: string, key: keyof Rule][] {
  const found: [string, keyof Rule][] = [];
  if (Object.keys(rule.annotations).length > 0) {
    found.push(["invalid field 'annotations' in recording rule", 'annotations']);
  }
  for (const key of ['for', 'keep_firing_for'] as const) {
    if (rule[key] !== 0) found.push([`invalid field '${key}' in recording rule`, key]);
  }
  if (/[{}]/.test(rule.record)) {
    found.push([`braces present in the recording rule name; should it be in expr?: ${rule.record}`, 'record']);
  }
  return found;
}

function invalidLabels(labels: Record<string, string>): string[] {
  return Object.keys(labels).filter((name) => !isValidLabelName(name, 'utf8') || name === '__name__');
}
