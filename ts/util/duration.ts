/** Durations as Prometheus writes them: `1h30m`, `15s`, `90d`. Held in milliseconds. */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Longest first; a year is 365 days. `exact` ones are only printed where nothing remains. */
const UNITS: readonly { name: string; ms: number; exact: boolean }[] = [
  { name: 'y', ms: 365 * DAY_MS, exact: true },
  { name: 'w', ms: 7 * DAY_MS, exact: true },
  { name: 'd', ms: DAY_MS, exact: false },
  { name: 'h', ms: HOUR_MS, exact: false },
  { name: 'm', ms: MINUTE_MS, exact: false },
  { name: 's', ms: SECOND_MS, exact: false },
  { name: 'ms', ms: 1, exact: false },
];

const PATTERN = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** Go's time.Duration counts nanoseconds in 63 bits. */
const MAX_MS = Math.floor(Number(2n ** 63n - 1n) / 1e6);

/** What is wrong with the text of a duration or size. The message is Prometheus'. */
export class UnitError extends Error {
  override readonly name = 'UnitError';
  readonly code = 'INVALID_UNIT';
}

/**
 * Reads a duration: units in falling order, each at most once; `0` needs none. Returns milliseconds.
 * @throws UnitError
 */
export function parseDuration(text: string): number {
  if (text === '') throw new UnitError('empty duration string');
  if (text === '0') return 0;
  const match = PATTERN.exec(text);
  if (!match) throw new UnitError(`not a valid duration string: "${text}"`);
  let ms = 0;
  UNITS.forEach((unit, i) => {
    ms += Number(match[i + 1] ?? 0) * unit.ms;
  });
  if (ms > MAX_MS) throw new UnitError('duration out of range');
  return ms;
}

/** Prints milliseconds as Prometheus does: `1m30s`, `90d` rather than `12w6d`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let left = Math.trunc(Math.abs(ms));
  let text = ms < 0 ? '-' : '';
  for (const unit of UNITS) {
    if (unit.exact && left % unit.ms !== 0) continue;
    const count = Math.floor(left / unit.ms);
    if (count === 0) continue;
    text += `${count}${unit.name}`;
    left -= count * unit.ms;
  }
  return text;
}

/** A duration as Go prints it: `1h0m0s`, `1.5s`, `250ms`. */
export function goDuration(ms: number): string {
  if (ms === 0) return '0s';
  const sign = ms < 0 ? '-' : '';
  const size = Math.abs(ms);
  if (size < 0.001) return `${sign}${trim(size * 1e6)}ns`;
  if (size < 1) return `${sign}${trim(size * 1e3)}µs`;
  if (size < 1000) return `${sign}${trim(size)}ms`;
  const hours = Math.floor(size / 3_600_000);
  const minutes = Math.floor(size / 60_000) % 60;
  const seconds = `${trim((size % 60_000) / 1000)}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}

function trim(value: number): string {
  return String(Number(value.toFixed(9)));
}
