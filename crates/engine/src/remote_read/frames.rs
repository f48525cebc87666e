//! A streamed answer: frames that hold chunks as they are stored, made piece by piece.

use std::iter::Peekable;
use std::vec::IntoIter;

use model::{Labels, TimestampMs};
use storage::{ChunkSeriesSet, EncodedChunk};
use tsdb::cut_chunk;
use wire::read_stream::{Chunk, put_chunked_series, put_frame};
use wire::writer::varint_len;

use super::request::Question;
use super::{asks_for_something, with_external};
use crate::error::EngineError;
use crate::stop::Stop;
use crate::store::Store;

/// A piece ends behind the frame with which it has so many bytes.
const PIECE_BYTES: usize = 512 << 10;

/// What is left of an answer.
pub(super) struct Frames {
    questions: Peekable<IntoIter<Question>>,
    /// The number of the question that is being answered.
    index: i64,
    external: Labels,
    frame_bytes_max: i64,
    open: Option<OpenSet>,
    message: Vec<u8>,
}

/// The series of a question.
struct OpenSet {
    set: Box<dyn ChunkSeriesSet>,
    next: usize,
    span: (TimestampMs, TimestampMs),
    series: Option<OpenSeries>,
}

/// Chunks of a series that no frame has yet.
struct OpenSeries {
    labels: Labels,
    chunks: Peekable<IntoIter<EncodedChunk>>,
}

impl Frames {
    pub(super) fn new(questions: Vec<Question>, external: Labels, frame_bytes_max: i64) -> Self {
        let questions = questions.into_iter().peekable();
        Self { questions, index: -1, external, frame_bytes_max, open: None, message: Vec::new() }
    }

    /// Whether nothing is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.open.is_none() && self.questions.peek().is_none()
    }

    /// The next piece; empty only at the end.
    pub(super) fn fill(&mut self, db: &Store, stop: &Stop) -> Result<Vec<u8>, EngineError> {
        let mut out = Vec::new();
        while out.len() < PIECE_BYTES {
            stop.check()?;
            let Some(open) = &mut self.open else {
                let Some(question) = self.questions.next() else { break };
                self.index += 1;
                if asks_for_something(&question) {
                    self.open = Some(OpenSet::new(db, &question, stop)?);
                }
                continue;
            };
            if let Some(series) = &mut open.series {
                self.message.clear();
                put_next(series, &self.external, self.frame_bytes_max, self.index, &mut self.message);
                put_frame(&mut out, &self.message);
                if series.chunks.peek().is_none() {
                    open.series = None;
                }
            } else if !open.advance()? {
                self.open = None;
            }
        }
        Ok(out)
    }
}

impl OpenSet {
    fn new(db: &Store, question: &Question, stop: &Stop) -> Result<Self, EngineError> {
        let Question { start_ms, end_ms, matchers, hints } = question;
        let querier = db.chunk_querier(*start_ms, *end_ms)?;
        let set = stop.select_chunks(querier.as_ref(), hints, matchers)?;
        let span = (hints.start_ms.max(*start_ms), hints.end_ms.min(*end_ms));
        Ok(Self { set, next: 0, span, series: None })
    }

    /// Opens the next series, if it has chunks in the span; `false` where there is none.
    fn advance(&mut self) -> Result<bool, EngineError> {
        if self.next >= self.set.len() {
            return Ok(false);
        }
        let i = self.next;
        self.next += 1;
        let mut chunks = Vec::new();
        self.set.chunks(i, &mut chunks)?;
        let mut cut = Vec::with_capacity(chunks.len());
        for c in chunks {
            cut.extend(cut_chunk(c, self.span.0, self.span.1)?);
        }
        if !cut.is_empty() {
            let chunks = cut.into_iter().peekable();
            self.series = Some(OpenSeries { labels: self.set.labels(i), chunks });
        }
        Ok(true)
    }
}

/// The message of the next frame: chunks of one series until they fill it; the last may exceed it.
fn put_next(series: &mut OpenSeries, external: &Labels, bytes_max: i64, index: i64, out: &mut Vec<u8>) {
    let labels = with_external(&series.labels, external);
    let mut left = bytes_max;
    for (name, value) in &labels {
        left = left.saturating_sub(text_field(name) + text_field(value));
    }
    let mut taken = Vec::new();
    for chunk in series.chunks.by_ref() {
        left = left.saturating_sub(chunk_bytes(&chunk));
        taken.push(chunk);
        if left <= 0 {
            break;
        }
    }
    let chunks = taken.iter().map(|c| Chunk {
        min_t: c.min_ms,
        max_t: c.max_ms,
        encoding: c.encoding as u32,
        data: &c.data,
    });
    put_chunked_series(out, labels, chunks, index);
}

/// Bytes of the message of a chunk.
fn chunk_bytes(c: &EncodedChunk) -> i64 {
    let varint = |v: i64| if v == 0 { 0 } else { 1 + varint_len(v as u64) as i64 };
    varint(c.min_ms) + varint(c.max_ms) + 2 + bytes_field(c.data.len())
}

fn text_field(text: &str) -> i64 {
    bytes_field(text.len())
}

fn bytes_field(length: usize) -> i64 {
    if length == 0 { 0 } else { (1 + varint_len(length as u64) + length) as i64 }
}
