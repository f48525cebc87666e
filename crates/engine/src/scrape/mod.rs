//! Scrapes: from a target's body to committed samples, in one call.
//!
//! One scrape is one transaction: the body's samples, stale markers for the series that have gone,
//! `up` and the scrape_* series. A body that cannot be taken in leaves none of its samples; then
//! every series of the target goes stale and `up` is 0. Knows no HTTP and no schedule.

mod cache;
mod inflate;
mod ingest;
mod metadata;
mod target;

use std::sync::{Arc, Mutex, PoisonError};

use model::TimestampMs;

pub use inflate::SCRAPE_BODY_BYTES_MAX;
pub use metadata::MetricMetadata;
pub use target::TargetOptions;

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use ingest::TargetState;

/// What came of asking a target.
pub enum ScrapeInput<B> {
    /// A body, in pieces, as it came over the wire.
    Body {
        /// The pieces in order.
        pieces: Vec<B>,
        /// Content-Encoding, empty where absent.
        content_encoding: String,
        /// Content-Type, empty where absent.
        content_type: String,
    },
    /// No body; the text says why.
    Failed(String),
}

/// When a scrape was due, and how long it has taken so far.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeTime {
    /// The timestamp of samples that carry none.
    pub timestamp_ms: TimestampMs,
    /// Seconds since the scrape began; the time spent here is added.
    pub elapsed_seconds: f64,
}

/// What became of a scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrapeReport {
    /// Why it failed, in Prometheus' words.
    pub error: Option<String>,
    /// Samples in the body.
    pub samples_scraped: u64,
    /// Samples left after metric relabelling.
    pub samples_post_metric_relabeling: u64,
    /// Series that the scrape before did not have.
    pub series_added: u64,
    /// Seconds from the start of the scrape to just before its commit.
    pub duration_seconds: f64,
    /// Bytes of the body, inflated; −1 where it was over the limit.
    pub body_bytes: i64,
    /// Samples older than the newest of their series.
    pub out_of_order: u64,
    /// Samples whose series has another value at that time.
    pub duplicates: u64,
    /// Samples too old or too far ahead.
    pub out_of_bounds: u64,
}

/// One target's memory between scrapes; a clone is another handle on the same.
#[derive(Clone)]
pub struct Target {
    inner: Arc<Inner>,
    state: Arc<Mutex<TargetState>>,
}

impl Engine {
    /// A new target.
    #[must_use]
    pub fn open_target(&self, options: TargetOptions) -> Target {
        use std::sync::atomic::Ordering;
        // Weyl's sequence: every cache hashes differently.
        let seed = self.inner.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let state = Arc::new(Mutex::new(TargetState::new(options, seed)));
        Target { inner: self.inner.clone(), state }
    }
}

impl Target {
    /// Takes in what came of one scrape. See the module's header for what is written.
    pub fn scrape<B: AsRef<[u8]> + Send + 'static>(
        &self,
        input: ScrapeInput<B>,
        time: ScrapeTime,
        done: impl FnOnce(Result<ScrapeReport, EngineError>) + Send + 'static,
    ) {
        let target = self.clone();
        self.inner.ingest.run(
            move || {
                let db = target.inner.open_db()?;
                let clock = target.inner.clock.as_ref();
                let mut state = target.state.lock().unwrap_or_else(PoisonError::into_inner);
                let report = match input {
                    ScrapeInput::Body { pieces, content_encoding, content_type } => {
                        let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
                        state.body(db, clock, &pieces, &content_encoding, &content_type, time)
                    }
                    ScrapeInput::Failed(error) => state.failed(db, clock, error, time),
                };
                if let Ok(report) = &report {
                    target.inner.metrics.scrape(report);
                }
                report
            },
            done,
        );
    }

    /// Marks all series of the target, `up` included, as stale: the target is gone for good.
    pub fn mark_stale(
        &self,
        timestamp_ms: TimestampMs,
        done: impl FnOnce(Result<(), EngineError>) + Send + 'static,
    ) {
        let target = self.clone();
        self.inner.ingest.run(
            move || {
                let db = target.inner.open_db()?;
                let mut state = target.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.end(db, timestamp_ms)
            },
            done,
        );
    }

    /// What the last bodies said of their metric families, by name.
    #[must_use]
    pub fn metadata(&self) -> Vec<(String, MetricMetadata)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.metadata().map(|(n, m)| (String::from_utf8_lossy(n).into_owned(), m.clone())).collect()
    }
}
