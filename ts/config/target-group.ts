/** Groups of targets that share labels: what static_configs hold and what discovery yields. */

import { quote } from '../util/index.ts';
import { ConfigError } from './errors.ts';
import { object } from './object.ts';
import { type Decoding, list, type Report, type Type, textMap, texts } from './schema.ts';
import { YamlSource } from './yaml.ts';

/** Labels by name. */
export type Labels = Record<string, string>;

/** Targets that were found together. */
export interface TargetGroup {
  /** Tells this group from the others of the same mechanism; a later group with it takes its place. */
  source: string;
  /** One label set per target, each with `__address__`. */
  targets: Labels[];
  /** Labels that all of them have, unless a target says otherwise. */
  labels: Labels;
}

/** A group as it stands in a file. */
export interface StaticConfig {
  targets: string[];
  labels: Labels;
}

const groupType: Type<StaticConfig> = object({ targets: texts().always(), labels: textMap() });

/** A list of groups. An empty one is an issue, as with Prometheus. */
export const staticConfigs = () =>
  list(
    {
      ...groupType,
      decode(node, decoding: Decoding, path) {
        const group = groupType.decode(node, decoding, path);
        const keys = decoding.places.get(group)?.keys.size ?? 0;
        if (keys === 0) decoding.source.fail(node, 'empty or null section in static_configs');
        return group;
      },
    },
    { nullMessage: 'empty or null section in static_configs' },
  );

/** The list of groups a file_sd file holds. */
const groupFile = list(groupType, { nullMessage: 'nil target group item found' }).type;

/** What discovery calls a group that stands in a file. */
export function toTargetGroup(config: StaticConfig, source: string, extra: Labels = {}): TargetGroup {
  return {
    source,
    targets: config.targets.map((target) => ({ __address__: target })),
    labels: { ...config.labels, ...extra },
  };
}

/** What is wrong with an address, `undefined` where it will do. */
export function checkTargetAddress(address: string): string | undefined {
  return address.includes('/') ? `${quote(address)} is not a valid hostname` : undefined;
}

/** Finds URLs given as targets; only asked for where no relabelling can turn them into addresses. */
export function checkStaticTargets(configs: StaticConfig[], report: Report): void {
  for (const config of configs) {
    for (const target of config.targets) {
      const wrong = checkTargetAddress(target);
      if (wrong !== undefined) report(wrong, 'static_configs');
    }
  }
}

/**
 * Reads a YAML file of target groups.
 * @throws ConfigError
 */
export function parseTargetGroups(text: string, file: string): StaticConfig[] {
  const source = new YamlSource(text, file);
  const decoding: Decoding = { source, checkRegex: () => undefined, places: new WeakMap() };
  const node = source.follow(source.root);
  const groups = node ? groupFile.decode(node, decoding, '') : [];
  if (source.issues.length > 0) throw new ConfigError(source.issues);
  return groups;
}

/**
 * Reads target groups in JSON, as files and HTTP endpoints serve them: a list of objects with
 * `targets` and `labels` and no other key.
 * @throws Error with what is wrong
 */
export function parseTargetGroupsJson(text: string): StaticConfig[] {
  const parsed: unknown = JSON.parse(text);
  if (parsed === null) return [];
  if (!Array.isArray(parsed)) throw new Error('expected a list of target groups');
  return parsed.map((group: unknown, i) => {
    if (group === null) throw new Error('nil target group item found');
    if (typeof group !== 'object' || Array.isArray(group)) throw new Error(`group ${i}: expected an object`);
    const { targets, labels, ...unknown } = group as Record<string, unknown>;
    const [extra] = Object.keys(unknown);
    if (extra !== undefined) throw new Error(`group ${i}: unknown field ${quote(extra)}`);
    const names: unknown[] = Array.isArray(targets) ? targets : [];
    const values = Object.values((labels ?? {}) as object);
    const listed = targets === undefined || targets === null || Array.isArray(targets);
    if (!listed || !names.every((name) => typeof name === 'string')) {
      throw new Error(`group ${i}: targets must be a list of strings`);
    }
    const mapped = typeof (labels ?? {}) === 'object' && !Array.isArray(labels);
    if (!mapped || !values.every((value) => typeof value === 'string')) {
      throw new Error(`group ${i}: labels must be an object of strings`);
    }
    return { targets: names as string[], labels: { ...(labels as Labels | null | undefined) } };
  });
}
