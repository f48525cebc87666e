//! Remote write: from a request's body to committed samples, in one call.
//!
//! One request is one transaction. Of a 1.0 request all or nothing is stored; of a 2.0 request
//! what can be stored is, and the report says what could not: both as Prometheus' receiver does.
//! Knows no HTTP beyond the two headers that say what a body is.

mod handle;
mod protocol;
mod refusals;
mod v1;
mod v2;

use std::sync::{Mutex, PoisonError, RwLock};

use storage::Exemplar;
use wire::{HistogramSample, SampleColumns, SymbolSpans, WireError, snappy};

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::series_cache::{KeyHash, SeriesCache};
use handle::Fault;
use protocol::{Version, check_accepted, check_encoding, message_of};

pub(crate) use v1::in_order as exemplars_in_order;

/// The largest body that is taken, compressed as well as decompressed: what Prometheus takes.
pub const REMOTE_WRITE_BODY_BYTES_MAX: usize = snappy::BODY_BYTES_MAX;

/// Sets of buffers that are kept for later requests, each with room for so many samples at most.
const SCRATCH_KEPT_MAX: usize = 4;
const SCRATCH_SAMPLES_MAX: usize = 1 << 16;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct RemoteWriteRequest<B> {
    /// The body in pieces, in order: one block of snappy.
    pub pieces: Vec<B>,
    /// Content-Type, empty where absent.
    pub content_type: String,
    /// Content-Encoding, empty where absent.
    pub content_encoding: String,
    /// The messages that are taken, by their names; empty: all.
    pub accepted: Vec<String>,
}

/// Why a request, or a part of it, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The headers name something that is not taken in.
    MediaType,
    /// The body is too large.
    TooLarge,
    /// The body is damaged, or holds what cannot be stored: sending it again is of no use.
    Invalid,
}

/// Why a request, or a part of it, was refused, for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason.
    pub kind: RefusalKind,
    /// The reason in Prometheus' words; of 2.0 one a line.
    pub text: String,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteWriteReport {
    /// What was refused. Of a 1.0 request nothing is stored then.
    pub refusal: Option<Refusal>,
    /// Whether the sender expects the counts below: it speaks 2.0.
    pub has_counts: bool,
    /// Float samples stored.
    pub samples: u64,
    /// Histograms stored.
    pub histograms: u64,
    /// Exemplars stored.
    pub exemplars: u64,
}

impl RemoteWriteReport {
    fn refused(kind: RefusalKind, text: String) -> Self {
        Self { refusal: Some(Refusal { kind, text }), ..Self::default() }
    }
}

impl From<WireError> for Refusal {
    fn from(e: WireError) -> Self {
        let kind = match e {
            WireError::BodyTooLarge { .. } => RefusalKind::TooLarge,
            _ => RefusalKind::Invalid,
        };
        Self { kind, text: e.to_string() }
    }
}

/// What the receiver keeps between requests.
pub(crate) struct Receiver {
    cache: RwLock<SeriesCache>,
    scratch: Mutex<Vec<Scratch>>,
}

impl Receiver {
    /// `seed` makes the cache's hashes unpredictable.
    pub(crate) fn new(seed: u64) -> Self {
        Self { cache: RwLock::new(SeriesCache::new(seed)), scratch: Mutex::default() }
    }

    /// Notes where the series of a request are, for the next ones. `live` is how many the database
    /// has.
    fn remember(&self, found: &[(KeyHash, model::SeriesRef)], live: u64) {
        if found.is_empty() {
            return;
        }
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        for (key, series) in found {
            cache.insert(*key, *series, live);
        }
    }
}

/// Buffers of one request, used again by later ones.
#[derive(Default)]
struct Scratch {
    body: Vec<u8>,
    columns: SampleColumns,
    symbols: SymbolSpans,
    refs: Vec<u32>,
    key: Vec<u8>,
    histogram: HistogramSample,
    exemplars: Vec<Exemplar>,
    /// Series that the cache did not have, or had wrong.
    found: Vec<(KeyHash, model::SeriesRef)>,
}

impl Engine {
    /// Takes in a remote-write request of either version. What the sender is to hear is in the
    /// report, also where all was refused; an error is the database's, and worth another try.
    pub fn ingest_remote_write<B: AsRef<[u8]> + Send + 'static>(
        &self,
        request: RemoteWriteRequest<B>,
        done: impl FnOnce(Result<RemoteWriteReport, EngineError>) + Send + 'static,
    ) {
        let bytes = request.pieces.iter().map(|p| p.as_ref().len()).sum();
        self.run_ingest(bytes, move |inner| inner.remote_write(&request), done);
    }
}

impl Inner {
    fn remote_write<B: AsRef<[u8]>>(
        &self,
        request: &RemoteWriteRequest<B>,
    ) -> Result<RemoteWriteReport, EngineError> {
        if let Err(text) = check_encoding(&request.content_encoding) {
            return Ok(RemoteWriteReport::refused(RefusalKind::MediaType, text));
        }
        let mut joined = self.bodies.take();
        let report = match decompress(&request.pieces, &mut joined, self) {
            Err(e) => Ok(RemoteWriteReport { refusal: Some(e.into()), ..RemoteWriteReport::default() }),
            Ok(mut scratch) => {
                let version = message_of(&request.content_type)
                    .and_then(|version| check_accepted(version, &request.accepted).map(|()| version));
                let report = match version {
                    Err(text) => Ok(RemoteWriteReport::refused(RefusalKind::MediaType, text)),
                    Ok(version) => self.store_remote_write(version, &mut scratch),
                };
                self.put_scratch(scratch);
                report
            }
        };
        self.bodies.put(joined);
        report
    }

    fn store_remote_write(
        &self,
        version: Version,
        scratch: &mut Scratch,
    ) -> Result<RemoteWriteReport, EngineError> {
        let mut app = self.db.appender();
        let stored = match version {
            Version::V1 => v1::append(self, app.as_mut(), scratch),
            Version::V2 => v2::append(self, app.as_mut(), scratch),
        };
        let report = match stored {
            Ok(report) => app.commit().map(|()| report).map_err(EngineError::from),
            Err(fault) => {
                app.rollback();
                let is_v2 = version == Version::V2;
                let text = match fault {
                    Fault::Engine(e) => Err(e),
                    Fault::Wire(e) => Ok(wire::explain_write(&scratch.body, is_v2, e)),
                    refused => Ok(refused.to_string()),
                };
                text.map(|text| RemoteWriteReport {
                    has_counts: is_v2,
                    ..RemoteWriteReport::refused(RefusalKind::Invalid, text)
                })
            }
        };
        self.remote_write.remember(&scratch.found, self.db.num_series());
        report
    }

    fn put_scratch(&self, mut scratch: Scratch) {
        if scratch.columns.t.capacity() > SCRATCH_SAMPLES_MAX
            || scratch.key.capacity() > SCRATCH_SAMPLES_MAX
            || scratch.refs.capacity() > SCRATCH_SAMPLES_MAX
            || scratch.symbols.len() > SCRATCH_SAMPLES_MAX
            || scratch.found.capacity() > SCRATCH_SAMPLES_MAX
            || scratch.exemplars.capacity() > SCRATCH_SAMPLES_MAX
        {
            scratch = Scratch { body: scratch.body, ..Scratch::default() };
        }
        self.bodies.put(std::mem::take(&mut scratch.body));
        let mut kept = self.remote_write.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < SCRATCH_KEPT_MAX {
            kept.push(scratch);
        }
    }
}

/// A set of buffers with the decompressed body in it.
fn decompress<B: AsRef<[u8]>>(
    pieces: &[B],
    joined: &mut Vec<u8>,
    inner: &Inner,
) -> Result<Scratch, WireError> {
    let packed = match pieces {
        [whole] => whole.as_ref(),
        _ => {
            joined.clear();
            pieces.iter().for_each(|p| joined.extend_from_slice(p.as_ref()));
            joined
        }
    };
    let mut body = inner.bodies.take();
    let length = match snappy::decompress(packed, REMOTE_WRITE_BODY_BYTES_MAX, &mut body) {
        Ok(plain) => plain.len(),
        Err(e) => {
            inner.bodies.put(body);
            return Err(e);
        }
    };
    body.truncate(length);
    let kept = inner.remote_write.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
    Ok(Scratch { body, ..kept.unwrap_or_default() })
}
