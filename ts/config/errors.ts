/** What is wrong with a configuration, and where. */

/** A place in a file, for people: lines and columns count from 1. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

/** One thing that is wrong (or worth a warning) at a place. */
export interface Issue extends Place {
  message: string;
}

/** `file:line:column: message`, the form editors turn into a link. */
export function formatIssue(issue: Issue): string {
  return `${issue.file}:${issue.line}:${issue.column}: ${issue.message}`;
}

/** A configuration that cannot be used. The message lists every issue, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'INVALID_CONFIG';
  readonly issues: readonly Issue[];

  constructor(issues: readonly Issue[], options?: ErrorOptions) {
    super(issues.map(formatIssue).join('\n'), options);
    this.issues = issues;
  }
}
