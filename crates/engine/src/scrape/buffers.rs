//! Memory for inflated bodies, shared by all targets: as many buffers as ingest threads, not one a
//! target.

use std::sync::{Mutex, PoisonError};

/// Buffers that are kept.
const KEPT_MAX: usize = 4;
/// Capacity beyond which a buffer is given back to the system.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// Buffers waiting for a body.
#[derive(Default)]
pub(crate) struct BodyBuffers(Mutex<Vec<Vec<u8>>>);

impl BodyBuffers {
    /// A buffer, with whatever was in it.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Gives a buffer to the next body.
    pub(crate) fn put(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX && buffer.capacity() <= KEPT_BYTES_MAX {
            kept.push(buffer);
        }
    }
}
