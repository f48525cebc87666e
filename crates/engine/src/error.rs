//! Errors that leave the core: a code from one table, and a sentence.
//!
//! The same table stands in `ts/core/errors.ts`; a test compares the two.

use std::any::Any;
use std::fmt;

use storage::StorageError;

/// What kind of failure, and so what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The caller gave something that makes no sense: mend the call.
    InvalidArgument,
    /// A query or selector does not parse: mend the query.
    QueryParse,
    /// A query parsed but cannot be answered: mend the query or the data.
    QueryExecution,
    /// A query would cost more than allowed: ask for less, or raise the limit.
    QueryCostLimit,
    /// The caller cancelled.
    QueryCanceled,
    /// A query took too long: ask for less, or raise the timeout.
    QueryTimeout,
    /// A queue is full: try again later.
    Overloaded,
    /// The engine is closed.
    Closed,
    /// Another process has the data directory: stop it, or use another.
    Locked,
    /// The database refuses writes since an earlier failure: look at the disk, restart.
    ReadOnly,
    /// Bytes on disk are damaged: look at the file named.
    Corrupt,
    /// The operating system refused.
    Io,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::InvalidArgument,
        Self::QueryParse,
        Self::QueryExecution,
        Self::QueryCostLimit,
        Self::QueryCanceled,
        Self::QueryTimeout,
        Self::Overloaded,
        Self::Closed,
        Self::Locked,
        Self::ReadOnly,
        Self::Corrupt,
        Self::Io,
        Self::Internal,
    ];

    /// The code as JavaScript knows it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::QueryParse => "QUERY_PARSE",
            Self::QueryExecution => "QUERY_EXECUTION",
            Self::QueryCostLimit => "QUERY_COST_LIMIT",
            Self::QueryCanceled => "QUERY_CANCELED",
            Self::QueryTimeout => "QUERY_TIMEOUT",
            Self::Overloaded => "OVERLOADED",
            Self::Closed => "CLOSED",
            Self::Locked => "LOCKED",
            Self::ReadOnly => "READ_ONLY",
            Self::Corrupt => "CORRUPT",
            Self::Io => "IO",
            Self::Internal => "INTERNAL",
        }
    }
}

/// An error with its code. Printed as `CODE: sentence`, which is how it crosses to JavaScript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    /// The kind of failure.
    pub code: ErrorCode,
    /// A sentence for a person.
    pub message: String,
}

impl EngineError {
    /// An error of `code`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The error of every call after `close`.
    #[must_use]
    pub fn closed() -> Self {
        Self::new(ErrorCode::Closed, "the engine is closed")
    }

    /// A fault of ours, told by what a panic carries.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::new(ErrorCode::Internal, format!("a fault in the core: {text}"))
    }

    /// An error of the caller's.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for EngineError {}

impl From<StorageError> for EngineError {
    fn from(e: StorageError) -> Self {
        let code = match &e {
            StorageError::Corrupt(_) => ErrorCode::Corrupt,
            StorageError::Io { source, .. } if source.kind() == std::io::ErrorKind::WouldBlock => {
                ErrorCode::Locked
            }
            StorageError::Io { .. } => ErrorCode::Io,
            StorageError::Limit(_) => ErrorCode::QueryExecution,
            StorageError::Stopped => ErrorCode::QueryCanceled,
            StorageError::Closed => ErrorCode::Closed,
            StorageError::ReadOnly(_) => ErrorCode::ReadOnly,
            StorageError::Invalid(_) => ErrorCode::InvalidArgument,
            _ => ErrorCode::Internal,
        };
        Self::new(code, e.to_string())
    }
}
