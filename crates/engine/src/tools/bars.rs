//! How often numbers fall into which range, drawn with bars.

use std::fmt::Write;

/// The bars of `numbers`, which become sorted; `total` is a hundred percent.
pub(super) fn bars(title: &str, numbers: &mut [usize], total: usize) -> String {
    numbers.sort_unstable();
    let (Some(&min), Some(&max)) = (numbers.first(), numbers.last()) else {
        return format!("{title}: N/A\n\n");
    };
    let (start, end, step) = ranges(min, max);
    let mut counts = vec![0usize; (end - start) / step + 1];
    numbers.iter().for_each(|n| counts[(n - start) / step] += 1);
    let average = numbers.iter().sum::<usize>() / numbers.len();
    let digits = |n: usize| n.to_string().len();
    let (left, right) = (digits(end), digits(end + step));
    let most = digits(counts.iter().copied().max().unwrap_or_default());
    let mut out = format!("{title} (min/avg/max): {min}/{average}/{max}\n");
    for (i, count) in counts.iter().enumerate() {
        let bar = "#".repeat(100 * count / total.max(1));
        let (from, to) = (i * step + start + 1, (i + 1) * step + start);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "[{from:left$}, {to:right$}]: {count:most$} {bar}");
    }
    out.push('\n');
    out
}

/// Where the ranges begin and end, and how wide each is.
fn ranges(min: usize, max: usize) -> (usize, usize, usize) {
    let tenth = (max - min) / 10;
    let mut step = 10;
    while step < tenth && step <= 10_000 {
        step *= 10;
    }
    (min - min % step, max - max % step + step, step)
}
