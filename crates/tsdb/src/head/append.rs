//! Appenders: a batch of samples, checked as they come, logged and put into their series together.

use std::sync::Arc;

use model::{Labels, SeriesRef, TimestampMs};
use storage::{AppendError, Appender, Exemplar, StorageError};

use super::exemplars::Pending;
use super::isolation::CommitSeq;
use super::page::{Page, page_number, slot};
use super::series::Pushed;
use super::{Head, lock};
use crate::wal::record::RefSample;
use crate::wal::{CommitRecords, RecordBuffers};

/// So many batches are kept for later appenders, none with room for more samples than this.
const BATCHES_MAX: usize = 16;
const BATCH_SAMPLES_MAX: usize = 1 << 17;

/// Consecutive samples of a batch whose series are in one page.
struct Run {
    page: Arc<Page>,
    /// Index behind the last of them.
    end: usize,
}

/// What an appender gathers; its memory is used again by later appenders.
#[derive(Default)]
pub(crate) struct Batch {
    samples: Vec<RefSample>,
    runs: Vec<Run>,
    /// Series that this appender found or made by labels; each is owed one pending count.
    held: Vec<u64>,
    exemplars: Pending,
    record: RecordBuffers,
}

impl Batch {
    fn clear(&mut self) {
        self.samples.clear();
        self.runs.clear();
        self.held.clear();
        self.exemplars.clear();
    }
}

/// One transaction on the head.
pub(crate) struct HeadAppender {
    head: Arc<Head>,
    batch: Batch,
    /// Page of the last sample.
    page: u64,
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
        Self { head, batch, page: u64::MAX, min_valid_ms, id }
    }

    fn min_valid_ms(&mut self, t: TimestampMs) -> TimestampMs {
        if let Some(ms) = self.min_valid_ms {
            return ms;
        }
        self.head.initialize(t);
        *self.min_valid_ms.insert(self.head.appendable_min_ms())
    }

    /// Checks a sample against its series and takes it into the batch.
    fn add(
        &mut self,
        series: u64,
        t: TimestampMs,
        v: f64,
        min_valid_ms: TimestampMs,
    ) -> Result<(), AppendError> {
        if page_number(series) != self.page {
            self.turn_to(series)?;
        }
        loop {
            let run = self.batch.runs.last_mut().ok_or(AppendError::UnknownSeries)?;
            let mut page = run.page.lock();
            if let Some(s) = page.get_mut(series) {
                s.verdict(t, v, min_valid_ms)?;
                s.pending += 1;
                drop(page);
                self.batch.samples.push(RefSample { series, t, v });
                run.end = self.batch.samples.len();
                return Ok(());
            }
            if !page.retired() {
                return Err(AppendError::UnknownSeries);
            }
            drop(page);
            self.turn_to(series)?;
        }
    }

    /// Starts a run in the page of `series`.
    fn turn_to(&mut self, series: u64) -> Result<(), AppendError> {
        self.page = u64::MAX;
        let number = page_number(series);
        let page = self.head.pages.get(number).ok_or(AppendError::UnknownSeries)?;
        self.batch.runs.push(Run { page, end: self.batch.samples.len() });
        self.page = number;
        Ok(())
    }

    /// Gives back all pending counts.
    fn release(&mut self) {
        let mut at = 0;
        for run in &self.batch.runs {
            let mut page = run.page.lock();
            for sample in &self.batch.samples[at..run.end] {
                if let Some(s) = page.get_mut(sample.series) {
                    s.pending -= 1;
                }
            }
            at = run.end;
        }
        self.release_held();
    }

    fn release_held(&mut self) {
        for series in self.batch.held.drain(..) {
            if let Some(page) = self.head.page_of(series)
                && let Some(s) = page.lock().get_mut(series)
            {
                s.pending -= 1;
            }
        }
    }

    /// Puts the batch into its series, hidden until all of it is there.
    fn apply(&mut self) {
        let commit = self.head.isolation.begin();
        let low = self.head.isolation.low();
        let mut span = Span::default();
        let mut at = 0;
        for run in &self.batch.runs {
            apply_run(&self.head, run, &self.batch.samples[at..run.end], (commit.seq(), low), &mut span);
            at = run.end;
        }
        if span.samples > 0 {
            self.head.widen(span.min_ms, span.max_ms);
        }
        self.batch.samples.clear();
        self.batch.runs.clear();
        let counters = &self.head.counters;
        counters.samples_appended.add(span.samples);
        counters.out_of_order.add(span.out_of_order);
        commit.finish();
    }

    /// Counts why a sample was refused.
    fn refused(&self, why: &AppendError) {
        let counter = match why {
            AppendError::OutOfBounds => &self.head.counters.out_of_bound,
            AppendError::OutOfOrder => &self.head.counters.out_of_order,
            _ => return,
        };
        counter.add(1);
    }
}

/// What a commit added.
struct Span {
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    samples: u64,
    out_of_order: u64,
}

impl Default for Span {
    fn default() -> Self {
        Self { min_ms: TimestampMs::MAX, max_ms: TimestampMs::MIN, samples: 0, out_of_order: 0 }
    }
}

/// Puts the samples of one page into their series.
fn apply_run(
    head: &Head,
    run: &Run,
    samples: &[RefSample],
    (seq, low): (CommitSeq, CommitSeq),
    span: &mut Span,
) {
    let range_ms = head.options.range_ms;
    let mut page = run.page.lock();
    page.old_ends.retain(|o| o.seq > low);
    for sample in samples {
        let Some((s, old_ends)) = page.parts(sample.series) else { continue };
        s.pending -= 1;
        let slot = slot(sample.series) as u8;
        match s.commit(slot, (sample.t, sample.v), seq, low, range_ms, old_ends) {
            Pushed::Refused => {
                // Another appender was faster; the same sample once more is nothing to count.
                span.out_of_order += u64::from(s.end_ms().is_some_and(|end| sample.t < end));
                continue;
            }
            Pushed::Appended => {}
            Pushed::NewChunk(full) => head.keep_full(sample.series, s, full),
        }
        span.samples += 1;
        span.min_ms = span.min_ms.min(sample.t);
        span.max_ms = span.max_ms.max(sample.t);
    }
}

impl Appender for HeadAppender {
    fn append(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        t: TimestampMs,
        _st: TimestampMs,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        if !series.is_none() {
            match self.append_known(series, t, v) {
                Err(AppendError::UnknownSeries) => {}
                other => return other.map(|()| series),
            }
        }
        let min_valid_ms = self.min_valid_ms(t);
        if t < min_valid_ms {
            self.refused(&AppendError::OutOfBounds);
            return Err(AppendError::OutOfBounds);
        }
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset: invalid sample".to_owned()));
        }
        if let Some(why) = self.head.refusal() {
            return Err(AppendError::ReadOnly(why.to_string()));
        }
        let (found, _) = self.head.get_or_create(labels);
        self.batch.held.push(found);
        self.add(found, t, v, min_valid_ms).inspect_err(|e| self.refused(e))?;
        Ok(SeriesRef(found))
    }

    #[inline]
    fn append_known(&mut self, series: SeriesRef, t: TimestampMs, v: f64) -> Result<(), AppendError> {
        let min_valid_ms = self.min_valid_ms(t);
        if t < min_valid_ms {
            self.refused(&AppendError::OutOfBounds);
            return Err(AppendError::OutOfBounds);
        }
        self.add(series.0, t, v, min_valid_ms).inspect_err(|e| self.refused(e))
    }

    fn append_exemplar(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
    ) -> Result<SeriesRef, AppendError> {
        self.head.take_exemplar(&mut self.batch.exemplars, series, labels, exemplar)
    }

    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        let Batch { samples, exemplars, record, .. } = &mut self.batch;
        if samples.is_empty() && exemplars.records.is_empty() {
            return Ok(());
        }
        if let Some(wal) = self.head.wal.get() {
            let records =
                CommitRecords { samples, exemplars: &exemplars.records, ..CommitRecords::default() };
            wal.log_commit(&records, record)?;
        }
        exemplars.apply(&self.head.exemplars);
        self.apply();
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

/// However an appender ends: what it still holds is given back.
impl Drop for HeadAppender {
    fn drop(&mut self) {
        self.release();
        self.head.isolation.close_appender(self.id);
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let mut kept = lock(&self.head.batches);
        if kept.len() < BATCHES_MAX && batch.samples.capacity() <= BATCH_SAMPLES_MAX {
            kept.push(batch);
        }
    }
}
