/** Figures: medians, ratios, and a table for a terminal. */

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Three significant digits, with k, M, G where they help. */
export function short(n) {
  const units = [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ];
  const [size, unit] = units.find(([s]) => Math.abs(n) >= s) ?? [1, ''];
  return `${Number((n / size).toPrecision(3))}${unit}`;
}

/** Prints rows of cells under a heading, columns aligned. */
export function printTable(heading, rows) {
  const all = [heading, ...rows];
  const widths = heading.map((_, c) => Math.max(...all.map((row) => String(row[c]).length)));
  for (const [i, row] of all.entries()) {
    const cells = row.map((cell, c) => (c === 0 ? String(cell).padEnd(widths[c]) : String(cell).padStart(widths[c])));
    console.log(cells.join('  '));
    if (i === 0) console.log(widths.map((w) => '-'.repeat(w)).join('  '));
  }
}
