//! One series of the head: its labels, its chunks, and the rules by which it takes samples and
//! cuts chunks. Knows no locks, no log and no files.

use std::sync::Arc;

use chunk::Encoding;
use model::symbols::SymbolLabels;
use model::{FloatHistogram, Histogram, Metadata, STALE_NAN_BITS, TimestampMs, stale_nan};
use storage::{AppendError, HistogramValue};

use super::isolation::CommitSeq;
use super::ooo::OooSeries;
use super::open_chunk::OpenChunk;
use super::page::OldEnd;

/// A chunk that has so many bytes takes no further sample: room for one more of 19 bytes, at most
/// 1024 in all (Prometheus `chunkenc.MaxBytesPerXORChunkBeforeAppend`).
const CHUNK_BYTES_MAX: usize = 1024 - 19;

/// Bytes that a chunk of histograms is meant to have, and samples that it has at least if the block
/// range lasts (Prometheus `TargetBytesPerHistogramChunk`, `MinSamplesPerHistogramChunk`).
const HISTOGRAM_CHUNK_BYTES: usize = 1024;
const HISTOGRAM_CHUNK_SAMPLES_MIN: usize = 10;

/// How chunks are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkRules {
    /// Length of a block, whose ends are ends of chunks.
    pub(crate) range_ms: i64,
    /// Samples that a chunk of floats is meant to have; twice as many are its limit.
    pub(crate) samples: usize,
    /// The encoding of new chunks of floats.
    pub(crate) floats: Encoding,
    /// Whether start timestamps are kept; a chunk of floats of another encoding than `floats` is
    /// then full at once.
    pub(crate) starts: bool,
    /// Whether chunks of histograms have room for start timestamps.
    pub(crate) histogram_starts: bool,
}

impl ChunkRules {
    fn histograms(&self, h: HistogramValue<'_>) -> Encoding {
        match (h, self.histogram_starts) {
            (HistogramValue::Integer(_), false) => Encoding::Histogram,
            (HistogramValue::Integer(_), true) => Encoding::HistogramSt,
            (HistogramValue::Float(_), false) => Encoding::FloatHistogram,
            (HistogramValue::Float(_), true) => Encoding::FloatHistogramSt,
        }
    }
}

/// What a series' last sample is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Float,
    Histogram,
    FloatHistogram,
}

impl Kind {
    /// Of the samples in a chunk of this encoding.
    pub(crate) fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Xor | Encoding::Xor2 => Self::Float,
            Encoding::Histogram | Encoding::HistogramSt => Self::Histogram,
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => Self::FloatHistogram,
        }
    }
}

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

/// What most series do not have.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) metadata: Option<Arc<Metadata>>,
    /// Samples that came late; never empty.
    pub(crate) ooo: Option<OooSeries>,
}

/// One series: 144 bytes, without label numbers and chunk bytes. What an append touches comes first.
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
    kind: Kind,
    /// Whether the end of the open chunk of histograms has been predicted (Prometheus
    /// `histogramChunkHasComputedEndTime`, with its habit of outliving the chunk).
    end_predicted: bool,
    pub(crate) labels: SymbolLabels,
    /// Full chunks in order of time, none of which overlap.
    pub(crate) mapped: Vec<MappedChunk>,
    extra: Option<Box<Extra>>,
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
            kind: Kind::Float,
            end_predicted: false,
            extra: None,
        }
    }

    pub(crate) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    /// Made where there is none.
    pub(crate) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The samples that came late, if there are any.
    pub(crate) fn ooo(&self) -> Option<&OooSeries> {
        self.extra.as_ref()?.ooo.as_ref()
    }

    pub(crate) fn ooo_mut(&mut self) -> Option<&mut OooSeries> {
        self.extra.as_mut()?.ooo.as_mut()
    }

    /// Forgets the samples that came late.
    pub(crate) fn drop_ooo(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.ooo = None;
            if extra.metadata.is_none() {
                self.extra = None;
            }
        }
    }

    /// What the last sample in order is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the last sample in order is a stale marker, as far as is known without reading full chunks.
    #[inline]
    pub(crate) fn is_stale(&self) -> bool {
        self.open.as_ref().is_some_and(OpenChunk::is_stale)
    }

    /// Time of the first sample in order.
    pub(crate) fn min_ms(&self) -> Option<TimestampMs> {
        self.mapped.first().map(|m| m.min_ms).or_else(|| self.open.as_ref().map(OpenChunk::min_ms))
    }

    /// Time of the last sample in order.
    pub(crate) fn end_ms(&self) -> Option<TimestampMs> {
        self.open.as_ref().map(OpenChunk::max_ms).or_else(|| self.mapped.last().map(|m| m.max_ms))
    }

    /// What would become of a sample, by Prometheus' rules without an out-of-order window.
    #[inline]
    pub(crate) fn verdict(
        &self,
        t: TimestampMs,
        v: f64,
        min_valid_ms: TimestampMs,
    ) -> Result<Fit, AppendError> {
        let same = |open: &OpenChunk| open.last_value().is_some_and(|l| l.to_bits() == v.to_bits());
        self.verdict_if(t, min_valid_ms, same).map_err(|e| match e {
            AppendError::DuplicateTimestamp(_) => {
                AppendError::overriding(t, self.open.as_ref().and_then(OpenChunk::last_value), v)
            }
            e => e,
        })
    }

    /// As [`Self::verdict`], for a histogram.
    pub(crate) fn verdict_histogram(
        &self,
        t: TimestampMs,
        h: HistogramValue<'_>,
        min_valid_ms: TimestampMs,
    ) -> Result<Fit, AppendError> {
        self.verdict_if(t, min_valid_ms, |open| open.ends_with(h))
    }

    #[inline]
    fn verdict_if(
        &self,
        t: TimestampMs,
        min_valid_ms: TimestampMs,
        same: impl FnOnce(&OpenChunk) -> bool,
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
        } else if same(open) {
            Ok(Fit::Same)
        } else {
            Err(AppendError::DuplicateTimestamp(None))
        }
    }

    /// Adds a sample of commit `seq` by `push`; where views may still be open that do not see the
    /// series' last commit, notes for them where it ended.
    #[inline]
    pub(crate) fn commit(
        &mut self,
        slot: u8,
        (seq, low): (CommitSeq, CommitSeq),
        old_ends: &mut Vec<OldEnd>,
        push: impl FnOnce(&mut Self) -> Pushed,
    ) -> Pushed {
        let end_ms = self.end_ms().unwrap_or(TimestampMs::MIN);
        let pushed = push(self);
        if !matches!(pushed, Pushed::Refused) && self.last_seq != seq {
            if self.last_seq > low {
                old_ends.push(OldEnd { slot, seq: self.last_seq, end_ms: self.end_before_last_ms });
            }
            self.last_seq = seq;
            self.end_before_last_ms = end_ms;
        }
        pushed
    }

    /// Adds a float at the end, cutting the open chunk first where Prometheus would. A stale marker
    /// behind histograms becomes one of their kind.
    #[inline]
    pub(crate) fn push(&mut self, t: TimestampMs, st: TimestampMs, v: f64, rules: &ChunkRules) -> Pushed {
        if self.kind != Kind::Float && v.to_bits() == STALE_NAN_BITS {
            return self.push_stale(t, st, rules);
        }
        let Some(open) = &mut self.open else {
            if self.mapped.last().is_some_and(|m| m.max_ms >= t) {
                return Pushed::Refused;
            }
            self.start_chunk(t, st, v, rules);
            return Pushed::NewChunk(None);
        };
        let max_ms = open.max_ms();
        if max_ms >= t {
            return Pushed::Refused;
        }
        let n = open.num_samples();
        let full = open.bytes().len() > CHUNK_BYTES_MAX
            || self.kind != Kind::Float
            || (rules.starts && open.encoding() != rules.floats);
        if !full && n == rules.samples / 4 {
            self.next_at_ms = predicted_end_ms(open.min_ms(), max_ms, self.next_at_ms, 4.0);
        }
        if full || t >= self.next_at_ms || n >= rules.samples.saturating_mul(2) {
            let full = self.take_open();
            self.start_chunk(t, st, v, rules);
            return Pushed::NewChunk(full);
        }
        open.append(t, st, v);
        Pushed::Appended
    }

    #[cold]
    fn push_stale(&mut self, t: TimestampMs, st: TimestampMs, rules: &ChunkRules) -> Pushed {
        let sum = stale_nan();
        if self.kind == Kind::Histogram {
            let stale = Histogram { sum, ..Histogram::default() };
            self.push_histogram(t, st, HistogramValue::Integer(&stale), rules)
        } else {
            let stale = FloatHistogram { sum, ..FloatHistogram::default() };
            self.push_histogram(t, st, HistogramValue::Float(&stale), rules)
        }
    }

    /// Adds a histogram at the end, cutting the open chunk first where Prometheus would.
    pub(crate) fn push_histogram(
        &mut self,
        t: TimestampMs,
        st: TimestampMs,
        h: HistogramValue<'_>,
        rules: &ChunkRules,
    ) -> Pushed {
        let encoding = rules.histograms(h);
        let Some(open) = &mut self.open else {
            if self.mapped.last().is_some_and(|m| m.max_ms >= t) {
                return Pushed::Refused;
            }
            self.start_histogram_chunk(None, t, st, h, rules);
            return Pushed::NewChunk(None);
        };
        let (min_ms, max_ms) = (open.min_ms(), open.max_ms());
        if max_ms >= t {
            return Pushed::Refused;
        }
        if open.encoding() == encoding {
            let (n, bytes) = (open.num_samples(), open.bytes().len());
            let range_end_ms =
                if self.end_predicted { range_end_ms(min_ms, rules.range_ms) } else { self.next_at_ms };
            if !self.end_predicted && bytes >= HISTOGRAM_CHUNK_BYTES / 4 {
                let fullness = HISTOGRAM_CHUNK_BYTES as f64 / bytes as f64;
                self.next_at_ms = predicted_end_ms(min_ms, max_ms, self.next_at_ms, fullness);
                self.end_predicted = true;
            }
            let enough = n >= HISTOGRAM_CHUNK_SAMPLES_MIN || t >= range_end_ms;
            if !enough || (t < self.next_at_ms && bytes < HISTOGRAM_CHUNK_BYTES * 2) {
                let Some(next) = open.append_histogram(t, st, h) else { return Pushed::Appended };
                let full = self.take_open();
                self.open = Some(next);
                self.next_at_ms = self::range_end_ms(t, rules.range_ms);
                return Pushed::NewChunk(full);
            }
        }
        let full = self.take_open();
        self.start_histogram_chunk(full.as_ref().map(|f| &f.chunk), t, st, h, rules);
        Pushed::NewChunk(full)
    }

    fn start_chunk(&mut self, t: TimestampMs, st: TimestampMs, v: f64, rules: &ChunkRules) {
        self.next_at_ms = range_end_ms(t, rules.range_ms);
        self.kind = Kind::Float;
        self.open = Some(OpenChunk::new(rules.floats, t, st, v));
    }

    fn start_histogram_chunk(
        &mut self,
        previous: Option<&OpenChunk>,
        t: TimestampMs,
        st: TimestampMs,
        h: HistogramValue<'_>,
        rules: &ChunkRules,
    ) {
        self.next_at_ms = range_end_ms(t, rules.range_ms);
        self.end_predicted = false;
        self.kind = Kind::of(rules.histograms(h));
        self.open = Some(OpenChunk::with_histogram(previous, rules.histogram_starts, (t, st), h));
    }

    /// Gives a series without an open chunk one that was written before. The next sample begins another
    /// wherever it may, as in Prometheus.
    pub(crate) fn resume(&mut self, open: OpenChunk) {
        self.kind = Kind::of(open.encoding());
        self.next_at_ms = open.max_ms();
        self.end_predicted = false;
        self.open = Some(open);
    }

    /// Notes what the last of the full chunks holds, where there is no open one.
    pub(crate) fn set_kind(&mut self, kind: Kind) {
        self.kind = kind;
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

    /// Whether the series has no sample and no appender holds it.
    pub(crate) fn is_dead(&self) -> bool {
        self.num_chunks() == 0 && self.ooo().is_none() && self.pending == 0
    }

    /// Chunks in order, the open one included.
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

/// Where a chunk that would be `fullness` times as large when full should end so that chunks fill
/// the time up to `end_ms` evenly (Prometheus `computeChunkEndTime`, in its floating-point
/// arithmetic).
fn predicted_end_ms(
    start_ms: TimestampMs,
    now_ms: TimestampMs,
    end_ms: TimestampMs,
    fullness: f64,
) -> TimestampMs {
    let left = end_ms.wrapping_sub(start_ms) as f64;
    let n = left / (now_ms.wrapping_sub(start_ms).wrapping_add(1) as f64 * fullness);
    if n <= 1.0 {
        return end_ms;
    }
    (start_ms as f64 + left / n.floor()) as i64
}
