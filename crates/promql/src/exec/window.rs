//! Sliding a window over the samples of a series: two cursors, each sample passed once.

use super::samples::Samples;
use crate::error::QueryError;
use crate::functions::stretch::{GoOn, Pulse};
use crate::grid::Grid;

/// Which samples belong to which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) grid: Grid,
    pub(crate) range_ms: i64,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
    /// How much further back and ahead samples are needed.
    pub(crate) back_ms: i64,
    pub(crate) ahead_ms: i64,
}

/// The window of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) step: usize,
    /// The range: (start, end], milliseconds.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Places of its floats.
    pub(crate) lo: usize,
    pub(crate) hi: usize,
    /// Places of its histograms.
    pub(crate) hlo: usize,
    pub(crate) hhi: usize,
}

impl View {
    pub(crate) fn floats(&self) -> usize {
        self.hi - self.lo
    }

    pub(crate) fn histograms(&self) -> usize {
        self.hhi - self.hlo
    }
}

/// How many times are counted one by one before they are searched.
const FAR: usize = 64;

/// The place of the first time after `bound`, which lies at `from` or behind it: often near.
#[inline]
pub(super) fn pass(t: &[i64], from: usize, bound: i64) -> usize {
    // Counted, not searched: how far steps reach is hard to predict, so branches would cost more.
    let (near, far) = t[from..].as_chunks::<8>();
    let mut at = from;
    for times in near {
        let passed = times.iter().map(|t| usize::from(*t <= bound)).sum::<usize>();
        at += passed;
        if passed < times.len() {
            return at;
        }
        if at - from >= FAR {
            return at + t[at..].partition_point(|t| *t <= bound);
        }
    }
    at + far.iter().map(|t| usize::from(*t <= bound)).sum::<usize>()
}

/// Calls `f` with the window of each step that has samples.
pub(crate) fn for_each(
    s: &Samples,
    frame: Frame,
    go_on: GoOn<'_>,
    mut f: impl FnMut(View) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut pulse = Pulse::new(go_on);
    let first = match (s.t.first(), s.ht.first()) {
        (Some(a), Some(b)) => *a.min(b),
        (Some(t), None) | (None, Some(t)) => *t,
        (None, None) => return Ok(()),
    };
    let grid = frame.grid;
    let from = match frame.at_ms {
        Some(_) => 0,
        None => grid.first_at_or_after(first.saturating_add(frame.offset_ms).saturating_sub(frame.ahead_ms)),
    };
    let (mut lo, mut hi, mut hlo, mut hhi) = (0, 0, 0, 0);
    for step in from..grid.steps {
        let end_ms = frame.at_ms.unwrap_or_else(|| grid.time(step)).saturating_sub(frame.offset_ms);
        let start_ms = end_ms.saturating_sub(frame.range_ms);
        let (after, until) = (start_ms.saturating_sub(frame.back_ms), end_ms.saturating_add(frame.ahead_ms));
        hi = pass(&s.t, hi, until);
        lo = pass(&s.t[..hi], lo, after);
        if !s.ht.is_empty() {
            hhi = pass(&s.ht, hhi, until);
            hlo = pass(&s.ht[..hhi], hlo, after);
        }
        pulse.beat(1 + hi - lo + hhi - hlo)?;
        if lo < hi || hlo < hhi {
            f(View { step, start_ms, end_ms, lo, hi, hlo, hhi })?;
        } else if lo == s.t.len() && hlo == s.ht.len() && frame.at_ms.is_none() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_open_on_the_left() {
        let s = Samples { t: vec![0, 10, 20, 30], v: vec![0.0; 4], ..Samples::default() };
        let frame = Frame {
            grid: Grid::range(0, 60, 10),
            range_ms: 20,
            offset_ms: 0,
            at_ms: None,
            back_ms: 0,
            ahead_ms: 0,
        };
        let mut seen = Vec::new();
        for_each(&s, frame, &|| Ok(()), |v| {
            seen.push((v.step, v.lo, v.hi));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(0, 0, 1), (1, 0, 2), (2, 1, 3), (3, 2, 4), (4, 3, 4)]);
    }
}
