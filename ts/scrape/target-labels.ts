/** From a discovered label set to a target's labels: defaults, relabelling, checks. */

import { checkTargetAddress, isValidUtf8, type ScrapeConfig, type TargetGroup } from '../config/index.ts';
import type { LabelSet, Relabeler } from '../core/engine.ts';
import { formatDuration, messageOf, parseDuration, quote } from '../util/index.ts';

/** Values that scrape configurations give as labels, so that relabelling can change them. */
const BOOLEANS = [
  ['__convert_classic_histograms_to_nhcb__', 'convert classic histograms to nhcb'],
  ['__always_scrape_classic_histograms__', 'always scrape classic histograms'],
  ['__scrape_native_histograms__', 'scrape native histograms'],
] as const;

/** What Go's ParseBool takes. */
const BOOLEAN = /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/;

/** The label that sends a scrape through a Unix domain socket. */
export const UNIX_SOCKET_LABEL = '__unix_socket__';

/** A target before it is known whether it is one. */
export interface Candidate {
  /** Labels before relabelling. */
  discovered: LabelSet;
  /** All labels after it; `undefined` where relabelling dropped the target. */
  labels?: LabelSet;
  /** Why the labels make no target. */
  error?: string;
}

/** The labels a target has before relabelling. */
export function discoveredLabels(config: ScrapeConfig, target: LabelSet, group: LabelSet): LabelSet {
  const labels: LabelSet = { ...group, ...target };
  const defaults: LabelSet = {
    job: config.job_name,
    __scrape_interval__: formatDuration(config.scrape_interval),
    __scrape_timeout__: formatDuration(config.scrape_timeout),
    __metrics_path__: config.metrics_path,
    __scheme__: config.scheme,
    __convert_classic_histograms_to_nhcb__: String(config.convert_classic_histograms_to_nhcb),
    __always_scrape_classic_histograms__: String(config.always_scrape_classic_histograms),
    __scrape_native_histograms__: String(config.scrape_native_histograms),
  };
  for (const [name, [value]] of Object.entries(config.params)) {
    if (value !== undefined) defaults[`__param_${name}`] = value;
  }
  for (const [name, value] of Object.entries(defaults)) labels[name] ||= value;
  for (const [name, value] of Object.entries(labels)) if (value === '') delete labels[name];
  return labels;
}

/**
 * Relabels and checks all targets of these groups, in one call to the core. Without a relabeler
 * labels stay as they are.
 */
export function candidatesOf(
  groups: readonly TargetGroup[],
  config: ScrapeConfig,
  relabeler: Relabeler | undefined,
): Map<TargetGroup, Candidate[]> {
  const discovered = groups.map((group) =>
    group.targets.map((target) => discoveredLabels(config, target, group.labels)),
  );
  const before = discovered.flat();
  const after = relabeler && before.length > 0 ? relabeler.apply(before) : before;
  let at = 0;
  return new Map(
    groups.map((group, g) => [
      group,
      (discovered[g] ?? []).map((labels, i) =>
        candidateOf(labels, after[at++] ?? null, `instance ${i} in group ${group.source}`),
      ),
    ]),
  );
}

function candidateOf(discovered: LabelSet, relabelled: LabelSet | null, what: string): Candidate {
  if (relabelled === null) return { discovered };
  try {
    return { discovered, labels: finish(relabelled) };
  } catch (error) {
    return { discovered, error: `${what}: ${messageOf(error)}` };
  }
}

/** Checks relabelled labels, takes the meta labels away and adds `instance`. @throws Error */
function finish(relabelled: LabelSet): LabelSet {
  const address = relabelled.__address__ ?? '';
  if (address === '') throw new Error('no address');
  const wrong = checkTargetAddress(address);
  if (wrong !== undefined) throw new Error(wrong);
  checkTimes(relabelled);
  for (const [name, what] of BOOLEANS) {
    const value = relabelled[name];
    if (value !== undefined && value !== '' && !BOOLEAN.test(value)) {
      throw new Error(`error parsing ${what}: strconv.ParseBool: parsing ${quote(value)}: invalid syntax`);
    }
  }
  const labels: LabelSet = {};
  for (const [name, value] of Object.entries(relabelled)) {
    if (name.startsWith('__meta_') || value === '') continue;
    if (!isValidUtf8(value)) throw new Error(`invalid label value for ${quote(name)}: ${quote(value)}`);
    labels[name] = value;
  }
  labels.instance ??= address;
  return labels;
}

function checkTimes(labels: LabelSet): void {
  const intervalText = labels.__scrape_interval__ ?? '';
  const timeoutText = labels.__scrape_timeout__ ?? '';
  const interval = parseTime('interval', intervalText);
  const timeout = parseTime('timeout', timeoutText);
  if (timeout > interval) {
    throw new Error(
      `scrape timeout cannot be greater than scrape interval (${quote(timeoutText)} > ${quote(intervalText)})`,
    );
  }
}

function parseTime(what: string, text: string): number {
  let ms: number;
  try {
    ms = parseDuration(text);
  } catch (error) {
    throw new Error(`error parsing scrape ${what}: ${messageOf(error)}`, { cause: error });
  }
  if (ms === 0) throw new Error(`scrape ${what} cannot be 0`);
  return ms;
}

/** The labels a target's series carry: those that do not start with two underscores. */
export function publicLabels(labels: LabelSet): LabelSet {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith('__')));
}
