/** Where the results of the query benches go. */
import { record } from './results.mjs';

const heading = `# PromQL: results

Written by \`npm run bench -- compare query\` (and \`query-memory\`, \`query-threads\`, \`range-query\`); a row is replaced
when its workload runs again. Medians of interleaved runs on one machine; a ratio above 1 means that Narthex is better.
The samples are 50,000 series × 15 s × 2 h, loaded by remote write; \`head\` is all of them in the head, \`block\` all of
them in one block; VictoriaMetrics has them in its own storage in both. Steps: 460 of 15 s in queries 1 and 2, 115 of
60 s in the others. Each server has answered a thousand small requests before, and each query twice. Time is the
client's, from the request to the last byte of the answer. Results are compared with
Prometheus' point by point; with VictoriaMetrics', whose windows are other ones, by the number of series.
`;

const columns = ['narthex', 'prometheus', 'victoria-metrics'];

export function recordQuery(row) {
  record({ file: 'promql.md', heading, columns, victoria: true }, row);
}

/** @param {number[]} numbers */
export function geometricMean(numbers) {
  return Math.exp(numbers.reduce((sum, n) => sum + Math.log(n), 0) / numbers.length);
}
