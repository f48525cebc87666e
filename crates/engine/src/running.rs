//! The queries that run, so that closing can end them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use promql::{Cancel, QueryError};

use crate::error::EngineError;

/// The queries that run, and whether the engine is closed.
#[derive(Default)]
pub(crate) struct Running(Mutex<State>);

#[derive(Default)]
struct State {
    closed: bool,
    next: u64,
    queries: HashMap<u64, Cancel>,
}

impl Running {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Cancels what runs and what is still to come.
    pub(crate) fn close(&self) {
        let mut s = self.state();
        s.closed = true;
        s.queries.values().for_each(Cancel::cancel);
    }

    /// Notes a query until the guard goes; one that comes after `close` is cancelled.
    pub(crate) fn enter(&self, cancel: &Cancel) -> Entered<'_> {
        let mut s = self.state();
        if s.closed {
            cancel.cancel();
        }
        s.next += 1;
        let id = s.next;
        s.queries.insert(id, cancel.clone());
        Entered { running: self, id }
    }

    /// The error of a query that was cancelled: by its caller, or because the engine closes.
    pub(crate) fn canceled(&self) -> EngineError {
        if self.is_closed() { EngineError::closed() } else { QueryError::Canceled.into() }
    }
}

/// A query that runs.
pub(crate) struct Entered<'a> {
    running: &'a Running,
    id: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.running.state().queries.remove(&self.id);
    }
}
