/** Services over the text of PromQL queries: the interface, and what completion answers. They need no data. */

/**
 * Services over the text of queries, for a language with certain features on. Calls return at once, on the caller's
 * thread: a query of a few lines takes some 10 µs, 100 kB some milliseconds. All but `check` and `complete` fail with
 * `QUERY_PARSE` in Prometheus' words.
 */
export interface Syntax {
  /** What is wrong with a query, with positions; `undefined` where it parses. */
  check(query: string): string | undefined;
  /** The query as format_query prints it. */
  formatQuery(query: string): string;
  /** The query's tree as parse_query's JSON `data`. */
  parseQueryJson(query: string): string;
  /**
   * The query, formatted, with a matcher set in every selector: in the place of those for the label `name`, or beside the
   * others. Fails with `INVALID_ARGUMENT` for a wrong regular expression, and where the result would be no query.
   */
  setLabelMatcher(query: string, name: string, op: MatchOperator, value: string): string;
  /** The query, formatted, without any matcher for the label `name`; fails where the result would be no query. */
  deleteLabelMatchers(query: string, name: string): string;
  /**
   * What can stand at `cursor` (in UTF-16 code units, as in JavaScript's strings) of a query that may be unfinished or
   * wrong; nothing within comments. Never fails.
   */
  complete(text: string, cursor: number): Completion[];
}

export type MatchOperator = '=' | '!=' | '=~' | '!~';

/** One kind of thing that can stand at the cursor, and the text `from`–`to` that it would replace. */
export type Completion = { from: number; to: number } & CompletionKind;

export type CompletionKind =
  /** The name of a metric; `quote` is that of the string which the cursor is in. */
  | { kind: 'metricName'; quote: string | null }
  | ({ kind: 'labelName'; place: LabelPlace; quote: string | null } & CompletionSeries)
  /** A value of `label`; where `quote` is null it still needs quotes. */
  | ({ kind: 'labelValue'; label: string; quote: string | null } & CompletionSeries)
  /** One of `words`: all that can stand there, whatever was typed of it. A `durationUnit` replaces what follows the digits. */
  | {
      kind: 'function' | 'aggregation' | 'binaryOperator' | 'matchOperator' | 'keyword' | 'durationUnit';
      words: string[];
    }
  | { kind: 'duration' | 'number' };

/** Where a label's name stands: in braces, in by or without, on or ignoring, group_left or group_right, or in an argument. */
export type LabelPlace = 'matcher' | 'grouping' | 'matching' | 'include' | 'argument';

/** The series that have the label. */
export interface CompletionSeries {
  /** Their metric, where it is one. */
  metric: string | null;
  /** What to ask for them with, as `match[]`; empty: nothing is known of them. */
  selectors: string[];
}
