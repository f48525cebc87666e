/** Files of results: a table in Markdown whose rows are replaced when their figure is taken again. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

import { root } from './load.mjs';

const NAMES = { narthex: 'Narthex', prometheus: 'Prometheus 3.16', 'victoria-metrics': 'VictoriaMetrics' };

/**
 * Puts a row into a file of `bench/results` and prints it. `ratio` is against Prometheus; `ratioVictoria` has a column
 * of its own in files that ask for it by `victoria`.
 */
export function record({ file, heading, columns, victoria = false }, row) {
  const { figure, cells, ratio, ratioVictoria, floor, reached, runs } = row;
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const verdict = reached === undefined ? '–' : reached ? 'reached' : '**missed**';
  const values = columns.map((name) => cells[name] ?? '–');
  const ratios = victoria ? [ratio, ratioVictoria ?? '–'] : [ratio];
  const line = `| ${[figure, ...values, ...ratios, floor, verdict, runs, machine].join(' | ')} |`;
  const path = join(root, 'bench', 'results', file);
  const rows = rowsOf(path);
  const at = rows.findIndex((other) => other.startsWith(`| ${figure} |`));
  if (at >= 0) rows[at] = line;
  else rows.push(line);
  const names = columns.map((name) => NAMES[name]);
  const against = victoria ? ['ratio to Prometheus', 'ratio to VictoriaMetrics'] : ['ratio to Prometheus'];
  const titles = ['figure', ...names, ...against, 'floor', 'verdict', 'runs', 'machine'];
  const table = [`| ${titles.join(' | ')} |`, `|${'---|'.repeat(titles.length)}`, ...rows];
  mkdirSync(join(root, 'bench', 'results'), { recursive: true });
  writeFileSync(path, `${heading}\n${table.join('\n')}\n`);
  const outcome = reached === undefined ? '' : `: ${reached ? 'reached' : 'MISSED'}`;
  console.log(`${figure}: ${values.join(' / ')}; ratio ${ratios.join(', ')}, floor ${floor}${outcome}`);
}

function rowsOf(path) {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.filter((line) => line.startsWith('| ') && !line.startsWith('| figure'));
  } catch {
    return []; // the first results on this checkout
  }
}
