//! What the caller decides about a query.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Settings of one query.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// How far back a selector looks for a sample, milliseconds; the far end is exclusive.
    pub lookback_ms: i64,
    /// How many samples may be in memory at once, 0 for no limit.
    pub max_samples: usize,
    /// The step of subqueries that name none, milliseconds.
    pub default_subquery_step_ms: i64,
    /// Whether metric names are removed at the end of the query rather than by each operator.
    pub delayed_name_removal: bool,
    /// Whether counter functions use start timestamps.
    pub use_start_timestamps: bool,
    /// Whether counters are recognised by their `__type__` label rather than by name.
    pub type_and_unit_labels: bool,
    /// When to give up, on the clock's monotonic scale; none for never.
    pub deadline_ns: Option<u64>,
}

impl Default for QueryOptions {
    /// Prometheus' defaults.
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            default_subquery_step_ms: 60_000,
            delayed_name_removal: false,
            use_start_timestamps: false,
            type_and_unit_labels: false,
            deadline_ns: None,
        }
    }
}

/// Tells a running query to stop; clones are handles on the same flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag not raised yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the query end soon with [`crate::QueryError::Canceled`].
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::cancel`] was called.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
