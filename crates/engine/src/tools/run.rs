//! A tool at work, and the text it hands out piece by piece, no faster than it is taken.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use storage::Spawn;

use crate::error::{EngineError, ErrorCode};
use crate::pool::guarded;

/// Text is handed out in pieces of this size at most.
const PIECE_BYTES: usize = 1 << 20;
/// So many pieces may wait to be taken; the tool waits then.
const PIECES_MAX: usize = 2;

/// A piece of what a tool says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of its result.
    Result(Vec<u8>),
    /// A line about how far it has come.
    Progress(String),
    /// A line that the user has to see though the tool goes on.
    Warning(String),
}

type Next = Box<dyn FnOnce(Result<Option<Piece>, EngineError>) + Send>;

#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    /// Who waits for a piece.
    next: Option<Next>,
    ended: Option<Result<bool, EngineError>>,
    cancelled: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    room: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, piece: Piece) -> Result<(), EngineError> {
        let mut state = self.state();
        while state.pieces.len() >= PIECES_MAX && !state.cancelled {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.cancelled {
            return Err(cancelled());
        }
        match state.next.take() {
            Some(next) => {
                drop(state);
                next(Ok(Some(piece)));
            }
            None => state.pieces.push_back(piece),
        }
        Ok(())
    }
}

fn cancelled() -> EngineError {
    EngineError::new(ErrorCode::QueryCanceled, "interrupted")
}

/// Where a tool puts its text.
pub struct Output {
    shared: Arc<Shared>,
    buffer: Vec<u8>,
}

impl Output {
    /// Hands out text; waits where nobody takes it.
    ///
    /// # Errors
    /// Once the run is cancelled.
    pub fn write(&mut self, text: &[u8]) -> Result<(), EngineError> {
        let mut rest = text;
        loop {
            let room = PIECE_BYTES - self.buffer.len();
            let (part, tail) = rest.split_at(rest.len().min(room));
            self.buffer.extend_from_slice(part);
            if self.buffer.len() < PIECE_BYTES {
                return self.check();
            }
            self.flush()?;
            rest = tail;
        }
    }

    /// Hands out what has gathered.
    ///
    /// # Errors
    /// Once the run is cancelled.
    pub fn flush(&mut self) -> Result<(), EngineError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.shared.put(Piece::Result(std::mem::take(&mut self.buffer)))
    }

    /// Tells how far the tool has come.
    ///
    /// # Errors
    /// Once the run is cancelled.
    pub fn progress(&mut self, text: String) -> Result<(), EngineError> {
        self.flush()?;
        self.shared.put(Piece::Progress(text))
    }

    /// Tells from any thread how far the tool has come, where there is room for it; never waits.
    pub fn reporter(&self) -> impl Fn(String) + Send + Sync + use<> {
        let shared = self.shared.clone();
        move |text| {
            let mut state = shared.state();
            if let Some(next) = state.next.take() {
                drop(state);
                next(Ok(Some(Piece::Progress(text))));
            } else if state.pieces.len() < PIECES_MAX {
                state.pieces.push_back(Piece::Progress(text));
            }
        }
    }

    /// Tells the user something that is no part of the result.
    ///
    /// # Errors
    /// Once the run is cancelled.
    pub fn warning(&mut self, text: String) -> Result<(), EngineError> {
        self.flush()?;
        self.shared.put(Piece::Warning(text))
    }

    /// # Errors
    /// Once the run is cancelled.
    pub fn check(&self) -> Result<(), EngineError> {
        if self.shared.state().cancelled { Err(cancelled()) } else { Ok(()) }
    }
}

/// A tool at work. Dropped, it is cancelled.
pub struct ToolRun(Arc<Shared>);

impl ToolRun {
    /// Starts `work` on a thread of `spawn`. It says whether all was well.
    pub fn start(
        spawn: &dyn Spawn,
        work: impl FnOnce(&mut Output) -> Result<bool, EngineError> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let mut out = Output { shared: shared.clone(), buffer: Vec::new() };
        spawn.spawn(Box::new(move || {
            let result = guarded(|| {
                // What was found before an error is said before it.
                let done = work(&mut out);
                out.flush().and(done)
            });
            let mut state = out.shared.state();
            state.ended = Some(result.clone());
            if let Some(next) = state.next.take() {
                drop(state);
                next(result.map(|_| None));
            }
        }));
        Self(shared)
    }

    /// Hands `done` the next piece, as soon as there is one; `None` at the end, or the error that
    /// ended it.
    pub fn next(&self, done: impl FnOnce(Result<Option<Piece>, EngineError>) + Send + 'static) {
        let mut state = self.0.state();
        if let Some(piece) = state.pieces.pop_front() {
            self.0.room.notify_all();
            drop(state);
            done(Ok(Some(piece)));
        } else if let Some(ended) = state.ended.clone() {
            drop(state);
            done(ended.map(|_| None));
        } else {
            state.next = Some(Box::new(done));
        }
    }

    /// Whether the tool has ended and all was well.
    #[must_use]
    pub fn clean(&self) -> bool {
        matches!(self.0.state().ended, Some(Ok(true)))
    }

    /// Ends the tool soon.
    pub fn cancel(&self) {
        self.0.state().cancelled = true;
        self.0.room.notify_all();
    }
}

impl Drop for ToolRun {
    fn drop(&mut self) {
        self.cancel();
    }
}
