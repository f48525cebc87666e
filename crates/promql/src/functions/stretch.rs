//! Long slices in stretches, so that a query can be told to stop in between.

use std::ops::Range;

use crate::error::QueryError;

/// Elements between two questions whether to go on: well under 50 ms of any kernel's work.
pub(crate) const STRETCH: usize = 1 << 16;

/// What work on one label set weighs, in elements.
pub(crate) const LABELS: usize = 64;

/// Asks whether to go on; its error ends the loop.
pub(crate) type GoOn<'a> = &'a dyn Fn() -> Result<(), QueryError>;

/// Calls `f` with one stretch of `range` after the other. Short ranges come as one, unasked.
#[inline]
pub(crate) fn stretches(
    range: Range<usize>,
    go_on: GoOn<'_>,
    mut f: impl FnMut(Range<usize>),
) -> Result<(), QueryError> {
    if range.len() <= STRETCH {
        f(range);
        return Ok(());
    }
    let mut at = range.start;
    while at < range.end {
        go_on()?;
        let end = range.end.min(at + STRETCH);
        f(at..end);
        at = end;
    }
    Ok(())
}

/// Counts work in loops whose turns cost different amounts.
pub(crate) struct Pulse<'a> {
    go_on: GoOn<'a>,
    done: usize,
}

impl<'a> Pulse<'a> {
    pub(crate) fn new(go_on: GoOn<'a>) -> Self {
        Self { go_on, done: 0 }
    }

    /// `n` more elements are about to be looked at.
    #[inline]
    pub(crate) fn beat(&mut self, n: usize) -> Result<(), QueryError> {
        self.done += n;
        if self.done < STRETCH {
            return Ok(());
        }
        self.done = 0;
        (self.go_on)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ranges_can_be_left() {
        let mut seen = 0;
        let stop = || Err(QueryError::Canceled);
        assert!(stretches(0..STRETCH + 1, &stop, |r| seen += r.len()).is_err());
        stretches(0..STRETCH, &stop, |r| seen += r.len()).unwrap();
        stretches(5..3 * STRETCH, &|| Ok(()), |r| seen += r.len()).unwrap();
        assert_eq!(seen, 4 * STRETCH - 5);
        let mut pulse = Pulse::new(&stop);
        assert!(pulse.beat(STRETCH - 1).is_ok() && pulse.beat(1).is_err());
    }
}
