//! When to stop answering a question: its caller cancelled, or it takes too long.

use model::Matcher;
use promql::{Cancel, Deadline, QueryError};
use storage::{ChunkQuerier, ChunkSeriesSet, Querier, SelectHints, SeriesSet, StorageError};

use crate::engine::Inner;
use crate::error::{EngineError, ErrorCode};
use crate::query::deadline_ns;

/// How long the caller of a question wants its answer.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    cancel: Cancel,
    deadline: Deadline,
}

impl Stop {
    /// At `deadline`, unless cancelled before.
    pub(crate) fn at(cancel: Cancel, deadline: Deadline) -> Self {
        Self { cancel, deadline }
    }

    /// A question asked at `asked_ns` may take as long as a query.
    pub(crate) fn new(inner: &Inner, cancel: &Cancel, asked_ns: u64) -> Self {
        let at_ns = deadline_ns(asked_ns, inner.options.query_timeout_ms);
        Self::at(cancel.clone(), Deadline::new(inner.clock.clone(), at_ns))
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// # Errors
    /// Why to stop.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.cancel.is_canceled() {
            return Err(QueryError::Canceled.into());
        }
        if self.deadline.has_passed() {
            return Err(QueryError::Timeout.into());
        }
        Ok(())
    }

    /// [`Self::check`] of what has not begun yet, in the words for that.
    ///
    /// # Errors
    /// Why not to begin.
    pub(crate) fn check_waiting(&self) -> Result<(), EngineError> {
        self.check().map_err(|e| match e.code {
            ErrorCode::QueryTimeout => EngineError::new(e.code, "query timed out in query execution"),
            code => EngineError::new(code, "query was canceled in query execution"),
        })
    }

    /// [`Querier::select`], which heeds this too.
    ///
    /// # Errors
    /// Why to stop, or what the store says.
    pub(crate) fn select(
        &self,
        querier: &dyn Querier,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, EngineError> {
        querier.select(&self.heeded_by(hints), matchers).map_err(|e| self.told_by(e))
    }

    /// [`ChunkQuerier::select_chunks`], likewise.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub(crate) fn select_chunks(
        &self,
        querier: &dyn ChunkQuerier,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn ChunkSeriesSet>, EngineError> {
        querier.select_chunks(&self.heeded_by(hints), matchers).map_err(|e| self.told_by(e))
    }

    fn heeded_by(&self, hints: &SelectHints) -> SelectHints {
        let (cancel, deadline) = (self.cancel.clone(), self.deadline.clone());
        let stop = storage::Stop::when(move || cancel.is_canceled() || deadline.has_passed());
        SelectHints { stop, ..hints.clone() }
    }

    /// A store that stopped does not know why.
    fn told_by(&self, e: StorageError) -> EngineError {
        match e {
            StorageError::Stopped => self.check().err().unwrap_or_else(|| e.into()),
            e => e.into(),
        }
    }
}
