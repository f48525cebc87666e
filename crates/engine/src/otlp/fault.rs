//! Why a request, or a part of it, could not be stored.

use storage::AppendError;
use wire::WireError;

use crate::error::{EngineError, ErrorCode};

/// Reasons that a sender is told; longer lists are cut.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Why something was not stored.
#[derive(Debug)]
pub(super) enum Fault {
    /// The sample does not fit to those that are there. Sending it again is of no use.
    Sample(String),
    /// It has no translation, or the store refuses it for what it is.
    Other(String),
    /// The request is too much; nothing else is looked at.
    TooMuch(String),
    /// The body is damaged; nothing else is looked at.
    Wire(WireError),
    /// The database's fault; nothing else is looked at.
    Engine(EngineError),
}

impl Fault {
    /// A sample whose time lies too far ahead of the clock.
    pub(super) fn ahead() -> Self {
        Self::Sample(format!("{}: timestamp is too far in the future", AppendError::OutOfBounds))
    }
}

impl From<AppendError> for Fault {
    fn from(e: AppendError) -> Self {
        let text = e.to_string();
        match e {
            AppendError::ReadOnly(_) => Self::Engine(EngineError::new(ErrorCode::ReadOnly, text)),
            AppendError::OutOfOrder
            | AppendError::OutOfBounds
            | AppendError::TooOld
            | AppendError::DuplicateTimestamp(_) => Self::Sample(text),
            _ => Self::Other(text),
        }
    }
}

impl From<WireError> for Fault {
    fn from(e: WireError) -> Self {
        Self::Wire(e)
    }
}

/// The faults of one request that do not end it at once. Any of them means that nothing is stored.
#[derive(Debug, Default)]
pub(super) struct Faults {
    text: String,
    any: bool,
    /// Whether one of them is that of a sample.
    pub of_sample: bool,
}

impl Faults {
    /// Notes a fault.
    ///
    /// # Errors
    /// A fault that ends the request.
    pub(super) fn push(&mut self, fault: Fault) -> Result<(), Fault> {
        let text = match fault {
            Fault::Sample(text) => {
                self.of_sample = true;
                text
            }
            Fault::Other(text) => text,
            ends => return Err(ends),
        };
        if self.text.len() < TEXT_BYTES_MAX {
            if self.any {
                self.text.push('\n');
            }
            self.text.push_str(&text);
        }
        self.any = true;
        Ok(())
    }

    /// All of them, one a line; `None` where there are none.
    pub(super) fn finish(self) -> Option<String> {
        self.any.then_some(self.text)
    }
}
