//! Appenders of an agent: a batch of samples, each later than the last one of its series, logged together.

use std::sync::Arc;

use model::{Labels, Metadata, SeriesRef, TimestampMs};
use storage::{AppendError, Appender, Exemplar, HistogramValue, StorageError};

use super::Inner;
use super::page::{Page, page_number};
use crate::counter::Counter;
use crate::histogram::OwnedHistogram;
use crate::wal::record::{RefExemplar, RefHistogram, RefMetadata, RefSample};
use crate::wal::{CommitRecords, RecordBuffers};

/// Names and values of an exemplar's labels may have so many characters together.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// So many batches are kept for later appenders, none of them with room for more samples than this.
const BATCHES_MAX: usize = 16;
const BATCH_SAMPLES_MAX: usize = 1 << 17;

/// The pages of a list of samples, each held.
struct Runs {
    /// A page, and the index behind the last sample of its series.
    runs: Vec<(Arc<Page>, usize)>,
    /// Number of the last page.
    number: u64,
}

impl Default for Runs {
    fn default() -> Self {
        Self { runs: Vec::new(), number: u64::MAX }
    }
}

impl Runs {
    /// Has `check` look at the last time of a series; if that accepts, the sample will be at index `at`.
    #[inline]
    fn take(
        &mut self,
        inner: &Inner,
        series: u64,
        at: usize,
        check: impl FnOnce(TimestampMs) -> Result<(), AppendError>,
    ) -> Result<(), AppendError> {
        if page_number(series) != self.number {
            let page = inner.series.page_of(series).and_then(hold).ok_or(AppendError::UnknownSeries)?;
            self.begin(page, series, at);
        }
        let Some((page, end)) = self.runs.last_mut() else { return Err(AppendError::UnknownSeries) };
        check(page.lock().end_ms(series).ok_or(AppendError::UnknownSeries)?)?;
        *end = at + 1;
        Ok(())
    }

    /// Begins a run in a page that is held for it.
    fn begin(&mut self, page: Arc<Page>, series: u64, at: usize) {
        self.runs.push((page, at));
        self.number = page_number(series);
    }

    fn iter(&self) -> impl Iterator<Item = (&Page, std::ops::Range<usize>)> {
        let mut start = 0;
        self.runs.iter().map(move |(page, end)| (&**page, std::mem::replace(&mut start, *end)..*end))
    }

    fn release(&mut self) {
        self.runs.drain(..).for_each(|(page, _)| page.lock().holds -= 1);
        self.number = u64::MAX;
    }
}

/// Holds a page, unless it has left the directory.
fn hold(page: Arc<Page>) -> Option<Arc<Page>> {
    {
        let mut inner = page.lock();
        if inner.retired() {
            return None;
        }
        inner.holds += 1;
    }
    Some(page)
}

/// What an appender gathers; its memory is used again by later ones.
#[derive(Default)]
pub(super) struct Batch {
    metadata: Vec<RefMetadata>,
    samples: Vec<RefSample>,
    /// Of `samples`; empty while none is known.
    starts: Vec<TimestampMs>,
    sample_runs: Runs,
    histograms: Vec<RefHistogram>,
    histogram_runs: Runs,
    exemplars: Vec<RefExemplar>,
    /// Further pages that are held.
    held: Vec<Arc<Page>>,
    record: RecordBuffers,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.samples.is_empty()
            && self.histograms.is_empty()
            && self.metadata.is_empty()
            && self.exemplars.is_empty()
    }

    /// Forgets everything but the memory; returns whether that is worth keeping.
    fn clear(&mut self) -> bool {
        self.sample_runs.release();
        self.histogram_runs.release();
        self.held.drain(..).for_each(|page| page.lock().holds -= 1);
        self.metadata.clear();
        self.samples.clear();
        self.starts.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.samples.capacity() <= BATCH_SAMPLES_MAX && self.histograms.capacity() <= BATCH_SAMPLES_MAX
    }
}

/// One transaction.
pub(super) struct AgentAppender {
    inner: Arc<Inner>,
    batch: Batch,
    window_ms: i64,
}

impl AgentAppender {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let batch = super::lock(&inner.batches).pop().unwrap_or_default();
        let window_ms = inner.options.out_of_order_window_ms;
        Self { inner, batch, window_ms }
    }

    /// Refuses what does not come behind the series' last sample, or further before it than the window is long.
    fn in_order(window_ms: i64, t: TimestampMs) -> impl Fn(TimestampMs) -> Result<(), AppendError> {
        move |end_ms| {
            if end_ms != TimestampMs::MIN && t <= end_ms.saturating_sub(window_ms) {
                return Err(AppendError::OutOfOrder);
            }
            Ok(())
        }
    }

    #[inline]
    fn add(
        &mut self,
        sample: RefSample,
        st: TimestampMs,
        check: impl FnOnce(TimestampMs) -> Result<(), AppendError>,
    ) -> Result<(), AppendError> {
        let Batch { samples, starts, sample_runs, .. } = &mut self.batch;
        sample_runs.take(&self.inner, sample.series, samples.len(), check)?;
        if self.inner.options.start_timestamps && (st != 0 || !starts.is_empty()) {
            starts.resize(samples.len(), 0);
            starts.push(st);
        }
        samples.push(sample);
        self.inner.counters.samples.add(1);
        Ok(())
    }

    fn add_histogram(
        &mut self,
        sample: RefHistogram,
        check: impl FnOnce(TimestampMs) -> Result<(), AppendError>,
    ) -> Result<(), AppendError> {
        let Batch { histograms, histogram_runs, .. } = &mut self.batch;
        histogram_runs.take(&self.inner, sample.series, histograms.len(), check)?;
        histograms.push(sample);
        self.inner.counters.histograms.add(1);
        Ok(())
    }

    /// Has `add` take a sample of the series, or of the one of `labels`, which is made if there is none.
    fn with_series(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        is_histogram: bool,
        add: impl Fn(&mut Self, u64) -> Result<(), AppendError>,
    ) -> Result<SeriesRef, AppendError> {
        if !series.is_none() {
            match add(self, series.0) {
                Err(AppendError::UnknownSeries) if !labels.is_empty() => {}
                other => return other.map(|()| series),
            }
        }
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset: invalid sample".to_owned()));
        }
        let wal = self.inner.wal.get();
        if let Some(why) = wal.and_then(|wal| wal.failed()) {
            return Err(AppendError::ReadOnly(why.to_string()));
        }
        let (found, page) = self.inner.series.get_or_create(labels, wal);
        let Batch { samples, sample_runs, histograms, histogram_runs, held, .. } = &mut self.batch;
        let (runs, at) = match is_histogram {
            false => (sample_runs, samples.len()),
            true => (histogram_runs, histograms.len()),
        };
        if runs.number == page_number(found) {
            // Held already.
            held.push(page);
        } else {
            runs.begin(page, found, at);
        }
        add(self, found)?;
        Ok(SeriesRef(found))
    }

    /// The series, or the one of `labels`, and its page, held from now on.
    fn existing(&mut self, series: SeriesRef, labels: &Labels) -> Result<(u64, Arc<Page>), AppendError> {
        let table = &self.inner.series;
        let named = |series: u64| {
            let page = table.page_of(series).and_then(hold)?;
            if page.lock().end_ms(series).is_none() {
                page.lock().holds -= 1;
                return None;
            }
            Some((series, page))
        };
        let found = named(series.0).or_else(|| named(table.find(labels)?));
        let (series, page) = found.ok_or(AppendError::UnknownSeries)?;
        self.batch.held.push(page.clone());
        Ok((series, page))
    }

    fn take_exemplar(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
        sample_ms: Option<TimestampMs>,
    ) -> Result<SeriesRef, AppendError> {
        let t = exemplar.timestamp_ms.or(sample_ms);
        let t = t.ok_or(AppendError::Unsupported("exemplars without a time"))?;
        let (series, page) = self.existing(series, labels)?;
        let chars = |s: &str| s.chars().count();
        if exemplar.labels.iter().map(|(n, v)| chars(n) + chars(v)).sum::<usize>() > EXEMPLAR_CHARS_MAX {
            return Err(AppendError::ExemplarTooLong);
        }
        if page.lock().set_exemplar(series, exemplar, t) {
            let labels = exemplar.labels.clone();
            self.batch.exemplars.push(RefExemplar { series, t, v: exemplar.value, labels });
            self.inner.counters.exemplars.add(1);
        }
        Ok(SeriesRef(series))
    }

    /// Counts a refusal for its time.
    fn noted<T>(&self, result: Result<T, AppendError>) -> Result<T, AppendError> {
        result.inspect_err(|e| {
            if *e == AppendError::OutOfOrder {
                self.inner.counters.out_of_order.add(1);
            }
        })
    }

    /// Moves the ends of series on; what another appender has overtaken meanwhile is counted.
    fn apply(&mut self) {
        let late = &self.inner.counters.out_of_order;
        for (page, range) in self.batch.sample_runs.iter() {
            move_ends(page, self.batch.samples[range].iter().map(|s| (s.series, s.t)), late);
        }
        for (page, range) in self.batch.histogram_runs.iter() {
            move_ends(page, self.batch.histograms[range].iter().map(|h| (h.series, h.t)), late);
        }
        let times = self.batch.samples.iter().map(|s| s.t).chain(self.batch.histograms.iter().map(|h| h.t));
        self.inner.counters.newest_ms.raise(times.max().and_then(|t| u64::try_from(t).ok()).unwrap_or(0));
        for m in &self.batch.metadata {
            if let Some(page) = self.inner.series.page_of(m.series) {
                let shared = self.inner.series.metadata.share(&m.metadata);
                page.lock().set_metadata(m.series, shared);
            }
        }
    }
}

fn move_ends(page: &Page, samples: impl Iterator<Item = (u64, TimestampMs)>, late: &Counter) {
    let mut page = page.lock();
    for (series, t) in samples {
        if !page.move_end(series, t) {
            late.add(1);
        }
    }
}

impl Appender for AgentAppender {
    fn append(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        t: TimestampMs,
        st: TimestampMs,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        let window_ms = self.window_ms;
        let added = self.with_series(series, labels, false, |this, series| {
            this.add(RefSample { series, t, v }, st, Self::in_order(window_ms, t))
        });
        self.noted(added)
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
        let added = self.add(RefSample { series: series.0, t, v }, st, Self::in_order(self.window_ms, t));
        self.noted(added)
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
        let window_ms = self.window_ms;
        let st = if self.inner.options.start_timestamps { st } else { 0 };
        let added = self.with_series(series, labels, true, |this, series| {
            let sample = RefHistogram { series, t, st, h: OwnedHistogram::from(h) };
            this.add_histogram(sample, Self::in_order(window_ms, t))
        });
        self.noted(added)
    }

    fn append_start_zero(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        (t, st): (TimestampMs, TimestampMs),
        like: Option<HistogramValue<'_>>,
    ) -> Result<SeriesRef, AppendError> {
        if st >= t {
            return Ok(series);
        }
        // No window: a zero among samples that are there would be a reset that never was.
        let check = Self::in_order(0, st);
        let add = |this: &mut Self, series| match like {
            None => this.add(RefSample { series, t: st, v: 0.0 }, 0, &check),
            Some(like) => {
                let h = OwnedHistogram::start_of(like);
                this.add_histogram(RefHistogram { series, t: st, st: 0, h }, &check)
            }
        };
        let known = match add(self, series.0) {
            Ok(()) | Err(AppendError::OutOfOrder) => return Ok(series),
            Err(AppendError::UnknownSeries) if !labels.is_empty() => SeriesRef::NONE,
            Err(e) => return Err(e),
        };
        self.with_series(known, labels, like.is_some(), |this, series| match add(this, series) {
            // What is wrong with the zero does not touch the sample.
            Err(AppendError::OutOfOrder) => Ok(()),
            other => other,
        })
    }

    fn append_exemplar(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
    ) -> Result<SeriesRef, AppendError> {
        self.take_exemplar(series, labels, exemplar, None)
    }

    fn append_exemplar_at(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
        t: TimestampMs,
    ) -> Result<SeriesRef, AppendError> {
        self.take_exemplar(series, labels, exemplar, Some(t))
    }

    fn update_metadata(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        metadata: &Metadata,
    ) -> Result<SeriesRef, AppendError> {
        if !self.inner.options.metadata_records || *metadata == Metadata::default() {
            return Ok(series);
        }
        let (found, page) = self.existing(series, labels)?;
        if page.lock().metadata(found).is_none_or(|known| **known != *metadata) {
            self.batch.metadata.push(RefMetadata { series: found, metadata: metadata.clone() });
        }
        Ok(SeriesRef(found))
    }

    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        if let Some(wal) = self.inner.wal.get() {
            let Batch { metadata, samples, starts, histograms, exemplars, record, .. } = &mut self.batch;
            let records = CommitRecords {
                metadata,
                samples,
                starts,
                histograms,
                exemplars,
                ..CommitRecords::default()
            };
            wal.log_commit(&[records], record, || {})?;
        }
        self.apply();
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

/// However an appender ends, no page is held any more.
impl Drop for AgentAppender {
    fn drop(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        let keep = batch.clear();
        let mut kept = super::lock(&self.inner.batches);
        if keep && kept.len() < BATCHES_MAX {
            kept.push(batch);
        }
    }
}
