//! Where the windows of all steps begin and end in a series of floats. Series of one target are
//! sampled at the same times, so what the series before had is often right for the next.

use super::census::Census;
use super::window::{Frame, pass};
use crate::functions::rate::Spans;
use crate::functions::sliding::Windows;
use crate::grid::Grid;
use crate::row::Row;

/// What is found all at once is bounded, so that a query can end in between: what has more steps
/// or samples goes step by step.
const STEPS_MAX: usize = 1 << 16;
const SAMPLES_MAX: usize = 1 << 18;

/// Times beyond this may overflow.
const TIME_MAX: u64 = 1 << 60;

/// The windows with enough samples, in order of steps.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    key: Option<(Frame, usize)>,
    t: Vec<i64>,
    first: usize,
    /// The steps, where they are not all that follow `first`; else empty.
    steps: Vec<u32>,
    /// Places of the first sample of each window and of the one behind its last.
    lo: Vec<u32>,
    hi: Vec<u32>,
    census: Census,
    spans: Option<Spans>,
}

impl Edges {
    /// Finds the windows of at least `least` (1 or more) of the samples at `t`. False where that
    /// would not pay or might not end in time.
    pub(crate) fn find(&mut self, t: &[i64], frame: Frame, least: usize) -> bool {
        if self.key == Some((frame, least)) && self.t == t {
            return true;
        }
        self.key = None;
        let (Some(first_t), Some(last_t)) = (t.first(), t.last()) else { return false };
        let grid = frame.grid;
        let times = [*first_t, *last_t, grid.start_ms, grid.end_ms(), frame.offset_ms, frame.range_ms];
        if frame.at_ms.is_some()
            || frame.back_ms != 0
            || frame.ahead_ms != 0
            || grid.steps < 2
            || t.len() > SAMPLES_MAX
            || times.iter().any(|t| t.unsigned_abs() > TIME_MAX)
        {
            return false;
        }
        let from = grid.first_at_or_after(first_t + frame.offset_ms);
        let end = grid.first_at_or_after(last_t + frame.offset_ms + frame.range_ms);
        let steps = end.saturating_sub(from);
        if steps > STEPS_MAX {
            return false;
        }
        let until = grid.time(from) - frame.offset_ms;
        places(t, until, grid.step_ms, steps, &mut self.hi);
        places(t, until - frame.range_ms, grid.step_ms, steps, &mut self.lo);
        self.count(end == grid.steps);
        self.first = from;
        self.trim(least);
        self.spans = None;
        self.t.clear();
        self.t.extend_from_slice(t);
        self.key = Some((frame, least));
        true
    }

    fn count(&mut self, ends_at_last_step: bool) {
        let (mut out, mut end) = (Census::default(), 0);
        for (lo, hi) in self.lo.iter().zip(&self.hi) {
            let n = u64::from(hi - lo);
            out.total += n;
            // Windows overlap: only what the ones before had not reached is read anew.
            out.read += u64::from(hi - end.max(*lo));
            out.max = out.max.max(n);
            out.last = n;
            end = *hi;
        }
        if !ends_at_last_step {
            out.last = 0;
        }
        self.census = out;
    }

    /// Leaves out the windows of less than `least` samples.
    fn trim(&mut self, least: usize) {
        let enough = |(lo, hi): (&u32, &u32)| (hi - lo) as usize >= least;
        self.steps.clear();
        let all = self.lo.iter().zip(&self.hi);
        let Some(a) = all.clone().position(enough) else {
            self.lo.clear();
            self.hi.clear();
            return;
        };
        let b = all.clone().rposition(enough).map_or(a, |b| b + 1);
        if all.skip(a).take(b - a).all(enough) {
            for places in [&mut self.lo, &mut self.hi] {
                places.truncate(b);
                places.drain(..a);
            }
            self.first += a;
            return;
        }
        let mut kept = 0;
        for i in a..b {
            if enough((&self.lo[i], &self.hi[i])) {
                (self.lo[kept], self.hi[kept]) = (self.lo[i], self.hi[i]);
                // Below `STEPS_MAX`.
                self.steps.push(i as u32);
                kept += 1;
            }
        }
        self.lo.truncate(kept);
        self.hi.truncate(kept);
    }

    pub(crate) fn windows(&self) -> Windows<'_> {
        Windows { lo: &self.lo, hi: &self.hi }
    }

    /// Step of window number `i`.
    pub(crate) fn step(&self, i: usize) -> usize {
        self.first + self.steps.get(i).map_or(i, |step| *step as usize)
    }

    /// How many samples all windows hold, those with too few included.
    pub(super) fn census(&self) -> Census {
        self.census
    }

    /// What rates need to know of the times of each window.
    pub(crate) fn spans(&mut self) -> (Windows<'_>, &Spans) {
        let spans = self.spans.take().unwrap_or_else(|| {
            let mut spans = Spans::default();
            if let Some((frame, _)) = self.key {
                let Grid { start_ms, step_ms, .. } = frame.grid;
                for (i, (lo, hi)) in self.windows().iter().enumerate() {
                    let end_ms = start_ms + step_ms * self.step(i) as i64 - frame.offset_ms;
                    spans.push(&self.t[lo..hi], (end_ms - frame.range_ms, end_ms));
                }
            }
            spans
        });
        let spans = self.spans.insert(spans);
        (Windows { lo: &self.lo, hi: &self.hi }, spans)
    }

    /// The row of one value for each window.
    pub(crate) fn row(&self, values: Vec<f64>) -> Row {
        debug_assert_eq!(values.len(), self.lo.len());
        if values.is_empty() {
            return Row::new();
        }
        if self.steps.is_empty() {
            return Row::dense(self.first, values);
        }
        let mut row = Row::with_capacity(values.len());
        for (step, v) in self.steps.iter().zip(values) {
            row.push(self.first + *step as usize, v);
        }
        row
    }
}

/// The distance between the times, where all are equally far apart.
fn spacing(t: &[i64]) -> Option<i64> {
    // Times that repeat have no distance to divide by.
    let d = Some(t.get(1)? - t[0]).filter(|d| *d > 0)?;
    // No early end within a block, so that it is done in few instructions.
    let even = |block: &[[i64; 2]]| block.iter().fold(0, |off, w| off | (w[1] - w[0] - d)) == 0;
    let (pairs, behind) = t.as_chunks::<2>();
    let (between, _) = t[1..].as_chunks::<2>();
    let last = behind.first().is_none_or(|last| last - t[t.len() - 2] == d);
    (last && pairs.chunks(64).all(even) && between.chunks(64).all(even)).then_some(d)
}

/// How many of the times lie at or before `at`, `at + step`, … `n` of them.
pub(super) fn places(t: &[i64], mut at: i64, step: i64, n: usize, out: &mut Vec<u32>) {
    out.clear();
    if let Some(d) = spacing(t) {
        let (mut place, mut rest) = ((at - t[0]).div_euclid(d) + 1, (at - t[0]).rem_euclid(d));
        let (by, by_rest) = (step / d, step % d);
        let len = t.len() as i64;
        out.extend((0..n).map(|_| {
            let here = place.clamp(0, len) as u32;
            rest += by_rest;
            let carry = rest >= d;
            place += by + i64::from(carry);
            rest -= if carry { d } else { 0 };
            here
        }));
        return;
    }
    let (mut place, mut by) = (0, 0);
    out.extend((0..n).map(|_| {
        // Most steps go as far as the one before.
        let guess = place + by;
        let is_right =
            guess > 0 && t.get(guess - 1).is_some_and(|t| *t <= at) && t.get(guess).is_none_or(|t| *t > at);
        let next = if is_right { guess } else { pass(t, place, at) };
        (place, by) = (next, next - place);
        at += step;
        // At most `SAMPLES_MAX`.
        place as u32
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_times_passed() {
        let even: Vec<i64> = (0..200).map(|i| 7 + 15 * i).collect();
        let mut odd = even.clone();
        odd[150] += 1;
        let mut out = Vec::new();
        for t in [&even[..], &odd, &even[..1], &even[..2], &odd[149..152], &[7; 3]] {
            for (at, step) in [(-50, 15), (7, 15), (6, 30), (0, 1), (-1000, 7), (100, 40), (90, 5000)] {
                places(t, at, step, 300, &mut out);
                for (i, place) in out.iter().enumerate() {
                    let bound = at + step * i as i64;
                    assert_eq!(*place as usize, t.partition_point(|t| *t <= bound), "{at} {step} {i}");
                }
            }
        }
        assert_eq!(spacing(&even), Some(15));
        assert_eq!((spacing(&odd), spacing(&even[..1]), spacing(&odd[149..])), (None, None, None));
        assert_eq!(spacing(&[7, 7]), None);
    }
}
