//! Remote read both ways: requests answered from the database, as Prometheus answers them
//! (storage/remote/read_handler.go), and other servers asked for what the database does not have
//! ([`reads`]). See DESIGN.md. Knows no HTTP beyond statuses and content types.
//!
//! An answer of samples is one block of snappy, compressed while it is made; one of chunks is a
//! stream of frames, made while they are fetched. Of either no more than a series is in memory
//! decoded.

mod answer;
mod endpoint;
mod frames;
pub mod reads;
mod request;
mod samples;
mod store;

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use model::Labels;
use promql::{Cancel, Deadline, QueryError};
use storage::StorageError;
use wire::read::ResponseType;

pub use answer::{Piece, RemoteResponse};
pub use endpoint::RemoteEndpoint;
pub use reads::{RemoteReads, RemoteRequest};

use crate::body::Body;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::stop::Stop;
use frames::Frames;
use request::Question;

/// What Prometheus takes of a request, compressed as well as decompressed.
pub const READ_BODY_BYTES_MAX: usize = 32 << 20;

/// What a query may take where nobody said how much.
const DEFAULT_MEMORY_BYTES: u64 = 4 << 30;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct RemoteReadRequest<B> {
    /// The body in pieces, in order: one block of snappy.
    pub pieces: Vec<B>,
    /// Added to series that have no such label; a matcher that asks for one of them asks for its absence.
    pub external_labels: Labels,
    /// Samples of one query's answer at most, where it is no stream; 0 for any number.
    pub samples_max: u64,
    /// Size at which a frame of a stream ends; one more chunk may be in it.
    pub frame_bytes_max: i64,
}

/// Why there is no answer, for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP.
    pub status: u16,
    /// The reason, in Prometheus' words.
    pub text: String,
}

impl Refusal {
    fn bad(text: impl Into<String>) -> Self {
        Self { status: 400, text: text.into() }
    }
}

/// An answer.
pub enum RemoteReadAnswer {
    /// None.
    Refused(Refusal),
    /// `prometheus.ReadResponse`, compressed by snappy.
    Samples(Body),
    /// A stream of `prometheus.ChunkedReadResponse`.
    Chunks(FrameStream),
}

/// Why an answer ends before it is whole.
enum Fault {
    Refused(Refusal),
    Engine(EngineError),
}

impl From<EngineError> for Fault {
    fn from(e: EngineError) -> Self {
        Self::Engine(e)
    }
}

impl From<StorageError> for Fault {
    fn from(e: StorageError) -> Self {
        Self::Engine(e.into())
    }
}

impl From<QueryError> for Fault {
    fn from(e: QueryError) -> Self {
        Self::Engine(e.into())
    }
}

impl Engine {
    /// Answers a request. What is wrong with it is in the answer; an error is the database's. It has
    /// no deadline, as with Prometheus: `cancel` ends it, streams included.
    pub fn remote_read<B: AsRef<[u8]> + Send + 'static>(
        &self,
        request: RemoteReadRequest<B>,
        cancel: Cancel,
        done: impl FnOnce(Result<RemoteReadAnswer, EngineError>) + Send + 'static,
    ) {
        let bytes = request.pieces.iter().map(|p| p.as_ref().len()).sum();
        let (engine, stop) = (self.clone(), self.until(&cancel));
        let until = stop.clone();
        let work = move |inner: &Inner, _: &Cancel| {
            let answered = inner.remote_read(&request, &until);
            match answered {
                Ok(Answered::Samples(body)) => Ok(RemoteReadAnswer::Samples(body)),
                Ok(Answered::Chunks(first, frames)) => {
                    let state = StreamState { ready: Some(first), frames };
                    let state = Arc::new(Mutex::new(state));
                    // Whose flag the caller's is after this call, nobody knows.
                    let cancel = Cancel::new();
                    Ok(RemoteReadAnswer::Chunks(FrameStream { engine, cancel, state }))
                }
                Err(Fault::Refused(refusal)) => Ok(RemoteReadAnswer::Refused(refusal)),
                Err(Fault::Engine(e)) => Err(e),
            }
        };
        self.run_query_until(bytes, stop, work, done);
    }

    fn until(&self, cancel: &Cancel) -> Stop {
        Stop::at(cancel.clone(), Deadline::new(self.inner.clock.clone(), u64::MAX))
    }
}

/// An answer in the making; of a stream the first piece and what is left.
enum Answered {
    Samples(Body),
    Chunks(Vec<u8>, Option<Box<Frames>>),
}

impl Inner {
    fn remote_read<B: AsRef<[u8]>>(
        &self,
        request: &RemoteReadRequest<B>,
        stop: &Stop,
    ) -> Result<Answered, Fault> {
        let external = &request.external_labels;
        let (questions, kind) = request::decode(&request.pieces, external, stop)?;
        if kind == ResponseType::StreamedXorChunks {
            let mut frames = Frames::new(questions, external.clone(), request.frame_bytes_max);
            let first = frames.fill(&self.db, stop)?;
            return Ok(Answered::Chunks(first, (!frames.is_done()).then(|| Box::new(frames))));
        }
        let limits = samples::Limits { samples_max: request.samples_max, bytes_max: self.memory_bytes_max() };
        Ok(Answered::Samples(samples::answer(&self.db, &questions, external, limits, stop)?))
    }

    fn memory_bytes_max(&self) -> u64 {
        match self.options.query_memory_bytes_max {
            0 => DEFAULT_MEMORY_BYTES,
            max => max,
        }
    }
}

/// A streamed answer, made as it is fetched.
pub struct FrameStream {
    engine: Engine,
    cancel: Cancel,
    state: Arc<Mutex<StreamState>>,
}

#[derive(Default)]
struct StreamState {
    /// What the first call was answered with.
    ready: Option<Vec<u8>>,
    /// `None` once all is made.
    frames: Option<Box<Frames>>,
}

impl StreamState {
    /// What can be told without making anything: the first piece, or the end.
    fn at_hand(&mut self) -> Option<Option<Vec<u8>>> {
        match self.ready.take().filter(|first| !first.is_empty()) {
            Some(first) => Some(Some(first)),
            None if self.frames.is_none() => Some(None),
            None => None,
        }
    }
}

impl FrameStream {
    /// The next frames, whole ones, about half a MiB unless a frame is longer; `None` at the end. One
    /// call at a time.
    pub fn next(&self, done: impl FnOnce(Result<Option<Vec<u8>>, EngineError>) + Send + 'static) {
        let at_hand = match self.state.try_lock() {
            Ok(mut state) => state.at_hand(),
            Err(TryLockError::Poisoned(state)) => state.into_inner().at_hand(),
            // Another call makes a piece; waiting for it would hold up whoever calls.
            Err(TryLockError::WouldBlock) => {
                return done(Err(EngineError::invalid("one piece of a stream at a time")));
            }
        };
        if let Some(answer) = at_hand {
            return done(Ok(answer));
        }
        let (state, stop) = (self.state.clone(), self.engine.until(&self.cancel));
        let work = {
            let stop = stop.clone();
            move |inner: &Inner, _: &Cancel| {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                // Only a piece that is finished leaves something to go on with.
                let Some(mut frames) = state.frames.take() else { return Ok(None) };
                let piece = frames.fill(&inner.db, &stop)?;
                if !frames.is_done() {
                    state.frames = Some(frames);
                }
                Ok((!piece.is_empty()).then_some(piece))
            }
        };
        self.engine.run_query_until(0, stop, work, done);
    }

    /// Ends the stream and frees what it holds.
    pub fn close(&self) {
        self.cancel.cancel();
        // What is being made at the moment sees the flag, and frees it then.
        if let Ok(mut state) = self.state.try_lock() {
            *state = StreamState::default();
        }
    }
}

/// Labels with those of `external` that are missing, sorted.
fn with_external<'a>(labels: &'a Labels, external: &'a Labels) -> Vec<(&'a str, &'a str)> {
    let mut out: Vec<(&str, &str)> = labels.iter().collect();
    if !external.is_empty() {
        out.extend(external.iter().filter(|(name, _)| labels.get(name).is_none()));
        out.sort_unstable();
    }
    out
}

/// Whether a question can have an answer; without matchers Prometheus finds nothing.
fn asks_for_something(question: &Question) -> bool {
    !question.matchers.is_empty()
}
