/** Runs named steps one after the other and prints a table of what became of them. Knows nothing of what they do. */

/**
 * @typedef {{ skipped: string }} Skipped why a step did not run
 * @typedef {{ detail: string }} Detail a figure to show in the table
 * @typedef {{ name: string, run: () => Promise<Skipped | Detail | undefined> | Skipped | Detail | undefined }} Step
 */

/**
 * Runs all steps, also after one that failed.
 *
 * @param {string} title stands in front of each line
 * @param {Step[]} steps a step fails by throwing
 * @returns {Promise<boolean>} whether none failed
 */
export async function runSteps(title, steps) {
  const rows = [];
  for (const { name, run } of steps) {
    console.log(`\n=== ${title}: ${name}`);
    const started = process.hrtime.bigint();
    const row = { name, outcome: 'pass', detail: '', seconds: 0 };
    try {
      const result = await run();
      if (result && 'skipped' in result) Object.assign(row, { outcome: 'skip', detail: result.skipped });
      else if (result) row.detail = result.detail;
    } catch (error) {
      Object.assign(row, { outcome: 'FAIL', detail: error instanceof Error ? error.message : String(error) });
      console.log(row.detail);
    }
    row.seconds = Number(process.hrtime.bigint() - started) / 1e9;
    rows.push(row);
  }
  printTable(title, rows);
  return rows.every((row) => row.outcome !== 'FAIL');
}

function printTable(title, rows) {
  const width = Math.max(...rows.map((row) => row.name.length));
  console.log(`\n${title}`);
  for (const { name, outcome, detail, seconds } of rows) {
    const time = `${seconds.toFixed(1)} s`.padStart(9);
    console.log(`  ${outcome}  ${name.padEnd(width)} ${time}  ${detail.split('\n')[0]}`.trimEnd());
  }
}
