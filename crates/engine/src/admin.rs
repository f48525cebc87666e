//! What an operator asks for: other settings, deleting, cleaning, copying.

use model::TimestampMs;

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::options::StorageSettings;

/// The folder of the data directory in which snapshots are made.
const SNAPSHOTS_DIR: &str = "snapshots";

impl Engine {
    /// Replaces the settings that may change while the engine is open; they are in force once
    /// `done` is called.
    ///
    /// Fails with [`crate::ErrorCode::InvalidArgument`] where they contradict the features the
    /// engine was opened with; the old ones stay then.
    pub fn apply_storage(
        &self,
        settings: StorageSettings,
        done: impl FnOnce(Result<(), EngineError>) + Send + 'static,
    ) {
        self.run_background(
            move |inner| Ok(inner.db.apply(settings.resolve(inner.options.features)?)?),
            done,
        );
    }

    /// Marks the samples with `start_ms ≤ t ≤ end_ms` of the series that satisfy any of the
    /// selectors as deleted. A selector without matchers selects nothing, as with Prometheus.
    ///
    /// Fails with [`crate::ErrorCode::QueryParse`] before anything is deleted where a selector is
    /// none. What was deleted before another error stays deleted.
    pub fn delete_series(
        &self,
        selectors: Vec<String>,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        done: impl FnOnce(Result<(), EngineError>) + Send + 'static,
    ) {
        let work = move |inner: &Inner| {
            for matchers in inner.parse_selectors(&selectors)?.iter().filter(|m| !m.is_empty()) {
                inner.db.delete(start_ms, end_ms, matchers)?;
            }
            Ok(())
        };
        self.run_background(work, done);
    }

    /// Writes every block with deleted samples again without them.
    pub fn clean_tombstones(&self, done: impl FnOnce(Result<(), EngineError>) + Send + 'static) {
        self.run_background(|inner| Ok(inner.db.clean_tombstones()?), done);
    }

    /// Makes a copy of all blocks in the folder `snapshots/name` of the data directory, with the
    /// head's samples as a block of their own if `with_head`.
    ///
    /// Fails with [`crate::ErrorCode::InvalidArgument`] where `name` is no plain name of a folder.
    pub fn snapshot(
        &self,
        name: String,
        with_head: bool,
        done: impl FnOnce(Result<(), EngineError>) + Send + 'static,
    ) {
        let work = move |inner: &Inner| {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                return Err(EngineError::invalid(format!("{name:?} is no name for a snapshot")));
            }
            let dir = inner.options.dir.join(SNAPSHOTS_DIR).join(name);
            Ok(inner.db.snapshot(&dir, with_head)?)
        };
        self.run_background(work, done);
    }
}
