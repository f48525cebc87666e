//! How many samples a query holds in memory, and how many it looked at.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::error::QueryError;

/// Counters of one query, shared by its threads.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    current: AtomicUsize,
    peak: AtomicUsize,
    total: AtomicU64,
    read: AtomicU64,
    series: AtomicU64,
}

impl Budget {
    /// At most `max` samples at once, 0 for any number.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max: if max == 0 { usize::MAX } else { max },
            current: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            total: AtomicU64::new(0),
            read: AtomicU64::new(0),
            series: AtomicU64::new(0),
        }
    }

    /// `n` more samples are in memory.
    pub(crate) fn take(&self, n: usize) -> Result<(), QueryError> {
        let now = self.current.fetch_add(n, Relaxed).saturating_add(n);
        self.peak.fetch_max(now, Relaxed);
        if now > self.max { Err(QueryError::TooManySamples) } else { Ok(()) }
    }

    /// `n` samples are gone again.
    pub(crate) fn give(&self, n: usize) {
        // Saturates: rows that operators made larger or smaller are given back as they are then.
        let less = |now: usize| Some(now.saturating_sub(n));
        let _ = self.current.fetch_update(Relaxed, Relaxed, less);
    }

    /// `n` samples are in memory for a moment.
    pub(crate) fn touch(&self, n: usize) -> Result<(), QueryError> {
        self.take(n)?;
        self.give(n);
        Ok(())
    }

    /// Whether a row of so many steps could be held besides what is held now.
    pub(crate) fn check_steps(&self, steps: usize) -> Result<(), QueryError> {
        if steps > self.max.saturating_sub(self.current.load(Relaxed)) || u32::try_from(steps).is_err() {
            Err(QueryError::TooManySamples)
        } else {
            Ok(())
        }
    }

    pub(crate) fn count_series(&self, n: usize) {
        self.series.fetch_add(n as u64, Relaxed);
    }

    pub(crate) fn count_read(&self, n: usize) {
        self.read.fetch_add(n as u64, Relaxed);
    }

    pub(crate) fn count_total(&self, n: u64) {
        self.total.fetch_add(n, Relaxed);
    }

    /// Samples looked at, read, at most in memory, and series selected.
    pub(crate) fn counts(&self) -> (u64, u64, u64, u64) {
        (
            self.total.load(Relaxed),
            self.read.load(Relaxed),
            self.peak.load(Relaxed) as u64,
            self.series.load(Relaxed),
        )
    }
}
