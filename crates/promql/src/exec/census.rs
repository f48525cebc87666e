//! How many samples the windows of a series hold, without looking at them: their times suffice.

use super::meter::{Consumed, point_weight};
use super::samples::Samples;
use super::window::Frame;
use crate::error::QueryError;
use crate::functions::stretch::{GoOn, Pulse};

/// The windows of one series; histograms count by size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Samples in the windows of all steps.
    pub(super) total: u64,
    /// Of these, those that were in no window before.
    pub(super) read: u64,
    /// Samples in the largest window.
    pub(super) max: u64,
    /// Samples in the window of the last step.
    pub(super) last: u64,
}

/// How many of `t` lie at or before rising bounds.
struct Cursor<'a> {
    t: &'a [i64],
    at: usize,
}

impl Cursor<'_> {
    #[inline]
    fn pass(&mut self, bound: i64) -> usize {
        let rest = &self.t[self.at..];
        if rest.first().is_none_or(|t| *t > bound) {
            return self.at;
        }
        // Doubling strides: near is quick, far is not slow.
        let mut reach = 1;
        while reach < rest.len() && rest[reach] <= bound {
            reach *= 2;
        }
        let end = rest.len().min(reach + 1);
        self.at += reach / 2 + rest[reach / 2..end].partition_point(|t| *t <= bound);
        self.at
    }
}

/// Counts the windows; `steps`, where wanted, gets what each step consumed added.
pub(super) fn census(
    s: &Samples,
    frame: Frame,
    bucketless: bool,
    mut steps: Option<&mut Consumed>,
    go_on: GoOn<'_>,
) -> Result<Census, QueryError> {
    let mut out = Census::default();
    let grid = frame.grid;
    if s.len() == 0 || grid.steps == 0 {
        return Ok(out);
    }
    if steps.is_none()
        && frame.at_ms.is_none()
        && s.ht.is_empty()
        && let Some(even) = Even::of(&s.t, frame)
    {
        return Ok(even.census(grid.steps));
    }
    // Weights of the first histograms together.
    let mut sizes = Vec::with_capacity(s.h.len() + 1);
    sizes.push(0u64);
    for h in &s.h {
        let size = if bucketless { 11 } else { point_weight(h) };
        sizes.push(sizes[sizes.len() - 1] + size);
    }
    let cursor = |t| Cursor { t, at: 0 };
    let (mut lo, mut hi, mut hlo, mut hhi) = (cursor(&s.t), cursor(&s.t), cursor(&s.ht), cursor(&s.ht));
    let (mut seen, mut hseen) = (0, 0);
    let mut pulse = Pulse::new(go_on);
    for step in 0..grid.steps {
        pulse.beat(1)?;
        let end_ms = frame.at_ms.unwrap_or_else(|| grid.time(step)).saturating_sub(frame.offset_ms);
        let after = end_ms.saturating_sub(frame.range_ms).saturating_sub(frame.back_ms);
        let until = end_ms.saturating_add(frame.ahead_ms);
        let (l, h) = (lo.pass(after), hi.pass(until));
        let (hl, hh) = (hlo.pass(after), hhi.pass(until));
        let window = (h - l) as u64 + sizes[hh] - sizes[hl];
        let read = (h - l.max(seen).min(h)) as u64 + sizes[hh] - sizes[hl.max(hseen).min(hh)];
        (seen, hseen) = (h, hh);
        out.total += window;
        out.read += read;
        out.max = out.max.max(window);
        out.last = window;
        if let Some(steps) = &mut steps {
            steps.total[step] += window;
            steps.read[step] += read;
        }
    }
    Ok(out)
}

/// Floats at even distances, seen at steps that are multiples of the distance: the edges of windows
/// move by a constant number of samples.
struct Even {
    n: i64,
    /// The edges at the first step, perhaps beyond the samples.
    lo: i64,
    hi: i64,
    stride: i64,
}

impl Even {
    fn of(t: &[i64], frame: Frame) -> Option<Self> {
        let [first, second, ..] = t else { return None };
        let gap = second.checked_sub(*first).filter(|gap| *gap > 0)?;
        if frame.grid.step_ms % gap != 0
            || t.windows(2).fold(0, |odd, p| odd | (p[1].wrapping_sub(p[0]) ^ gap)) != 0
        {
            return None;
        }
        let end_ms = frame.grid.start_ms.checked_sub(frame.offset_ms)?;
        let edge = |at: i64| Some(at.checked_sub(*first)?.div_euclid(gap) + 1);
        Some(Self {
            n: i64::try_from(t.len()).ok()?,
            lo: edge(end_ms.checked_sub(frame.range_ms)?.checked_sub(frame.back_ms)?)?,
            hi: edge(end_ms.checked_add(frame.ahead_ms)?)?,
            stride: frame.grid.step_ms / gap,
        })
    }

    fn census(&self, steps: usize) -> Census {
        let n = self.n;
        let edges = |step: usize| {
            let moved = self.stride.saturating_mul(step as i64);
            (self.lo.saturating_add(moved).clamp(0, n), self.hi.saturating_add(moved).clamp(0, n))
        };
        let (mut total, mut read, mut max, mut seen) = (0i64, 0i64, 0i64, 0i64);
        for step in 0..steps {
            let (lo, hi) = edges(step);
            total += hi - lo;
            read += hi - lo.max(seen);
            max = max.max(hi - lo);
            seen = hi;
        }
        let (lo, hi) = edges(steps - 1);
        let [total, read, max, last] = [total, read, max, hi - lo].map(i64::unsigned_abs);
        Census { total, read, max, last }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exec::window;
    use crate::grid::Grid;

    /// The windows themselves, counted.
    fn counted(s: &Samples, frame: Frame) -> Census {
        let mut windows = vec![(0, 0); frame.grid.steps];
        window::for_each(s, frame, &|| Ok(()), |v| {
            windows[v.step] = (v.lo, v.hi);
            Ok(())
        })
        .unwrap();
        let mut seen = 0;
        let mut out = Census::default();
        for (lo, hi) in windows {
            out.total += (hi - lo) as u64;
            out.read += hi.saturating_sub(lo.max(seen)) as u64;
            out.max = out.max.max((hi - lo) as u64);
            out.last = (hi - lo) as u64;
            seen = seen.max(hi);
        }
        out
    }

    proptest! {
        #[test]
        fn counts_what_windows_hold(
            start in -500i64..500,
            steps in 1usize..40,
            step_ms in 1i64..60,
            range_ms in 1i64..300,
            offset_ms in -100i64..100,
            back_ms in 0i64..50,
            at in proptest::option::of(-300i64..600),
            even in 0i64..30,
            gaps in proptest::collection::vec(1i64..40, 0..60),
        ) {
            let mut t = Vec::new();
            let mut now = -300;
            for gap in gaps {
                now += if even > 0 { even } else { gap };
                t.push(now);
            }
            let s = Samples { v: vec![0.0; t.len()], t, ..Samples::default() };
            let step_ms = if even > 0 { even * (step_ms % 4 + 1) } else { step_ms };
            let grid = Grid { start_ms: start, step_ms, steps, is_range: true };
            let frame = Frame { grid, range_ms, offset_ms, at_ms: at, back_ms, ahead_ms: back_ms };
            let mut each = Consumed { total: vec![0; steps], read: vec![0; steps] };
            let expected = counted(&s, frame);
            prop_assert_eq!(census(&s, frame, false, None, &|| Ok(())).unwrap(), expected);
            prop_assert_eq!(census(&s, frame, false, Some(&mut each), &|| Ok(())).unwrap(), expected);
            prop_assert_eq!(each.total.iter().sum::<u64>(), expected.total);
            prop_assert_eq!(each.read.iter().sum::<u64>(), expected.read);
        }
    }
}
