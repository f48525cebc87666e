//! One series of the head: its labels, its chunks, and the rules by which it takes samples and
//! cuts chunks. Knows no locks, no log and no files.

use model::TimestampMs;
use model::symbols::SymbolLabels;
use storage::AppendError;

use super::isolation::CommitSeq;
use super::open_chunk::OpenChunk;
use super::page::OldEnd;

/// Samples that a chunk is meant to have.
pub(crate) const SAMPLES_PER_CHUNK: usize = 120;

/// A chunk that has so many bytes takes no further sample: room for one more of 19 bytes, at most
/// 1024 in all (Prometheus `chunkenc.MaxBytesPerXORChunkBeforeAppend`).
const CHUNK_BYTES_MAX: usize = 1024 - 19;

/// A full chunk in a head-chunks file: 24 bytes, of which a series has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MappedChunk {
    pub(crate) place: ChunkPlace,
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
}

/// Where a chunk begins in the head-chunks files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChunkPlace {
    pub(crate) file: u32,
    pub(crate) offset: u32,
}

/// A chunk that has just become full, on its way to the head-chunks files.
pub(crate) struct FullChunk {
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    pub(crate) chunk: OpenChunk,
}

/// What becomes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Goes to the end of the series.
    Append,
    /// The series has it already.
    Same,
}

/// One series: 136 bytes, without label numbers and chunk bytes. What an append touches comes first.
#[repr(C)]
pub(crate) struct Series {
    pub(crate) open: Option<OpenChunk>,
    /// When the open chunk must be cut at the latest.
    next_at_ms: TimestampMs,
    /// The last commit that added samples, and where the series ended before it.
    pub(crate) last_seq: CommitSeq,
    pub(crate) end_before_last_ms: TimestampMs,
    /// Appenders that have samples for this series: it must not be collected meanwhile.
    pub(crate) pending: u32,
    pub(crate) labels: SymbolLabels,
    /// Full chunks in order of time, none of which overlap.
    pub(crate) mapped: Vec<MappedChunk>,
}

const _: () = assert!(size_of::<Series>() <= 144);

impl Series {
    pub(crate) fn new(labels: SymbolLabels) -> Self {
        Self {
            labels,
            open: None,
            mapped: Vec::new(),
            next_at_ms: 0,
            last_seq: 0,
            end_before_last_ms: TimestampMs::MIN,
            pending: 0,
        }
    }

    /// Time of the first sample.
    pub(crate) fn min_ms(&self) -> Option<TimestampMs> {
        self.mapped.first().map(|m| m.min_ms).or_else(|| self.open.as_ref().map(OpenChunk::min_ms))
    }

    /// Time of the last sample.
    pub(crate) fn end_ms(&self) -> Option<TimestampMs> {
        self.open.as_ref().map(OpenChunk::max_ms).or_else(|| self.mapped.last().map(|m| m.max_ms))
    }

    /// What would become of a sample, by Prometheus' rules without an out-of-order window.
    pub(crate) fn verdict(
        &self,
        t: TimestampMs,
        v: f64,
        min_valid_ms: TimestampMs,
    ) -> Result<Fit, AppendError> {
        if t < min_valid_ms {
            return Err(AppendError::OutOfBounds);
        }
        let Some(open) = &self.open else {
            // Prometheus takes such a sample and drops it in silence. It only exists where the log
            // has lost what the chunks still have.
            return if self.mapped.last().is_some_and(|m| m.max_ms >= t) {
                Err(AppendError::OutOfOrder)
            } else {
                Ok(Fit::Append)
            };
        };
        let last_ms = open.max_ms();
        if t > last_ms {
            Ok(Fit::Append)
        } else if t < last_ms {
            Err(AppendError::OutOfOrder)
        } else if open.last_value().to_bits() == v.to_bits() {
            Ok(Fit::Same)
        } else {
            Err(AppendError::DuplicateTimestamp)
        }
    }

    /// Adds a sample of commit `seq`; where views may still be open that do not see the series'
    /// last commit, notes for them where it ended. See [`Self::push`].
    pub(crate) fn commit(
        &mut self,
        slot: u8,
        sample: (TimestampMs, f64),
        seq: CommitSeq,
        low: CommitSeq,
        range_ms: i64,
        old_ends: &mut Vec<OldEnd>,
    ) -> Pushed {
        let end_ms = self.end_ms().unwrap_or(TimestampMs::MIN);
        let pushed = self.push(sample.0, sample.1, range_ms);
        if !matches!(pushed, Pushed::Refused) && self.last_seq != seq {
            if self.last_seq > low {
                old_ends.push(OldEnd { slot, seq: self.last_seq, end_ms: self.end_before_last_ms });
            }
            self.last_seq = seq;
            self.end_before_last_ms = end_ms;
        }
        pushed
    }

    /// Adds a sample at the end, cutting the open chunk first where Prometheus would.
    pub(crate) fn push(&mut self, t: TimestampMs, v: f64, range_ms: i64) -> Pushed {
        let Some(open) = &mut self.open else {
            if self.mapped.last().is_some_and(|m| m.max_ms >= t) {
                return Pushed::Refused;
            }
            self.start_chunk(t, v, range_ms);
            return Pushed::NewChunk(None);
        };
        let max_ms = open.max_ms();
        if max_ms >= t {
            return Pushed::Refused;
        }
        let n = open.num_samples();
        if n == SAMPLES_PER_CHUNK / 4 {
            self.next_at_ms = predicted_end_ms(open.min_ms(), max_ms, self.next_at_ms);
        }
        if open.bytes().len() > CHUNK_BYTES_MAX || t >= self.next_at_ms || n >= SAMPLES_PER_CHUNK * 2 {
            let full = self.take_open();
            self.start_chunk(t, v, range_ms);
            return Pushed::NewChunk(full);
        }
        open.append(t, v);
        Pushed::Appended
    }

    fn start_chunk(&mut self, t: TimestampMs, v: f64, range_ms: i64) {
        self.next_at_ms = range_end_ms(t, range_ms);
        self.open = Some(OpenChunk::new(t, v));
    }

    /// Takes the open chunk out, as a full one.
    pub(crate) fn take_open(&mut self) -> Option<FullChunk> {
        let open = self.open.take()?;
        Some(FullChunk { min_ms: open.min_ms(), max_ms: open.max_ms(), chunk: open })
    }

    /// Notes where a full chunk has been put.
    pub(crate) fn add_mapped(&mut self, chunk: MappedChunk) {
        if self.mapped.len() == self.mapped.capacity() {
            self.mapped.reserve_exact(2);
        }
        self.mapped.push(chunk);
    }

    /// Drops the chunks that end before `mint_ms`; returns how many.
    pub(crate) fn truncate_before(&mut self, mint_ms: TimestampMs) -> usize {
        let gone = self.mapped.partition_point(|m| m.max_ms < mint_ms);
        self.mapped.drain(..gone);
        if self.mapped.is_empty() {
            self.mapped = Vec::new();
            if self.open.as_ref().is_some_and(|o| o.max_ms() < mint_ms) {
                self.open = None;
                return gone + 1;
            }
        }
        gone
    }

    /// Chunks, the open one included.
    pub(crate) fn num_chunks(&self) -> usize {
        self.mapped.len() + usize::from(self.open.is_some())
    }
}

/// What became of a pushed sample.
pub(crate) enum Pushed {
    /// It lies not behind the end of the series.
    Refused,
    /// It went into the open chunk.
    Appended,
    /// It began a new chunk; the one before it, if there was one, is full now.
    NewChunk(Option<FullChunk>),
}

/// The end of the block range that `t` lies in (Prometheus `rangeForTimestamp`, which truncates
/// towards zero).
pub(crate) fn range_end_ms(t: TimestampMs, range_ms: i64) -> TimestampMs {
    (t / range_ms).saturating_mul(range_ms).saturating_add(range_ms)
}

/// After a quarter of a chunk's samples: where it should end so that chunks fill the time up to
/// `end_ms` evenly (Prometheus `computeChunkEndTime`, in its floating-point arithmetic).
fn predicted_end_ms(start_ms: TimestampMs, now_ms: TimestampMs, end_ms: TimestampMs) -> TimestampMs {
    let left = end_ms.wrapping_sub(start_ms) as f64;
    let n = left / (now_ms.wrapping_sub(start_ms).wrapping_add(1) as f64 * 4.0);
    if n <= 1.0 {
        return end_ms;
    }
    (start_ms as f64 + left / n.floor()) as i64
}
