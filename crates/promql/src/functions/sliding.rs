//! Functions of all windows of a series at once, for windows that overlap: what one window has
//! computed is not computed again for the next.
//!
//! Two stacks ([`slide`]) touch each sample twice, however many windows it is in; they need an
//! operation that may be bracketed at will. Others take differences of counts, or keep windows sorted,
//! or go through several windows side by side.

use super::kahan;
use super::over_time::{self, rank_of};
use super::stretch::{GoOn, Pulse};
use crate::error::QueryError;

/// Places of the samples of each window: its first, and the one behind its last. Both rise or
/// stay; no window is empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    pub(crate) lo: &'a [u32],
    pub(crate) hi: &'a [u32],
}

impl Windows<'_> {
    pub(crate) fn len(&self) -> usize {
        self.lo.len()
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.lo.iter().zip(self.hi).map(|(lo, hi)| (*lo as usize, *hi as usize))
    }

    /// The most samples in a window.
    fn widest(&self) -> usize {
        self.iter().map(|(lo, hi)| hi - lo).max().unwrap_or(0)
    }
}

/// Calls `emit` for each window with `join` over its samples in their order. `join` must be
/// associative: the window is kept as two parts, of which the front one shrinks and the back one grows.
#[inline]
fn slide<T: Copy>(
    w: Windows<'_>,
    leaf: impl Fn(usize) -> T,
    join: impl Fn(T, T) -> T,
    mut emit: impl FnMut(T, usize, usize),
) {
    // `front[i]` is what the samples from `base + i` up to `middle` come to.
    let mut front: Vec<T> = Vec::new();
    let (mut base, mut middle, mut end) = (0, 0, 0);
    let mut back: Option<T> = None;
    for (lo, hi) in w.iter() {
        if lo >= middle {
            front.clear();
            let mut all = leaf(hi - 1);
            front.push(all);
            for i in (lo..hi - 1).rev() {
                all = join(leaf(i), all);
                front.push(all);
            }
            front.reverse();
            (base, middle, end, back) = (lo, hi, hi, None);
        }
        if end < hi {
            let mut all = back.unwrap_or_else(|| leaf(end));
            for i in end + usize::from(back.is_none())..hi {
                all = join(all, leaf(i));
            }
            (back, end) = (Some(all), hi);
        }
        let all = front[lo - base];
        emit(back.map_or(all, |back| join(all, back)), lo, hi);
    }
}

/// The greatest value of each window, the first of equals; NaN gives way to anything.
pub(crate) fn max(v: &[f64], w: Windows<'_>, out: &mut Vec<f64>) {
    best(v, w, |a, b| b > a, out);
}

/// The least value of each window, the first of equals; NaN gives way to anything.
pub(crate) fn min(v: &[f64], w: Windows<'_>, out: &mut Vec<f64>) {
    best(v, w, |a, b| b < a, out);
}

/// The first of the best numbers, or the last NaN: however a window is cut in two, the better of
/// its parts' bests is its own.
#[inline]
fn best(v: &[f64], w: Windows<'_>, better: impl Fn(f64, f64) -> bool, out: &mut Vec<f64>) {
    let emit = |best, _, _| out.push(best);
    if v.iter().fold(false, |any, v| any | v.is_nan()) {
        slide(w, |i| v[i], |a, b| if a.is_nan() || better(a, b) { b } else { a }, emit);
    } else {
        slide(w, |i| v[i], |a, b| if better(a, b) { b } else { a }, emit);
    }
}

/// Windows wider than this are summed as two stacks.
const NARROW: usize = 48;

/// The sum of each window.
pub(crate) fn sum(v: &[f64], w: Windows<'_>, go_on: GoOn<'_>, out: &mut Vec<f64>) -> Result<(), QueryError> {
    let finish = |sum: f64, c: f64| if sum.is_infinite() { sum } else { sum + c };
    sums(v, w, go_on, |sum, c, _, _| {
        out.push(finish(sum, c));
        Ok(())
    })
}

/// The mean of each window.
pub(crate) fn avg(v: &[f64], w: Windows<'_>, go_on: GoOn<'_>, out: &mut Vec<f64>) -> Result<(), QueryError> {
    sums(v, w, go_on, |sum, c, lo, hi| {
        let n = (hi - lo) as f64;
        // An infinite sum may be one of finite values, whose mean is found otherwise.
        out.push(if sum.is_infinite() { over_time::avg(&v[lo..hi], go_on)? } else { sum / n + c / n });
        Ok(())
    })
}

/// Calls `emit` with each window's sum, the compensation, and the window.
///
/// Narrow windows are added up in the order of their samples. Wide ones are kept as two stacks of
/// such pairs. A compensated sum of `n` values, in whatever order its parts are joined, is off by at
/// most `u·|sum| + n²·u²·max|v|` with `u = 2⁻⁵³`: the error of each addition is known exactly and
/// kept in the compensation, which itself is rounded to `u` of at most `n·u·n·max|v|`. For 2¹⁸ values
/// that is 2⁻⁷⁰ of the greatest operand. NaN and infinities end up in the sum in any order;
/// where finite values could overflow, the order decides, so they are added up in theirs.
#[inline]
fn sums(
    v: &[f64],
    w: Windows<'_>,
    go_on: GoOn<'_>,
    mut emit: impl FnMut(f64, f64, usize, usize) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let widest = w.widest();
    let greatest = |v: &[f64]| {
        v.iter().fold(0.0, |max, v| {
            let v = if v.is_finite() { v.abs() } else { 0.0 };
            if v > max { v } else { max }
        })
    };
    if widest <= NARROW || greatest(v) >= f64::MAX / (4 * widest) as f64 {
        let add = |[sums, cs]: [&mut [f64]; 2], _, v: &[f64]| kahan::inc_columns(v, sums, cs);
        return side_by_side(v, w, go_on, add, |[sum, c], lo, hi| emit(sum, c, lo, hi));
    }
    let mut result = Ok(());
    let leaf = |i: usize| (v[i], 0.0);
    let join = |(a, ac): (f64, f64), (b, bc): (f64, f64)| kahan::inc_even(b, a, ac + bc);
    slide(w, leaf, join, |(sum, c), lo, hi| {
        if result.is_ok() {
            result = emit(sum, c, lo, hi);
        }
    });
    result
}

/// The population variance of each window, as [`over_time::stdvar`] has it.
pub(crate) fn stdvar(
    v: &[f64],
    w: Windows<'_>,
    go_on: GoOn<'_>,
    out: &mut Vec<f64>,
) -> Result<(), QueryError> {
    let add = |[mean, c_mean, aux, c_aux]: [&mut [f64]; 4], i: usize, v: &[f64]| {
        let count = (i + 1) as f64;
        let sums = mean.iter_mut().zip(c_mean).zip(aux.iter_mut().zip(c_aux));
        for (v, ((mean, c_mean), (aux, c_aux))) in v.iter().zip(sums) {
            let delta = v - (*mean + *c_mean);
            (*mean, *c_mean) = kahan::inc_even(delta / count, *mean, *c_mean);
            (*aux, *c_aux) = kahan::inc_even(delta * (v - (*mean + *c_mean)), *aux, *c_aux);
        }
    };
    side_by_side(v, w, go_on, add, |[_, _, aux, c_aux], lo, hi| {
        out.push((aux + c_aux) / (hi - lo) as f64);
        Ok(())
    })
}

/// Each window smoothed, as [`over_time::double_exponential_smoothing`] has it; all have two samples.
pub(crate) fn double_exponential_smoothing(
    v: &[f64],
    w: Windows<'_>,
    (sf, tf): (f64, f64),
    go_on: GoOn<'_>,
    out: &mut Vec<f64>,
) -> Result<(), QueryError> {
    let add = |[s0, s1, trend]: [&mut [f64]; 3], i: usize, v: &[f64]| {
        let states = s0.iter_mut().zip(s1).zip(trend);
        match i {
            0 => states.zip(v).for_each(|(((_, s1), _), v)| *s1 = *v),
            1 => states.zip(v).for_each(|(((s0, s1), trend), v)| {
                *trend = v - *s1;
                let y = (1.0 - sf) * (*s1 + *trend);
                (*s0, *s1) = (*s1, sf * v + y);
            }),
            _ => states.zip(v).for_each(|(((s0, s1), trend), v)| {
                *trend = tf * (*s1 - *s0) + (1.0 - tf) * *trend;
                let y = (1.0 - sf) * (*s1 + *trend);
                (*s0, *s1) = (*s1, sf * v + y);
            }),
        }
    };
    side_by_side(v, w, go_on, add, |[_, s1, _], _, _| {
        out.push(s1);
        Ok(())
    })
}

/// Windows that are worked on side by side.
const SIDE: usize = 32;

/// Computes what has no shortcut: `add` takes the columns of what is known of several windows, zero
/// at first, the number of a sample, and that sample of each window; `emit` the result of each
/// window in turn. Each window sees its values in their order, as if it was alone, but what would
/// wait for one addition after the other is done for several at once.
#[inline]
fn side_by_side<const N: usize>(
    v: &[f64],
    w: Windows<'_>,
    go_on: GoOn<'_>,
    add: impl Fn([&mut [f64]; N], usize, &[f64]),
    mut emit: impl FnMut([f64; N], usize, usize) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut pulse = Pulse::new(go_on);
    let mut values = [0.0; SIDE];
    for from in (0..w.len()).step_by(SIDE) {
        let n = SIDE.min(w.len() - from);
        let (lo, hi) = (&w.lo[from..][..n], &w.hi[from..][..n]);
        let common = lo.iter().zip(hi).map(|(lo, hi)| hi - lo).min().unwrap_or(0) as usize;
        let are_next = lo.windows(2).all(|pair| pair[1] - pair[0] == 1);
        let mut state = [[0.0; SIDE]; N];
        for i in 0..common {
            pulse.beat(n)?;
            let here = if are_next {
                &v[lo[0] as usize + i..][..n]
            } else {
                values.iter_mut().zip(lo).for_each(|(value, lo)| *value = v[*lo as usize + i]);
                &values[..n]
            };
            add(state.each_mut().map(|column| &mut column[..n]), i, here);
        }
        for k in 0..n {
            let (lo, hi) = (lo[k] as usize, hi[k] as usize);
            pulse.beat(hi - lo - common)?;
            for i in common..hi - lo {
                add(state.each_mut().map(|column| &mut column[k..=k]), i, &v[lo + i..=lo + i]);
            }
            emit(state.map(|column| column[k]), lo, hi)?;
        }
    }
    Ok(())
}

/// How many of the samples behind the first of each window `is_one` holds for, given a value and the
/// one before it. `upto` is overwritten.
#[inline]
pub(crate) fn count(
    v: &[f64],
    w: Windows<'_>,
    is_one: impl Fn(f64, f64) -> bool,
    upto: &mut Vec<u32>,
    out: &mut Vec<f64>,
) {
    upto.clear();
    upto.push(0);
    let mut n = 0;
    upto.extend(v.windows(2).map(|pair| {
        n += u32::from(is_one(pair[0], pair[1]));
        n
    }));
    out.extend(w.iter().map(|(lo, hi)| f64::from(upto[hi - 1] - upto[lo])));
}

/// The widest window that is kept sorted: beyond, moving values costs more than looking for one.
const SORTED_MAX: usize = 2048;

/// The `q(i)`-quantile of each window `i`. False, and nothing in `out`, where sorting each is better.
pub(crate) fn quantile(
    v: &[f64],
    w: Windows<'_>,
    q: impl Fn(usize) -> f64,
    go_on: GoOn<'_>,
    out: &mut Vec<f64>,
) -> Result<bool, QueryError> {
    let overlap: usize = w.iter().map(|(lo, hi)| hi - lo).sum();
    // Which zero of two is found would depend on the way.
    let is_apt = overlap >= 4 * v.len()
        && w.widest() <= SORTED_MAX
        && !v.iter().fold(false, |any, v| any | (v.to_bits() == 1 << 63));
    if !is_apt {
        return Ok(false);
    }
    let ranks: Vec<u64> = v.iter().map(|v| rank_of(*v)).collect();
    let mut sorted: Vec<u64> = Vec::with_capacity(w.widest() + 1);
    let (mut from, mut end) = (0, 0);
    let mut pulse = Pulse::new(go_on);
    for (i, (lo, hi)) in w.iter().enumerate() {
        let change = (hi - end) + (lo - from);
        // A move of many values costs as much as a look at some.
        pulse.beat(1 + change * (16 + sorted.len() / 16))?;
        if end <= lo || change > sorted.len() / 2 {
            sorted.clear();
            sorted.extend_from_slice(&ranks[lo..hi]);
            sorted.sort_unstable();
        } else {
            for rank in &ranks[from..lo] {
                let at = sorted.partition_point(|other| other < rank);
                sorted.remove(at);
            }
            for rank in &ranks[end..hi] {
                let at = sorted.partition_point(|other| other < rank);
                sorted.insert(at, *rank);
            }
        }
        (from, end) = (lo, hi);
        out.push(over_time::quantile_by(q(i), sorted.len(), |at| over_time::of_rank(sorted[at])));
    }
    Ok(true)
}
