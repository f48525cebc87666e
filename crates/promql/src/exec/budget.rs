//! How much memory a query takes. What Prometheus would count as samples in memory is another
//! number: see [`super::account`].

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::QueryError;

/// What a query may take where nobody said how much.
const DEFAULT_BYTES: u64 = 4 << 30;

/// Bytes that a cell of a row, or a sample, takes: time or bits of presence, and value.
const CELL_BYTES: u64 = 16;

/// Memory of one query, shared by its threads, in cells. What all threads write to lies away from what they read.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Budget {
    max_bytes: u64,
    max: u64,
    current: AtomicU64,
    series: AtomicU64,
}

impl Budget {
    /// At most `bytes` at once, 0 for a default.
    pub(crate) fn new(bytes: u64) -> Self {
        let max_bytes = if bytes == 0 { DEFAULT_BYTES } else { bytes };
        Self { max_bytes, max: max_bytes / CELL_BYTES, current: AtomicU64::new(0), series: AtomicU64::new(0) }
    }

    fn exceeded(&self) -> QueryError {
        QueryError::TooMuchMemory(self.max_bytes)
    }

    /// `n` more cells are in memory.
    pub(crate) fn take(&self, n: usize) -> Result<(), QueryError> {
        let now = self.current.fetch_add(n as u64, Relaxed).saturating_add(n as u64);
        if now > self.max { Err(self.exceeded()) } else { Ok(()) }
    }

    /// `n` cells are gone again.
    pub(crate) fn give(&self, n: usize) {
        // Saturates: rows that operators made larger or smaller are given back as they are then.
        let less = |now: u64| Some(now.saturating_sub(n as u64));
        let _ = self.current.fetch_update(Relaxed, Relaxed, less);
    }

    /// `n` cells are in memory for a moment, of which other threads are not told: their rows together are few.
    pub(crate) fn touch(&self, n: usize) -> Result<(), QueryError> {
        let now = self.current.load(Relaxed).saturating_add(n as u64);
        if now > self.max { Err(self.exceeded()) } else { Ok(()) }
    }

    /// Whether a row of so many steps could be held besides what is held now.
    pub(crate) fn check_steps(&self, steps: usize) -> Result<(), QueryError> {
        if steps as u64 > self.max.saturating_sub(self.current.load(Relaxed)) || u32::try_from(steps).is_err()
        {
            Err(self.exceeded())
        } else {
            Ok(())
        }
    }

    /// Counts series that a selector found; all so far.
    pub(crate) fn count_series(&self, n: u64) -> u64 {
        self.series.fetch_add(n, Relaxed) + n
    }

    /// Series selected, summed over selectors.
    pub(crate) fn series(&self) -> u64 {
        self.series.load(Relaxed)
    }
}
