//! Asking a store for series, labels, chunks and exemplars.

use std::sync::Arc;

use model::{Columns, Labels, Matcher, TimestampMs};

use crate::{Spawn, Stop, StorageError};

/// Which labels of the selected series the caller will look at. A store that leaves out the others
/// still hands out each series by itself, so several may have equal labels then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Projection {
    /// All of them.
    #[default]
    All,
    /// Only these (sorted); a store may leave out the others.
    Only(Vec<String>),
    /// All but these (sorted); a store may leave them out.
    Without(Vec<String>),
}

/// What the caller knows about the use of the answer. A store may ignore all of it but the times.
#[derive(Clone, Debug, Default)]
pub struct SelectHints {
    /// First time of interest, milliseconds, inclusive.
    pub start_ms: TimestampMs,
    /// Last time of interest, milliseconds, inclusive.
    pub end_ms: TimestampMs,
    /// Step of the query, 0 for an instant query.
    pub step_ms: i64,
    /// Width of the range selector, 0 where there is none.
    pub range_ms: i64,
    /// The function or aggregation directly above the selector, "" where there is none.
    pub func: String,
    /// The labels of the aggregation directly above the selector, as the query has them.
    pub grouping: Vec<String>,
    /// Whether that one groups by these labels, not by all others.
    pub by: bool,
    /// Labels that will be looked at.
    pub projection: Projection,
    /// The series may come in any order that depends on the stored data alone, and labels that are
    /// left out need not be compared: what the caller does with them is its own business.
    pub any_order: bool,
    /// At most so many series, 0 for all.
    pub limit: usize,
    /// The caller needs series only, never samples: `read` will not be called.
    pub series_only: bool,
    /// Asked every few thousand series while they are looked for, and every few dozen chunks while
    /// one is read: the answer is then [`StorageError::Stopped`].
    pub stop: Stop,
}

/// What limits a question about labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabelHints {
    /// At most so many answers, 0 for all.
    pub limit: usize,
}

/// A store that can be asked.
pub trait Queryable: Send + Sync {
    /// A view of the samples with `start_ms ≤ t ≤ end_ms`. What is committed later may or may not
    /// be in it, but never half of a transaction.
    ///
    /// # Errors
    /// Where the store is closed or cannot be read.
    fn querier(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> Result<Box<dyn Querier>, StorageError>;
}

/// A view over a span of time.
pub trait Querier: LabelQuerier {
    /// The series that satisfy all matchers and may have samples in the querier's span, in order
    /// of labels unless any will do, each once.
    ///
    /// # Errors
    /// Where the store cannot be read or a limit was passed.
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Box<dyn SeriesSet>, StorageError>;

    /// As [`Self::select`], by threads of `spawn` that share the work where there is much of it. The answer does not
    /// depend on them.
    ///
    /// # Errors
    /// As [`Self::select`].
    fn select_shared(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
        spawn: &dyn Spawn,
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        let _ = spawn;
        self.select(hints, matchers)
    }
}

/// The series that a select found; any of them can be read in any order, from any thread.
pub trait SeriesSet: Send + Sync {
    /// Number of series.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Labels of series `i` < `len`, in the store's memory or made for this call.
    fn labels(&self, i: usize) -> Labels;

    /// Appends the samples of series `i` in the span `hints.start_ms ..= hints.end_ms`, cut to the
    /// querier's, to `columns` in order of time.
    ///
    /// # Errors
    /// Where the bytes cannot be read.
    fn read(&self, i: usize, columns: &mut Columns) -> Result<(), StorageError>;

    /// Remarks for the caller: what was left out, and why.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Questions about labels. Answers are sorted bytewise and distinct.
pub trait LabelQuerier: Send + Sync {
    /// Values of label `name` among the series that satisfy `matchers`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn label_values(
        &self,
        name: &str,
        hints: LabelHints,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, StorageError>;

    /// Names of the labels of the series that satisfy `matchers`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn label_names(&self, hints: LabelHints, matchers: &[Matcher]) -> Result<Vec<String>, StorageError>;
}

/// A chunk as it is stored.
#[derive(Clone, Debug)]
pub struct EncodedChunk {
    /// Time of its first sample.
    pub min_ms: TimestampMs,
    /// Time of its last sample.
    pub max_ms: TimestampMs,
    /// How `data` is encoded.
    pub encoding: chunk::Encoding,
    /// The chunk's bytes, without length, encoding or checksum.
    pub data: Arc<[u8]>,
}

/// A store that can hand out chunks without decoding them: for compaction and remote read.
pub trait ChunkQuerier: LabelQuerier {
    /// As [`Querier::select`], for chunks.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn select_chunks(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn ChunkSeriesSet>, StorageError>;
}

/// Series with their chunks.
pub trait ChunkSeriesSet: Send + Sync {
    /// Number of series.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Labels of series `i`.
    fn labels(&self, i: usize) -> Labels;

    /// Appends the chunks of series `i` that reach into the span, in order of time.
    ///
    /// # Errors
    /// Where the bytes cannot be read.
    fn chunks(&self, i: usize, out: &mut Vec<EncodedChunk>) -> Result<(), StorageError>;
}

/// A value with a reference to what it is an example of.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Labels of the exemplar, such as a trace id.
    pub labels: Labels,
    /// The value.
    pub value: f64,
    /// When, if the source said so.
    pub timestamp_ms: Option<TimestampMs>,
}

/// The exemplars of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarSeries {
    /// The series.
    pub series: Labels,
    /// In order of time.
    pub exemplars: Vec<Exemplar>,
}

/// A store that keeps exemplars.
pub trait ExemplarQuerier: Send + Sync {
    /// Exemplars with `start_ms ≤ t ≤ end_ms` of the series that satisfy any of the matcher lists.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn exemplars(
        &self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        matchers: &[Vec<Matcher>],
    ) -> Result<Vec<ExemplarSeries>, StorageError>;
}
