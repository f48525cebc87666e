//! What an appender gathers until it commits: samples with the pages of their series. Its memory is
//! used again by later appenders.

use std::sync::Arc;

use model::{FloatHistogram, Histogram, STALE_NAN_BITS, TimestampMs};
use storage::{AppendError, HistogramValue};

use super::Head;
use super::exemplars::Pending;
use super::isolation::CommitSeq;
use super::ooo::{Late, OooSample, OooValue};
use super::page::{Page, page_number};
use super::series::{ChunkRules, Kind, Pushed, Series};
use crate::histogram::OwnedHistogram;
use crate::int_map::IntMap;
use crate::wal::record::{RefHistogram, RefMetadata, RefSample};
use crate::wal::{CommitRecords, RecordBuffers};

/// Batches with room for more samples than this are not kept.
const SAMPLES_MAX: usize = 1 << 17;

/// Room for so many late samples is kept.
const LATE_MAX: usize = 1 << 10;

/// Consecutive samples whose series are in one page.
pub(super) struct Run {
    pub(super) page: Arc<Page>,
    /// Index behind the last of them.
    pub(super) end: usize,
}

/// The pages of a list of samples.
pub(super) struct Runs {
    runs: Vec<Run>,
    /// Number of the last page.
    page: u64,
}

impl Default for Runs {
    fn default() -> Self {
        Self { runs: Vec::new(), page: u64::MAX }
    }
}

impl Runs {
    fn clear(&mut self) {
        self.runs.clear();
        self.page = u64::MAX;
    }

    /// Runs with the range of indices that each has.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<Page>, std::ops::Range<usize>)> {
        let mut start = 0;
        self.runs.iter().map(move |run| (&run.page, std::mem::replace(&mut start, run.end)..run.end))
    }

    /// Has `check` look at a series, and if that accepts counts one more pending sample. If it says
    /// that the sample is not late, its index will be `at`; otherwise the page is returned, and what
    /// the series' last sample is.
    #[inline]
    pub(super) fn hold(
        &mut self,
        head: &Head,
        series: u64,
        at: usize,
        check: impl Fn(&Series) -> Result<bool, AppendError>,
    ) -> Result<Option<(Arc<Page>, Kind)>, AppendError> {
        if page_number(series) != self.page {
            self.turn_to(head, series, at)?;
        }
        loop {
            let run = self.runs.last_mut().ok_or(AppendError::UnknownSeries)?;
            let mut page = run.page.lock();
            if let Some(s) = page.get_mut(series) {
                let late = check(s)?;
                s.pending += 1;
                if late {
                    return Ok(Some((run.page.clone(), s.kind())));
                }
                run.end = at + 1;
                return Ok(None);
            }
            if !page.retired() {
                return Err(AppendError::UnknownSeries);
            }
            drop(page);
            self.turn_to(head, series, at)?;
        }
    }

    /// Starts a run in the page of `series`.
    fn turn_to(&mut self, head: &Head, series: u64, at: usize) -> Result<(), AppendError> {
        self.page = u64::MAX;
        let number = page_number(series);
        let page = head.pages.get(number).ok_or(AppendError::UnknownSeries)?;
        self.runs.push(Run { page, end: at });
        self.page = number;
        Ok(())
    }
}

/// A sample of either kind, as the log names it.
pub(super) trait Sample {
    fn series(&self) -> u64;
    fn t(&self) -> TimestampMs;

    /// Adds it to its series; `st` is its start timestamp unless it knows that itself.
    fn push_to(&self, s: &mut Series, st: TimestampMs, rules: &ChunkRules) -> Pushed;

    /// What it is for a series that it comes too late for, whose last sample is of `kind`.
    fn late(&self, seq: CommitSeq, st: TimestampMs, kind: Kind) -> OooSample;
}

impl Sample for RefSample {
    #[inline]
    fn series(&self) -> u64 {
        self.series
    }

    #[inline]
    fn t(&self) -> TimestampMs {
        self.t
    }

    #[inline]
    fn push_to(&self, s: &mut Series, st: TimestampMs, rules: &ChunkRules) -> Pushed {
        s.push(self.t, st, self.v, rules)
    }

    fn late(&self, seq: CommitSeq, st: TimestampMs, kind: Kind) -> OooSample {
        // A stale marker behind histograms becomes one of their kind.
        let stale = self.v.to_bits() == STALE_NAN_BITS;
        let value = match kind {
            Kind::Histogram if stale => {
                let h = Histogram { sum: self.v, ..Histogram::default() };
                OooValue::Histogram(OwnedHistogram::Integer(Arc::new(h)))
            }
            Kind::FloatHistogram if stale => {
                let h = FloatHistogram { sum: self.v, ..FloatHistogram::default() };
                OooValue::Histogram(OwnedHistogram::Float(Arc::new(h)))
            }
            _ => OooValue::Float(self.v),
        };
        OooSample { t: self.t, st, seq, value }
    }
}

impl Sample for RefHistogram {
    fn series(&self) -> u64 {
        self.series
    }

    fn t(&self) -> TimestampMs {
        self.t
    }

    fn push_to(&self, s: &mut Series, _st: TimestampMs, rules: &ChunkRules) -> Pushed {
        s.push_histogram(self.t, self.st, self.h.value(), rules)
    }

    fn late(&self, seq: CommitSeq, _st: TimestampMs, _kind: Kind) -> OooSample {
        OooSample { t: self.t, st: self.st, seq, value: OooValue::Histogram(self.h.clone()) }
    }
}

/// What the log keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleKind {
    Float,
    Histogram,
    CustomHistogram,
    FloatHistogram,
    CustomFloatHistogram,
}

impl SampleKind {
    pub(super) fn of(h: HistogramValue<'_>) -> Self {
        match h {
            HistogramValue::Integer(h) if h.uses_custom_buckets() => Self::CustomHistogram,
            HistogramValue::Integer(_) => Self::Histogram,
            HistogramValue::Float(h) if h.uses_custom_buckets() => Self::CustomFloatHistogram,
            HistogramValue::Float(_) => Self::FloatHistogram,
        }
    }
}

/// What can be logged, and read again, as one group of records without a series' samples changing
/// places: in the order of the fields.
#[derive(Default)]
pub(super) struct Part {
    pub(super) metadata: Vec<RefMetadata>,
    pub(super) samples: Vec<RefSample>,
    /// Of `samples`; empty while none is known.
    pub(super) starts: Vec<TimestampMs>,
    pub(super) sample_runs: Runs,
    pub(super) histograms: Vec<RefHistogram>,
    pub(super) histogram_runs: Runs,
    /// Which kind of histograms a series has here. Floats are not noted.
    pub(super) kinds: IntMap<u64, SampleKind>,
}

impl Part {
    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.histograms.is_empty() && self.metadata.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.metadata.clear();
        self.samples.clear();
        self.starts.clear();
        self.sample_runs.clear();
        self.histograms.clear();
        self.histogram_runs.clear();
        self.kinds.clear();
    }

    pub(super) fn records(&self) -> CommitRecords<'_> {
        CommitRecords {
            metadata: &self.metadata,
            samples: &self.samples,
            starts: &self.starts,
            histograms: &self.histograms,
            ..CommitRecords::default()
        }
    }

    /// Whether a sample of this kind may follow what the series has here.
    pub(super) fn takes(&self, series: u64, kind: SampleKind) -> bool {
        // A float behind a histogram would be logged before it.
        self.kinds.get(&series).is_none_or(|there| *there == kind)
    }

    #[inline]
    pub(super) fn push(&mut self, sample: RefSample, st: TimestampMs) {
        if st != 0 || !self.starts.is_empty() {
            self.starts.resize(self.samples.len(), 0);
            self.starts.push(st);
        }
        self.samples.push(sample);
    }
}

/// All that an appender has gathered.
#[derive(Default)]
pub(crate) struct Batch {
    /// Parts that are complete: a series has gone on with samples of another kind since.
    pub(super) earlier: Vec<Part>,
    pub(super) part: Part,
    /// What is late already, each with a pending count.
    pub(super) late: Vec<Late>,
    /// Series that this appender found or made by labels; each is owed one pending count.
    pub(super) held: Vec<u64>,
    pub(super) exemplars: Pending,
    pub(super) record: RecordBuffers,
}

impl Batch {
    /// Forgets everything but the memory; returns whether that is worth keeping.
    pub(super) fn clear(&mut self) -> bool {
        self.earlier.clear();
        self.part.clear();
        self.late.clear();
        self.late.shrink_to(LATE_MAX);
        self.held.clear();
        self.exemplars.clear();
        self.part.samples.capacity() <= SAMPLES_MAX && self.part.histograms.capacity() <= SAMPLES_MAX
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.earlier.iter().chain([&self.part])
    }

    /// Begins a new part unless the series may go on with such a sample in this one.
    pub(super) fn turn_to(&mut self, series: u64, kind: SampleKind) {
        if !self.part.takes(series, kind) {
            self.earlier.push(std::mem::take(&mut self.part));
        }
        if kind != SampleKind::Float {
            self.part.kinds.insert(series, kind);
        }
    }
}
