/** Where the results of the ingest benches go. */
import { record } from './results.mjs';
import { short } from './table.mjs';

export const NAMES = ['narthex', 'prometheus', 'victoria-metrics'];

const heading = `# Ingest: results

Written by \`npm run bench -- compare remote-write\` (\`--series=1m\`), \`remote-write-2\`, \`otlp\`, \`scrape\`
(\`--targets=1000\`), \`churn\`, \`query-under-load\`, \`ingest-threads\`; a row is replaced when its workload runs again.
Medians of interleaved runs on one machine, with clients and targets on the same cores; a ratio above 1 means that
Narthex is better. Samples per CPU-second count the server's own CPU time, user and system, of all its threads.

Pushed samples: requests of one sample each of 2,000 series, encoded before anything is measured, over five connections
each with series of its own; CPU time from the first request to the last answer, so what a server puts off is not
counted. Peak memory is the kernel's VmHWM at the last answer, files that are mapped and the program itself included; MB
are 10^6 bytes. Then each server is asked for the number of all samples and for the sum over all series at two times,
which must be the ones that were sent.
`;

/** Puts a row into the results' file. */
export function recordIngest(row) {
  record({ file: 'ingest.md', heading, columns: NAMES, victoria: true }, row);
}

/** Records where the run was `whole`; else only prints. */
export function report(row, whole) {
  if (whole) return recordIngest(row);
  const cells = NAMES.map((name) => row.cells[name] ?? '–').join(' / ');
  const outcome = row.reached === undefined ? '' : `: ${row.reached ? 'reached' : 'MISSED'}`;
  const ratios = [row.ratio, row.ratioVictoria].join(', ');
  console.log(`not recorded: ${row.figure}: ${cells}; ratio ${ratios}, floor ${row.floor}${outcome}`);
}

/**
 * A row of figures of which more is better (`more`), or less. `floor` is `{ text, reached(figures) }`.
 *
 * @param figures by name of server; those of other names are left out
 */
export function row({ figure, figures, more, unit, floor, runs }) {
  const ours = figures.narthex;
  const ratio = (name) => {
    const theirs = figures[name];
    if (!(ours > 0 && theirs > 0)) return '–';
    return (more ? ours / theirs : theirs / ours).toFixed(2);
  };
  return {
    figure,
    cells: Object.fromEntries(NAMES.filter((n) => figures[n] !== undefined).map((n) => [n, unit(figures[n])])),
    ratio: ratio('prometheus'),
    ratioVictoria: ratio('victoria-metrics'),
    floor: floor?.text ?? '–',
    reached: floor?.reached(figures),
    runs,
  };
}

/** At least `ratio` times as much as `peer`. Without the peer there is no verdict. */
export function timesFloor(ratio, peer, title) {
  return {
    text: `${ratio} × ${title}`,
    reached: (figures) => (figures[peer] > 0 ? figures.narthex >= ratio * figures[peer] : undefined),
  };
}

export const units = {
  rate: short,
  megabytes: (bytes) => `${(bytes / 1e6).toFixed(0)} MB`,
  milliseconds: (ms) => `${ms.toFixed(1)} ms`,
};
