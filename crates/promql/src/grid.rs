//! The moments that a query asks about. Knows nothing of samples.

/// Equally spaced moments: `start_ms`, `start_ms + step_ms`, … `steps` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The first moment, milliseconds.
    pub start_ms: i64,
    /// The distance, milliseconds, at least 1.
    pub step_ms: i64,
    /// How many moments.
    pub steps: usize,
    /// Whether the question was about a range, be it shorter than a step, and not about one moment.
    pub is_range: bool,
}

impl Grid {
    /// One moment.
    #[must_use]
    pub const fn instant(t_ms: i64) -> Self {
        Self { start_ms: t_ms, step_ms: 1, steps: 1, is_range: false }
    }

    /// From `start_ms` to at most `end_ms`; empty where the end lies before the start. A step
    /// below 1 counts as 1.
    #[must_use]
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let steps = if end_ms < start_ms {
            0
        } else {
            let span = end_ms.abs_diff(start_ms);
            usize::try_from(span / step_ms.unsigned_abs()).unwrap_or(usize::MAX).saturating_add(1)
        };
        Self { start_ms, step_ms, steps, is_range: start_ms != end_ms }
    }

    /// Moment number `i`.
    #[must_use]
    #[inline]
    pub fn time(&self, i: usize) -> i64 {
        self.start_ms.saturating_add(self.step_ms.saturating_mul(i as i64))
    }

    /// The last moment; the first where there is none.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.time(self.steps.saturating_sub(1))
    }

    /// The first moment alone.
    #[must_use]
    pub fn first(&self) -> Self {
        Self { steps: self.steps.min(1), is_range: false, ..*self }
    }

    /// The number of the first moment at or after `t_ms`; `steps` where all lie before it.
    #[must_use]
    pub fn first_at_or_after(&self, t_ms: i64) -> usize {
        if t_ms <= self.start_ms {
            return 0;
        }
        let span = t_ms.abs_diff(self.start_ms);
        usize::try_from(span.div_ceil(self.step_ms.unsigned_abs())).unwrap_or(usize::MAX).min(self.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_moments() {
        let g = Grid::range(-10, 25, 10);
        assert_eq!((g.steps, g.end_ms()), (4, 20));
        assert_eq!(Grid::range(5, 4, 1).steps, 0);
        for (t, i) in [(-11, 0), (-10, 0), (-9, 1), (0, 1), (1, 2), (20, 3), (21, 4), (i64::MAX, 4)] {
            assert_eq!(g.first_at_or_after(t), i, "{t}");
        }
        assert_eq!(Grid::range(i64::MIN, i64::MAX, 1).steps, usize::MAX);
    }
}
