//! An answer of samples: one message, compressed series by series.

use chunk::histogram::{IntegerSample, decode_integer};
use chunk::{ChunkError, Encoding};
use model::{Columns, Labels, TimestampMs};
use promql::QueryError;
use storage::{EncodedChunk, StorageError};
use wire::snappy::BlockWriter;
use wire::write_v1::{SeriesWriter, put_series};
use wire::writer::put_varint;

use super::request::Question;
use super::{Fault, Refusal, asks_for_something, with_external};
use crate::body::Body;
use crate::error::{EngineError, ErrorCode};
use crate::stop::Stop;
use crate::store::Store;

/// `ReadResponse.results`.
const RESULT_TAG: u8 = 0x0a;

/// What asks for series alone: Prometheus leaves their samples out then.
const SERIES_ONLY: &str = "series";

/// Bounds of an answer.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Of one query; 0 for none.
    pub(super) samples_max: u64,
    /// Of all that is held.
    pub(super) bytes_max: u64,
}

/// Answers all questions.
pub(super) fn answer(
    db: &Store,
    questions: &[Question],
    external: &Labels,
    limits: Limits,
    stop: &Stop,
) -> Result<Body, Fault> {
    let mut block = BlockWriter::default();
    let mut message = Vec::new();
    let mut samples = Samples::default();
    for question in questions {
        stop.check()?;
        let mark = block.mark();
        let before = block.len();
        if asks_for_something(question) {
            samples.count = 0;
            put_result(db, question, external, limits, stop, &mut samples, &mut message, &mut block)?;
        }
        let mut head = vec![RESULT_TAG];
        put_varint(&mut head, (block.len() - before) as u64);
        block.put_at(mark, &head);
    }
    let pieces = block.finish().map_err(|e| EngineError::new(ErrorCode::QueryExecution, e.to_string()))?;
    Ok(Body { pieces, encoding: "snappy" })
}

#[allow(clippy::too_many_arguments)]
fn put_result(
    db: &Store,
    question: &Question,
    external: &Labels,
    limits: Limits,
    stop: &Stop,
    samples: &mut Samples,
    message: &mut Vec<u8>,
    block: &mut BlockWriter,
) -> Result<(), Fault> {
    let querier = db.chunk_querier(question.start_ms, question.end_ms)?;
    let set = stop.select_chunks(querier.as_ref(), &question.hints, &question.matchers)?;
    let span = (question.hints.start_ms.max(question.start_ms), question.hints.end_ms.min(question.end_ms));
    let mut chunks = Vec::new();
    for i in 0..set.len() {
        stop.check()?;
        samples.clear();
        if question.hints.func != SERIES_ONLY {
            chunks.clear();
            set.chunks(i, &mut chunks)?;
            for c in &chunks {
                samples.decode(c, span)?;
                if limits.samples_max > 0 && samples.count > limits.samples_max {
                    let text = format!("exceeded sample limit ({})", limits.samples_max);
                    return Err(Fault::Refused(Refusal::bad(text)));
                }
            }
        }
        message.clear();
        put_series(message, with_external(&set.labels(i), external), |w| samples.put(w));
        block.write(message);
        if (block.held_bytes() + message.capacity()) as u64 > limits.bytes_max {
            return Err(QueryError::TooMuchMemory(limits.bytes_max).into());
        }
    }
    Ok(())
}

/// Samples of one series, and how many there were of all.
#[derive(Default)]
struct Samples {
    /// Floats, and histograms that count in floats.
    columns: Columns,
    integers: Vec<IntegerSample>,
    count: u64,
}

impl Samples {
    fn clear(&mut self) {
        self.columns.clear();
        self.integers.clear();
    }

    fn decode(
        &mut self,
        c: &EncodedChunk,
        (start_ms, end_ms): (TimestampMs, TimestampMs),
    ) -> Result<(), StorageError> {
        let before = self.columns.len() + self.integers.len();
        let fail =
            |e: ChunkError| StorageError::Corrupt(format!("chunk from {} to {}: {e}", c.min_ms, c.max_ms));
        let starts = c.encoding == Encoding::HistogramSt;
        match c.encoding {
            Encoding::Histogram | Encoding::HistogramSt => {
                decode_integer(&c.data, starts, start_ms, end_ms, &mut self.integers).map_err(fail)?;
            }
            encoding => {
                chunk::decode(encoding, &c.data, start_ms, end_ms, &mut self.columns).map_err(fail)?
            }
        }
        self.count += (self.columns.len() + self.integers.len() - before) as u64;
        Ok(())
    }

    fn put(&self, w: &mut SeriesWriter<'_>) {
        let mut floats = self.columns.h.iter().peekable();
        for (i, (t, v)) in self.columns.t.iter().zip(&self.columns.v).enumerate() {
            if floats.next_if(|(at, _)| *at as usize == i).is_none() {
                w.sample(*t, *v);
            }
        }
        // Both kinds of histograms are one field, in order of time.
        let mut integers = self.integers.iter().peekable();
        for (at, h) in &self.columns.h {
            let t = self.columns.t[*at as usize];
            while let Some(earlier) = integers.next_if(|s| s.t < t) {
                w.histogram(earlier.t, &earlier.h);
            }
            w.float_histogram(t, h);
        }
        integers.for_each(|s| w.histogram(s.t, &s.h));
    }
}
