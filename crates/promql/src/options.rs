//! What the caller decides about a query.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use storage::{Clock, Stop};

use crate::error::QueryError;
use crate::value::QueryStats;

/// Settings of one query.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// How far back a selector looks for a sample, milliseconds; the far end is exclusive.
    pub lookback_ms: i64,
    /// How many samples may be in memory at once as Prometheus counts them, 0 for no limit.
    pub max_samples: usize,
    /// Bytes that the query may really take, 0 for a default.
    pub memory_bytes_max: u64,
    /// How many series the query's selectors may find together, 0 for no limit.
    pub max_series: u64,
    /// How many samples the query may read, 0 for no limit.
    pub max_samples_read: u64,
    /// Whether statistics count as with Prometheus' feature `query-cost`.
    pub query_cost: bool,
    /// Where what the query cost is noted, even if it fails.
    pub report: Option<Arc<Mutex<QueryStats>>>,
    /// Whether statistics are wanted for each step.
    pub per_step_stats: bool,
    /// The step of subqueries that name none, milliseconds.
    pub default_subquery_step_ms: i64,
    /// Whether metric names are removed at the end of the query rather than by each operator.
    pub delayed_name_removal: bool,
    /// Whether counter functions use start timestamps.
    pub use_start_timestamps: bool,
    /// Whether counters are recognised by their `__type__` label rather than by name.
    pub type_and_unit_labels: bool,
    /// When to give up; none for never.
    pub deadline: Option<Deadline>,
}

impl Default for QueryOptions {
    /// Prometheus' defaults.
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            memory_bytes_max: 0,
            max_series: 0,
            max_samples_read: 0,
            query_cost: false,
            report: None,
            per_step_stats: false,
            default_subquery_step_ms: 60_000,
            delayed_name_removal: false,
            use_start_timestamps: false,
            type_and_unit_labels: false,
            deadline: None,
        }
    }
}

/// A moment on a clock, which whoever works on the query's behalf may look at.
#[derive(Clone)]
pub struct Deadline {
    clock: Arc<dyn Clock>,
    at_ns: u64,
}

impl Deadline {
    /// The moment when the clock's monotonic scale shows `at_ns`.
    pub fn new(clock: Arc<dyn Clock>, at_ns: u64) -> Self {
        Self { clock, at_ns }
    }

    /// Whether it is here or past.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.clock.monotonic_ns() >= self.at_ns
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deadline({} ns)", self.at_ns)
    }
}

impl QueryOptions {
    /// Whether the query may go on: asked per series and after every stretch of elements.
    ///
    /// # Errors
    /// [`QueryError::Canceled`], [`QueryError::Timeout`].
    pub fn check(&self, cancel: &Cancel) -> Result<(), QueryError> {
        if cancel.is_canceled() {
            return Err(QueryError::Canceled);
        }
        match &self.deadline {
            Some(deadline) if deadline.has_passed() => Err(QueryError::Timeout),
            _ => Ok(()),
        }
    }

    /// The same question for a store.
    pub(crate) fn stop(&self, cancel: &Cancel) -> Stop {
        let (deadline, cancel) = (self.deadline.clone(), cancel.clone());
        Stop::when(move || cancel.is_canceled() || deadline.as_ref().is_some_and(Deadline::has_passed))
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
