//! Scrapes: from a target's body to committed samples, in one call.
//!
//! One scrape is one transaction: the body's samples, stale markers for the series that have gone,
//! `up` and the scrape_* series. A body that cannot be taken in leaves none of its samples; then
//! every series of the target goes stale and `up` is 0. Knows no HTTP and no schedule.

mod buffers;
mod cache;
mod described;
mod inflate;
mod ingest;
mod intake;
mod metadata;
mod start;
mod synthesis;
mod target;

use std::sync::{Arc, Mutex, PoisonError};

use model::TimestampMs;

pub(crate) use buffers::BodyBuffers;
pub use inflate::SCRAPE_BODY_BYTES_MAX;
pub use metadata::MetricMetadata;
pub use target::TargetOptions;

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use ingest::TargetState;
use metadata::Published;

/// How far ahead of the clock a timestamp may be.
const AHEAD_MAX_MS: i64 = 10 * 60 * 1000;

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
    /// Exemplars older than the newest of their series.
    pub exemplars_out_of_order: u64,
}

/// One target's memory between scrapes; a clone is another handle on the same.
#[derive(Clone)]
pub struct Target {
    engine: Engine,
    state: Arc<Mutex<TargetState>>,
    /// Apart from the state, so that asking never waits for a scrape.
    metadata: Arc<Published>,
}

impl Engine {
    /// A new target.
    #[must_use]
    pub fn open_target(&self, options: TargetOptions) -> Target {
        use std::sync::atomic::Ordering;
        // Weyl's sequence: every cache hashes differently.
        let seed = self.inner.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let metadata = Arc::<Published>::default();
        let state = Arc::new(Mutex::new(TargetState::new(options, seed, metadata.clone())));
        Target { engine: self.clone(), state, metadata }
    }
}

impl Inner {
    /// Samples after this are out of bounds: one of them would put all that comes until then out
    /// of order.
    pub(crate) fn ahead_ms(&self) -> TimestampMs {
        self.clock.now_ms().saturating_add(AHEAD_MAX_MS)
    }

    fn check_time(&self, t_ms: TimestampMs) -> Result<(), EngineError> {
        if t_ms <= self.ahead_ms() {
            return Ok(());
        }
        Err(EngineError::invalid(format!(
            "the scrape's time {t_ms} is more than ten minutes ahead of the clock"
        )))
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
        let bytes = match &input {
            ScrapeInput::Body { pieces, .. } => pieces.iter().map(|p| p.as_ref().len()).sum(),
            ScrapeInput::Failed(_) => 0,
        };
        let state = self.state.clone();
        let work = move |inner: &Inner| {
            inner.check_time(time.timestamp_ms)?;
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let report = match input {
                ScrapeInput::Body { pieces, content_encoding, content_type } => {
                    let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
                    state.body(inner, &pieces, &content_encoding, &content_type, time)?
                }
                ScrapeInput::Failed(error) => state.failed(inner, error, time)?,
            };
            Ok(report)
        };
        self.engine.run_ingest(bytes, work, done);
    }

    /// Marks all series of the target, `up` included, as stale: the target is gone for good.
    pub fn mark_stale(
        &self,
        timestamp_ms: TimestampMs,
        done: impl FnOnce(Result<(), EngineError>) + Send + 'static,
    ) {
        let state = self.state.clone();
        let work = move |inner: &Inner| {
            inner.check_time(timestamp_ms)?;
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.end(&inner.db, timestamp_ms)
        };
        self.engine.run_ingest(0, work, done);
    }

    /// How many families the target's metadata knows, and the bytes of what it says of them (as Prometheus counts them).
    #[must_use]
    pub fn metadata_size(&self) -> (usize, usize) {
        let all = self.metadata.get();
        let bytes = all.iter().map(|(_, m)| m.metric_type.len() + m.help.len() + m.unit.len()).sum();
        (all.len(), bytes)
    }

    /// What the last bodies said of their metric families, by name.
    #[must_use]
    pub fn metadata(&self) -> Arc<[(String, MetricMetadata)]> {
        self.metadata.get()
    }
}
