//! What can go wrong when a store is asked something.

use std::io;

/// Why a store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Bytes on disk are not what their format says; the text names file and offset.
    #[error("{0}")]
    Corrupt(String),
    /// The operating system refused; the text names the file.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A limit was passed; the text names it.
    #[error("{0}")]
    Limit(String),
    /// The store has been closed.
    #[error("storage is closed")]
    Closed,
    /// The database refuses writes since an earlier failure, named here. Reads go on.
    #[error("storage refuses writes: {0}")]
    ReadOnly(String),
    /// The caller no longer wants the answer: see [`crate::Stop`].
    #[error("the answer is no longer wanted")]
    Stopped,
    /// The caller asked for something that makes no sense; the text says what.
    #[error("{0}")]
    Invalid(String),
}

impl StorageError {
    /// Wraps a system error with what was being done.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}
