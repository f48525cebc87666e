/** The text format 0.0.4 (Prometheus' exposition_formats.md): escaping, numbers and families. */

export type MetricKind = 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped';

/** One line: the name's suffix (`_bucket`, or '' for none), the rendered label pairs and the value. */
export interface SampleLine {
  suffix: string;
  /** `a="b",c="d"`, as `renderLabels` makes it. */
  labels: string;
  value: number;
}

/** Label pairs in the order given, without braces. */
export function renderLabels(names: readonly string[], values: readonly string[]): string {
  return names.map((name, i) => `${name}="${escapeLabelValue(values[i] ?? '')}"`).join(',');
}

/** Appends one pair to rendered label pairs. */
export function withLabel(labels: string, name: string, value: string): string {
  const pair = `${name}="${value}"`;
  return labels === '' ? pair : `${labels},${pair}`;
}

/** A number as the format writes it: `NaN`, `+Inf`, `-Inf`, else the shortest decimal. */
export function renderValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

/** A family with its HELP and TYPE lines, every line ended by a line feed. */
export function renderFamily(name: string, help: string, kind: MetricKind, lines: Iterable<SampleLine>): string {
  let text = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${kind}\n`;
  for (const line of lines) {
    const labels = line.labels === '' ? '' : `{${line.labels}}`;
    text += `${name}${line.suffix}${labels} ${renderValue(line.value)}\n`;
  }
  return text;
}

function escapeLabelValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
