//! Native histograms of which only count and sum are looked at. Their buckets are dropped once they
//! have told where a counter was reset. Knows no labels and no functions.

use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{Columns, FloatHistogram, is_stale_nan};

use super::window::Frame;
use crate::grid::Grid;

/// When samples are looked at, and how far back from there a reader keeps what it has passed.
pub(super) struct Looks {
    /// The first time that is asked for.
    pub(super) from_ms: i64,
    pub(super) grid: Grid,
    pub(super) at_ms: Option<i64>,
    pub(super) offset_ms: i64,
    pub(super) reach_ms: i64,
}

impl Looks {
    pub(super) fn of(frame: Frame, from_ms: i64) -> Self {
        Self {
            from_ms,
            grid: frame.grid,
            at_ms: frame.at_ms,
            offset_ms: frame.offset_ms.saturating_sub(frame.ahead_ms),
            reach_ms: frame.range_ms.saturating_add(frame.back_ms).saturating_add(frame.ahead_ms),
        }
    }

    fn moments(&self) -> impl Iterator<Item = i64> {
        let steps = if self.at_ms.is_some() { 1 } else { self.grid.steps };
        (0..steps).map(|i| self.at_ms.unwrap_or_else(|| self.grid.time(i)).saturating_sub(self.offset_ms))
    }
}

/// Leaves of each histogram its count, sum, schema and hint. A hint that is not known is made up
/// from the histogram that was read before it.
///
/// Which one that is goes by the way Prometheus reads a series (HistogramStatsIterator below
/// MemoizedSeriesIterator or BufferedSeriesIterator): it skips what lies out of reach of the next
/// look, and then has nothing before it. Linear in samples and looks.
pub(super) fn keep_totals(c: &mut Columns, looks: &Looks) {
    if c.h.is_empty() {
        return;
    }
    let mut at = c.t.partition_point(|t| *t < looks.from_ms);
    let mut next = 0;
    let mut last: Option<Arc<FloatHistogram>> = None;
    let mut is_first = true;
    for now in looks.moments() {
        let Some(here) = c.t.get(at) else { break };
        let far = now.saturating_sub(looks.reach_ms);
        if is_first || far > *here {
            last = last.filter(|_| far <= *here);
            at += c.t[at..].partition_point(|t| *t < far);
            is_first = false;
        }
        while c.t.get(at).is_some_and(|t| *t < now) {
            see(c, &mut next, at, &mut last);
            at += 1;
        }
        // The one at this moment or behind it, where the next look goes on.
        see(c, &mut next, at, &mut last);
    }
    for (_, h) in &mut c.h[next..] {
        *h = Arc::new(total(h, h.counter_reset_hint));
    }
}

/// Drops the buckets of what lies at `at` and of all before it.
fn see(c: &mut Columns, next: &mut usize, at: usize, last: &mut Option<Arc<FloatHistogram>>) {
    while let Some((place, h)) = c.h.get_mut(*next).filter(|(place, _)| *place as usize <= at) {
        let mut hint = h.counter_reset_hint;
        if *place as usize == at && !is_stale_nan(h.sum) {
            if let (CounterResetHint::Unknown, Some(last)) = (hint, last.as_ref()) {
                let is_reset = h.detect_reset(last);
                hint = if is_reset { CounterResetHint::Reset } else { CounterResetHint::NotReset };
            }
            *last = Some(h.clone());
        }
        *h = Arc::new(total(h, hint));
        *next += 1;
    }
}

fn total(h: &FloatHistogram, counter_reset_hint: CounterResetHint) -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint,
        schema: h.schema,
        count: h.count,
        sum: h.sum,
        ..FloatHistogram::default()
    }
}
