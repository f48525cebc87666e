//! Appenders: a batch of samples, checked as they come, logged and put into their series together.

use std::sync::Arc;

use model::{FloatHistogram, Histogram, Labels, Metadata, STALE_NAN_BITS, SeriesRef, TimestampMs, stale_nan};
use storage::{AppendError, Appender, Exemplar, HistogramValue, StorageError};

use super::batch::{Batch, Part, Sample, SampleKind};
use super::isolation::{Commit, CommitSeq};
use super::ooo::{Late, LateRules};
use super::page::{Page, slot};
use super::series::{ChunkRules, Pushed, Series};
use super::{Head, lock};
use crate::histogram::OwnedHistogram;
use crate::wal::CommitRecords;
use crate::wal::record::{RefHistogram, RefMetadata, RefSample};

/// How many samples before its turn a series' memory is asked for.
const PREFETCH_AHEAD: usize = 8;

/// So many batches are kept for later appenders.
const BATCHES_MAX: usize = 16;

/// One transaction on the head.
pub(crate) struct HeadAppender {
    head: Arc<Head>,
    batch: Batch,
    rules: ChunkRules,
    late: LateRules,
    /// Fixed with the first sample.
    min_valid_ms: Option<TimestampMs>,
    id: u64,
}

impl HeadAppender {
    pub(crate) fn new(head: Arc<Head>) -> Self {
        let batch = lock(&head.batches).pop().unwrap_or_default();
        head.counters.appenders_created.add(1);
        // Noted with the earliest bound first: while it is being read, no block may be cut.
        let id = head.isolation.open_appender(TimestampMs::MIN);
        let min_valid_ms = head.initialized().then(|| head.appendable_min_ms());
        if let Some(from) = min_valid_ms {
            head.isolation.narrow_appender(id, from);
        }
        let rules = head.chunk_rules();
        let late = head.late_rules(false);
        Self { head, batch, rules, late, min_valid_ms, id }
    }

    /// From when on samples are taken; `t` is the time of the first.
    #[inline]
    fn min_valid_ms(&mut self, t: TimestampMs) -> Result<TimestampMs, AppendError> {
        let min_valid_ms = self.min_valid_ms.unwrap_or_else(|| {
            self.head.initialize(t);
            self.late = self.head.late_rules(self.late.refuse);
            *self.min_valid_ms.insert(self.head.appendable_min_ms())
        });
        if t < min_valid_ms && !self.late.open() { Err(AppendError::OutOfBounds) } else { Ok(min_valid_ms) }
    }

    /// Checks a sample against its series and takes it into the batch.
    #[inline]
    fn add(
        &mut self,
        sample: RefSample,
        st: TimestampMs,
        min_valid_ms: TimestampMs,
    ) -> Result<(), AppendError> {
        let RefSample { series, t, v } = sample;
        if !self.batch.part.kinds.is_empty() {
            let there = self.batch.part.kinds.get(&series).copied();
            if v.to_bits() == STALE_NAN_BITS
                && let Some(kind) = there
            {
                return self.add_stale(series, kind, t, st, min_valid_ms);
            }
            self.batch.turn_to(series, SampleKind::Float);
        }
        let part = &mut self.batch.part;
        let late = self.late;
        let check = |s: &Series| match s.verdict(t, v, min_valid_ms) {
            Ok(_) => Ok(false),
            Err(e) => late.judge(t, e).map(|()| true),
        };
        let late = part.sample_runs.hold(&self.head, series, part.samples.len(), check)?;
        let st = if self.rules.starts { st } else { 0 };
        match late {
            None => part.push(sample, st),
            Some((page, kind)) => {
                let sample = sample.late(0, st, kind);
                self.batch.late.push(Late { page, series, sample });
            }
        }
        Ok(())
    }

    /// As [`Self::add`], for a histogram.
    fn add_histogram(
        &mut self,
        series: u64,
        h: HistogramValue<'_>,
        (t, st): (TimestampMs, TimestampMs),
        min_valid_ms: TimestampMs,
    ) -> Result<(), AppendError> {
        self.batch.turn_to(series, SampleKind::of(h));
        let part = &mut self.batch.part;
        let late = self.late;
        let check = |s: &Series| match s.verdict_histogram(t, h, min_valid_ms) {
            Ok(_) => Ok(false),
            Err(e) => late.judge(t, e).map(|()| true),
        };
        let late = part.histogram_runs.hold(&self.head, series, part.histograms.len(), check)?;
        let st = if self.rules.starts { st } else { 0 };
        let sample = RefHistogram { series, t, st, h: OwnedHistogram::from(h) };
        match late {
            None => part.histograms.push(sample),
            Some((page, kind)) => {
                let sample = sample.late(0, st, kind);
                self.batch.late.push(Late { page, series, sample });
            }
        }
        Ok(())
    }

    /// Takes a zero at the start of a series, or an empty histogram like `like`.
    fn add_start_zero(
        &mut self,
        series: u64,
        st: TimestampMs,
        like: Option<HistogramValue<'_>>,
        min_valid_ms: TimestampMs,
    ) -> Result<(), AppendError> {
        match like {
            None => self.add(RefSample { series, t: st, v: 0.0 }, 0, min_valid_ms),
            Some(like) => {
                let zero = OwnedHistogram::start_of(like);
                self.add_histogram(series, zero.value(), (st, 0), min_valid_ms)
            }
        }
    }

    /// Takes the stale marker of a series that has histograms in this batch.
    fn add_stale(
        &mut self,
        series: u64,
        kind: SampleKind,
        t: TimestampMs,
        st: TimestampMs,
        min_valid_ms: TimestampMs,
    ) -> Result<(), AppendError> {
        let sum = stale_nan();
        if matches!(kind, SampleKind::Histogram | SampleKind::CustomHistogram) {
            let h = Histogram { sum, ..Histogram::default() };
            self.add_histogram(series, HistogramValue::Integer(&h), (t, st), min_valid_ms)
        } else {
            let h = FloatHistogram { sum, ..FloatHistogram::default() };
            self.add_histogram(series, HistogramValue::Float(&h), (t, st), min_valid_ms)
        }
    }

    /// Finds or makes the series of `labels` and has `add` take a sample of it.
    fn with_labels(
        &mut self,
        labels: &Labels,
        add: impl FnOnce(&mut Self, u64) -> Result<(), AppendError>,
    ) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset: invalid sample".to_owned()));
        }
        if let Some(why) = self.head.refusal() {
            return Err(AppendError::ReadOnly(why.to_string()));
        }
        let (found, _) = self.head.get_or_create(labels);
        self.batch.held.push(found);
        add(self, found)?;
        Ok(SeriesRef(found))
    }

    /// Gives back all pending counts.
    fn release(&mut self) {
        fn give_back(page: &Page, series: impl Iterator<Item = u64>) {
            let mut page = page.lock();
            for series in series {
                if let Some(s) = page.get_mut(series) {
                    s.pending -= 1;
                }
            }
        }
        for part in self.batch.parts() {
            for (page, range) in part.sample_runs.iter() {
                give_back(page, part.samples[range].iter().map(|s| s.series));
            }
            for (page, range) in part.histogram_runs.iter() {
                give_back(page, part.histograms[range].iter().map(|s| s.series));
            }
        }
        for l in self.batch.late.drain(..) {
            give_back(&l.page, [l.series].into_iter());
        }
        for series in self.batch.held.drain(..) {
            if let Some(page) = self.head.page_of(series) {
                give_back(&page, [series].into_iter());
            }
        }
    }

    /// Puts the batch into its series, hidden until all of it is there.
    fn apply(&mut self, commit: Commit<'_>) -> Result<(), StorageError> {
        let low = self.head.isolation.low();
        let mut work = Apply {
            head: &self.head,
            low,
            commit: &commit,
            rules: self.rules,
            late_rules: self.late,
            min_valid_ms: self.min_valid_ms.unwrap_or(TimestampMs::MIN),
            late: Vec::new(),
            span: Span::default(),
        };
        for part in self.batch.parts() {
            work.part(part);
        }
        let Apply { span, late: overtaken, .. } = work;
        let mut late = std::mem::take(&mut self.batch.late);
        late.extend(overtaken);
        if span.min_ms <= span.max_ms {
            self.head.widen(span.min_ms, span.max_ms);
        }
        self.batch.earlier.clear();
        self.batch.part.clear();
        let counters = &self.head.counters;
        let inserted = if late.is_empty() {
            self.batch.late = late;
            Ok(())
        } else {
            let seq = (commit.seq(), low);
            self.head.insert_late(&late, seq, &self.rules, &mut self.batch.record).map(|n| {
                counters.late_samples.add(n.floats);
                counters.late_histograms.add(n.histograms);
                counters.samples_appended.add(n.floats);
                counters.histograms_appended.add(n.histograms);
            })
        };
        counters.samples_appended.add(span.floats);
        counters.histograms_appended.add(span.histograms);
        counters.out_of_order.add(span.out_of_order);
        counters.out_of_order_histograms.add(span.out_of_order_histograms);
        // Wraps around, so that it may fall before it rises.
        counters.stale_series.add(span.stale as u64);
        commit.finish();
        inserted
    }

    /// Counts why a sample was refused.
    fn refused(&self, why: &AppendError, histogram: bool) {
        let c = &self.head.counters;
        let counter = match (why, histogram) {
            (AppendError::OutOfBounds, false) => &c.out_of_bound,
            (AppendError::OutOfBounds, true) => &c.out_of_bound_histograms,
            (AppendError::OutOfOrder, false) => &c.out_of_order,
            (AppendError::OutOfOrder, true) => &c.out_of_order_histograms,
            (AppendError::TooOld, false) => &c.too_old,
            (AppendError::TooOld, true) => &c.too_old_histograms,
            _ => return,
        };
        counter.add(1);
    }
}

/// What a commit added.
struct Span {
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    floats: u64,
    histograms: u64,
    out_of_order: u64,
    out_of_order_histograms: u64,
    /// How many more series end in a stale marker.
    stale: i64,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            min_ms: TimestampMs::MAX,
            max_ms: TimestampMs::MIN,
            floats: 0,
            histograms: 0,
            out_of_order: 0,
            out_of_order_histograms: 0,
            stale: 0,
        }
    }
}

/// A commit on its way into the series.
struct Apply<'a> {
    head: &'a Head,
    low: CommitSeq,
    commit: &'a Commit<'a>,
    rules: ChunkRules,
    late_rules: LateRules,
    min_valid_ms: TimestampMs,
    /// Samples that came too late for their series' end.
    late: Vec<Late>,
    span: Span,
}

impl Apply<'_> {
    fn part(&mut self, part: &Part) {
        for (page, range) in part.sample_runs.iter() {
            let starts = part.starts.get(range.clone()).unwrap_or(&[]);
            let counts = self.run(page, &part.samples[range], starts);
            self.span.floats += counts.0;
            self.span.out_of_order += counts.1;
        }
        for (page, range) in part.histogram_runs.iter() {
            let counts = self.run(page, &part.histograms[range], &[]);
            self.span.histograms += counts.0;
            self.span.out_of_order_histograms += counts.1;
        }
        for m in &part.metadata {
            self.head.set_metadata(m.series, &m.metadata);
        }
    }

    /// Puts the samples of one page into their series; returns how many there were, and how many
    /// came too late.
    fn run<S: Sample>(&mut self, page: &Arc<Page>, samples: &[S], starts: &[TimestampMs]) -> (u64, u64) {
        let (mut appended, mut out_of_order) = (0, 0);
        let seq = (self.commit.seq(), self.low);
        let mut inner = page.lock();
        inner.old_ends.retain(|o| o.seq > seq.1);
        samples.iter().take(PREFETCH_AHEAD).for_each(|s| inner.prefetch(s.series()));
        for (i, sample) in samples.iter().enumerate() {
            let series = sample.series();
            let st = starts.get(i).copied().unwrap_or(0);
            if let Some(next) = samples.get(i + PREFETCH_AHEAD) {
                inner.prefetch(next.series());
            }
            if inner.get(series).is_some_and(|s| s.pending > 1) && !self.commit.is_next() {
                // Another appender holds the series too, perhaps one that has logged before us.
                drop(inner);
                self.commit.wait_for_turn();
                inner = page.lock();
            }
            let Some((s, old_ends)) = inner.parts(series) else { continue };
            s.pending -= 1;
            let t = sample.t();
            let was_stale = s.is_stale();
            let pushed = if t < self.min_valid_ms {
                Pushed::Refused
            } else {
                s.commit(slot(series) as u8, seq, old_ends, |s| sample.push_to(s, st, &self.rules))
            };
            match pushed {
                Pushed::Refused => {
                    if t >= self.min_valid_ms && s.end_ms().is_none_or(|end| t >= end) {
                        // The same sample once more is nothing to count.
                    } else if self.late_rules.judge(t, AppendError::OutOfOrder).is_ok() {
                        s.pending += 1;
                        let sample = sample.late(seq.0, st, s.kind());
                        self.late.push(Late { page: page.clone(), series, sample });
                    } else {
                        out_of_order += 1;
                    }
                    continue;
                }
                Pushed::Appended => {}
                Pushed::NewChunk(full) => self.head.keep_full(series, s, full),
            }
            self.span.stale += i64::from(s.is_stale()) - i64::from(was_stale);
            appended += 1;
            self.span.min_ms = self.span.min_ms.min(sample.t());
            self.span.max_ms = self.span.max_ms.max(sample.t());
        }
        (appended, out_of_order)
    }
}

impl Appender for HeadAppender {
    fn append(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        t: TimestampMs,
        st: TimestampMs,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        let added = self.min_valid_ms(t).and_then(|from| {
            let sample = |series| RefSample { series, t, v };
            if !series.is_none() {
                match self.add(sample(series.0), st, from) {
                    Err(AppendError::UnknownSeries) if !labels.is_empty() => {}
                    other => return other.map(|()| series),
                }
            }
            self.with_labels(labels, |this, found| this.add(sample(found), st, from))
        });
        added.inspect_err(|e| self.refused(e, false))
    }

    #[inline]
    fn append_known(&mut self, series: SeriesRef, t: TimestampMs, v: f64) -> Result<(), AppendError> {
        self.append_known_since(series, t, 0, v)
    }

    #[inline]
    fn append_known_since(
        &mut self,
        series: SeriesRef,
        t: TimestampMs,
        st: TimestampMs,
        v: f64,
    ) -> Result<(), AppendError> {
        let added =
            self.min_valid_ms(t).and_then(|from| self.add(RefSample { series: series.0, t, v }, st, from));
        added.inspect_err(|e| self.refused(e, false))
    }

    fn append_histogram(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        t: TimestampMs,
        st: TimestampMs,
        h: HistogramValue<'_>,
    ) -> Result<SeriesRef, AppendError> {
        let valid = match h {
            HistogramValue::Integer(h) => h.validate(),
            HistogramValue::Float(h) => h.validate(),
        };
        valid.map_err(|e| AppendError::InvalidHistogram(e.to_string()))?;
        let added = self.min_valid_ms(t).and_then(|from| {
            if !series.is_none() {
                match self.add_histogram(series.0, h, (t, st), from) {
                    Err(AppendError::UnknownSeries) if !labels.is_empty() => {}
                    other => return other.map(|()| series),
                }
            }
            self.with_labels(labels, |this, found| this.add_histogram(found, h, (t, st), from))
        });
        added.inspect_err(|e| self.refused(e, true))
    }

    fn append_start_zero(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        (t, st): (TimestampMs, TimestampMs),
        like: Option<HistogramValue<'_>>,
    ) -> Result<SeriesRef, AppendError> {
        // The sample itself says where the head begins.
        let Ok(from) = self.min_valid_ms(t) else { return Ok(series) };
        if st >= t || st < from {
            return Ok(series);
        }
        let refuse = std::mem::replace(&mut self.late.refuse, true);
        let added = match self.add_start_zero(series.0, st, like, from) {
            Err(AppendError::UnknownSeries) if !labels.is_empty() => {
                self.with_labels(labels, |this, found| {
                    // What is wrong with the zero does not touch the sample.
                    let _ = this.add_start_zero(found, st, like, from);
                    Ok(())
                })
            }
            Err(AppendError::UnknownSeries) => Err(AppendError::UnknownSeries),
            _ => Ok(series),
        };
        self.late.refuse = refuse;
        added
    }

    fn append_exemplar(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
    ) -> Result<SeriesRef, AppendError> {
        self.head.take_exemplar(&mut self.batch.exemplars, series, labels, exemplar, None)
    }

    fn append_exemplar_at(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
        t: TimestampMs,
    ) -> Result<SeriesRef, AppendError> {
        self.head.take_exemplar(&mut self.batch.exemplars, series, labels, exemplar, Some(t))
    }

    fn update_metadata(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        metadata: &Metadata,
    ) -> Result<SeriesRef, AppendError> {
        let series = self.head.existing(series, labels).ok_or(AppendError::UnknownSeries)?;
        if self.head.options.metadata_records && !self.head.has_metadata(series, metadata) {
            self.batch.part.metadata.push(RefMetadata { series, metadata: metadata.clone() });
        }
        Ok(SeriesRef(series))
    }

    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        let Batch { late, exemplars, .. } = &self.batch;
        if self.batch.parts().all(Part::is_empty) && late.is_empty() && exemplars.records.is_empty() {
            return Ok(());
        }
        let head = self.head.clone();
        // Its number is its place in the log.
        let mut commit = None;
        let mut begin = || commit = Some(head.isolation.begin());
        if let Some(wal) = head.wal.get() {
            let Batch { earlier, part, exemplars, record, .. } = &mut self.batch;
            let last = CommitRecords { exemplars: &exemplars.records, ..part.records() };
            if earlier.is_empty() {
                wal.log_commit(&[last], record, begin)?;
            } else {
                let records: Vec<_> = earlier.iter().map(Part::records).chain([last]).collect();
                wal.log_commit(&records, record, begin)?;
            }
        } else {
            begin();
        }
        let Some(commit) = commit else { return Ok(()) };
        self.batch.exemplars.apply(&head.exemplars);
        self.apply(commit)
    }

    fn refuse_out_of_order(&mut self, refuse: bool) {
        self.late.refuse = refuse;
    }

    fn rollback(self: Box<Self>) {}
}

/// However an appender ends: what it still holds is given back.
impl Drop for HeadAppender {
    fn drop(&mut self) {
        self.release();
        self.head.isolation.close_appender(self.id);
        let mut batch = std::mem::take(&mut self.batch);
        let keep = batch.clear();
        let mut kept = lock(&self.head.batches);
        if keep && kept.len() < BATCHES_MAX {
            kept.push(batch);
        }
    }
}
