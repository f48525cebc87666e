//! Appenders: a batch of samples, checked as they come, logged and put into their series together.

use std::sync::Arc;

use model::{Labels, SeriesRef, TimestampMs};
use storage::{AppendError, Appender, StorageError};

use super::Head;
use super::page::{Page, page_number, slot};
use super::series::Pushed;

/// A sample of a known series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RefSample {
    pub(crate) series: u64,
    pub(crate) t: TimestampMs,
    pub(crate) v: f64,
}

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
}

impl Batch {
    fn clear(&mut self) {
        self.samples.clear();
        self.runs.clear();
        self.held.clear();
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
}

impl HeadAppender {
    pub(crate) fn new(head: Arc<Head>) -> Self {
        let batch = lock(&head.batches).pop().unwrap_or_default();
        let min_valid_ms = head.initialized().then(|| head.appendable_min_ms());
        Self { head, batch, page: u64::MAX, min_valid_ms }
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
            if let Some(page) = self.head.page_of(series) {
                if let Some(s) = page.lock().get_mut(series) {
                    s.pending -= 1;
                }
            }
        }
    }

    /// Puts the batch into its series, hidden until all of it is there.
    fn apply(&mut self) {
        let commit = self.head.isolation.begin();
        let low = self.head.isolation.low();
        let range_ms = self.head.options.range_ms;
        let (mut min_ms, mut max_ms) = (TimestampMs::MAX, TimestampMs::MIN);
        let mut at = 0;
        for run in &self.batch.runs {
            let mut page = run.page.lock();
            page.old_ends.retain(|o| o.seq > low);
            for sample in &self.batch.samples[at..run.end] {
                let Some((s, old_ends)) = page.parts(sample.series) else { continue };
                s.pending -= 1;
                let slot = slot(sample.series) as u8;
                match s.commit(slot, (sample.t, sample.v), commit.seq(), low, range_ms, old_ends) {
                    Pushed::Refused => continue,
                    Pushed::Appended => {}
                    Pushed::NewChunk(_full) => {}
                }
                min_ms = min_ms.min(sample.t);
                max_ms = max_ms.max(sample.t);
            }
            at = run.end;
        }
        if min_ms <= max_ms {
            self.head.widen(min_ms, max_ms);
        }
        commit.finish();
    }
}

fn lock<T>(m: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        let min_valid_ms = self.min_valid_ms(t);
        if t < min_valid_ms {
            return Err(AppendError::OutOfBounds);
        }
        if !series.is_none() {
            match self.add(series.0, t, v, min_valid_ms) {
                Err(AppendError::UnknownSeries) => {}
                other => return other.map(|()| series),
            }
        }
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset".to_owned()));
        }
        let (found, _) = self.head.get_or_create(labels);
        self.batch.held.push(found);
        self.add(found, t, v, min_valid_ms)?;
        Ok(SeriesRef(found))
    }

    fn append_known(&mut self, series: SeriesRef, t: TimestampMs, v: f64) -> Result<(), AppendError> {
        let min_valid_ms = self.min_valid_ms(t);
        if t < min_valid_ms {
            return Err(AppendError::OutOfBounds);
        }
        self.add(series.0, t, v, min_valid_ms)
    }

    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        self.apply();
        self.batch.samples.clear();
        self.batch.runs.clear();
        self.release_held();
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

impl Drop for HeadAppender {
    fn drop(&mut self) {
        self.release();
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        lock(&self.head.batches).push(batch);
    }
}
