//! Custom bounds: comparing them, what two sets have in common, and buckets mapped to that.

use super::FloatHistogram;
use super::kahan::KahanSum;

/// Whether two sets of custom bounds are the same numbers.
#[must_use]
pub fn bounds_match(a: &[f64], b: &[f64]) -> bool {
    a == b
}

/// The bounds that both sets have; both must rise.
#[must_use]
pub fn intersect_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut common = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            common.push(*x);
            i += 1;
            j += 1;
        } else if x < y {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

/// Adds the buckets of `h` to those that `bounds`, a part of its own, delimit: `sums` and `rests`
/// have one more than these. `rest` is the compensation of the buckets of `h`.
pub(super) fn map_buckets(
    h: &FloatHistogram,
    bounds: &[f64],
    rest: Option<&[f64]>,
    subtract: bool,
    sums: &mut [f64],
    rests: &mut [f64],
) {
    let mut source = h.positive_buckets.iter().enumerate();
    let (mut index, mut target) = (0i64, 0);
    for span in &h.positive_spans {
        index += i64::from(span.offset);
        for (i, value) in source.by_ref().take(span.length as usize) {
            // Behind the last bound everything is in the last bucket.
            let mut to = bounds.len();
            if let Some(bound) = usize::try_from(index).ok().and_then(|i| h.custom_values.get(i)) {
                while bounds.get(target).is_some_and(|b| b < bound) {
                    target += 1;
                }
                to = target;
            }
            KahanSum::inc(if subtract { -value } else { *value }, &mut sums[to], &mut rests[to]);
            if let Some(c) = rest.and_then(|r| r.get(i)) {
                KahanSum::inc(*c, &mut sums[to], &mut rests[to]);
            }
            index += 1;
        }
    }
}
