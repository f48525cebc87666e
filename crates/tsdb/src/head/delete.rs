//! Deleting samples: intervals in memory and in the log; chunks stay as they are.

use std::sync::{Arc, PoisonError};

use model::{Matcher, TimestampMs};
use storage::{Stop, StorageError};

use super::ooo::OooSeries;
use super::{Head, HeadQuerier};
use crate::tombstones::{Interval, Tombstones};
use crate::wal::record::Stone;

impl Head {
    /// Deletes the samples with `min_ms ≤ t ≤ max_ms` that the series satisfying all matchers have
    /// now: first in the log, then for queries that begin from now on.
    ///
    /// # Errors
    /// Where the log cannot be written; nothing is deleted then.
    pub(crate) fn delete(
        self: &Arc<Self>,
        min_ms: TimestampMs,
        max_ms: TimestampMs,
        matchers: &[Matcher],
    ) -> Result<(), StorageError> {
        let querier = HeadQuerier::new(self.clone(), min_ms, max_ms);
        if !querier.overlaps() {
            return Ok(());
        }
        let mut stones = Vec::new();
        let never = Stop::default();
        querier.each(&querier.matching(matchers, &never)?, &never, |series, _, s| {
            let late = s.ooo().and_then(OooSeries::span);
            let spans = s.min_ms().zip(s.end_ms()).into_iter().chain(late);
            let Some((first, last)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return };
            let (min_ms, max_ms) = (min_ms.max(first), max_ms.min(last));
            if min_ms <= max_ms {
                stones.push(Stone { series, min_ms, max_ms });
            }
        })?;
        if stones.is_empty() {
            return Ok(());
        }
        if let Some(wal) = self.wal() {
            wal.log_tombstones(&stones)?;
        }
        self.add_tombstones(&stones);
        Ok(())
    }

    pub(super) fn add_tombstones(&self, stones: &[Stone]) {
        let mut tombstones = self.tombstones.write().unwrap_or_else(PoisonError::into_inner);
        let tombstones = Arc::make_mut(&mut tombstones);
        for s in stones {
            tombstones.add(s.series, Interval { min_ms: s.min_ms, max_ms: s.max_ms });
        }
    }

    /// What is deleted now.
    pub(super) fn tombstones(&self) -> Arc<Tombstones> {
        self.tombstones.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets deletions of samples that are forgotten.
    pub(super) fn forget_tombstones(&self, min_ms: TimestampMs) {
        let mut tombstones = self.tombstones.write().unwrap_or_else(PoisonError::into_inner);
        if !tombstones.is_empty() {
            Arc::make_mut(&mut tombstones).forget_before(min_ms);
        }
    }
}
