//! Where a piece of syntax stands in the query: what errors and annotations point at.
//! Knows nothing of the syntax itself.

/// A range of byte positions in the query, `end` exclusive (Prometheus `posrange.PositionRange`).
///
/// Ends follow Prometheus, whose parser sometimes stretches a selector with a modifier over the
/// closing bracket after it; starts are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// A span from `start` up to, without, `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of `self` to the end of `last`.
    #[must_use]
    pub const fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }

    /// `line:column` of the start in `query`, both from 1, columns in bytes: as Prometheus
    /// shows positions. "unknown position" for an empty query, "invalid position" outside of it.
    #[must_use]
    pub fn position_in(self, query: &str) -> String {
        if query.is_empty() {
            return "unknown position".to_owned();
        }
        let Some(before) = query.as_bytes().get(..self.start) else {
            return "invalid position".to_owned();
        };
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = match before.iter().rposition(|b| *b == b'\n') {
            Some(newline) => self.start - newline,
            None => self.start + 1,
        };
        format!("{line}:{column}")
    }
}
