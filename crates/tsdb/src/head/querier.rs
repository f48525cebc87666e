//! Queries over the head: whole commits only, see DESIGN.md.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use model::{Columns, Labels, Matcher, TimestampMs};
use storage::{
    ChunkQuerier, ChunkSeriesSet, EncodedChunk, LabelHints, LabelQuerier, Querier, SelectHints, SeriesSet,
    StorageError,
};

use super::Head;
use super::blocks::FoundChunks;
use super::isolation::View;
use super::page::{Page, page_number};
use super::postings::PostingsView;
use crate::index::postings_for_matchers;
use crate::tombstones::{Tombstones, covers, remove};

/// A view of the head over a span of time.
pub(crate) struct HeadQuerier {
    head: Arc<Head>,
    view: Arc<View>,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
}

impl HeadQuerier {
    /// A view of everything committed so far.
    pub(crate) fn new(head: Arc<Head>, start_ms: TimestampMs, end_ms: TimestampMs) -> Self {
        // The view first: what is truncated after this waits for it.
        let view = Arc::new(head.isolation.view());
        let start_ms = start_ms.max(head.min_ms());
        Self { head, view, start_ms, end_ms }
    }

    /// Whether the head may have samples in the span.
    pub(crate) fn overlaps(&self) -> bool {
        self.start_ms <= self.end_ms && self.start_ms <= self.head.max_ms()
    }

    /// References of the series that satisfy all matchers, in order.
    pub(super) fn matching(&self, matchers: &[Matcher]) -> Result<Vec<u64>, StorageError> {
        let postings = self.head.postings.read().unwrap_or_else(PoisonError::into_inner);
        let symbols = self.head.symbols.read();
        let all = || self.head.all_refs();
        postings_for_matchers(&PostingsView { postings: &postings, symbols: &symbols, all: &all }, matchers)
    }

    /// Calls `f` for each of the series with its page locked.
    pub(super) fn each(&self, refs: &[u64], mut f: impl FnMut(u64, &Arc<Page>, &super::series::Series)) {
        for run in refs.chunk_by(|a, b| page_number(*a) == page_number(*b)) {
            let Some(page) = self.head.page_of(run[0]) else { continue };
            let inner = page.lock();
            for series in run {
                if let Some(s) = inner.get(*series) {
                    f(*series, &page, s);
                }
            }
        }
    }
}

impl LabelQuerier for HeadQuerier {
    fn label_values(
        &self,
        name: &str,
        hints: LabelHints,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, StorageError> {
        if !self.overlaps() {
            return Ok(Vec::new());
        }
        let refs = if matchers.is_empty() { None } else { Some(self.matching(matchers)?) };
        let symbols = self.head.symbols.read();
        let Some(name) = symbols.find(name) else { return Ok(Vec::new()) };
        let mut values = BTreeSet::new();
        if let Some(refs) = refs {
            self.each(&refs, |_, _, s| {
                if let Some((_, v)) = s.labels.iter().find(|(n, _)| *n == name) {
                    values.insert(symbols.get(v).to_owned());
                }
            });
        } else {
            drop(symbols);
            let postings = self.head.postings.read().unwrap_or_else(PoisonError::into_inner);
            let symbols = self.head.symbols.read();
            values.extend(postings.values(name).map(|(v, _)| symbols.get(v).to_owned()));
        }
        Ok(limited(values, hints))
    }

    fn label_names(&self, hints: LabelHints, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        if !self.overlaps() {
            return Ok(Vec::new());
        }
        let mut names = BTreeSet::new();
        if matchers.is_empty() {
            let postings = self.head.postings.read().unwrap_or_else(PoisonError::into_inner);
            let symbols = self.head.symbols.read();
            names.extend(postings.names().map(|n| symbols.get(n).to_owned()));
        } else {
            let refs = self.matching(matchers)?;
            let symbols = self.head.symbols.read();
            let mut ids = BTreeSet::new();
            self.each(&refs, |_, _, s| ids.extend(s.labels.iter().map(|(n, _)| n)));
            names.extend(ids.into_iter().map(|n| symbols.get(n).to_owned()));
        }
        Ok(limited(names, hints))
    }
}

fn limited(all: BTreeSet<String>, hints: LabelHints) -> Vec<String> {
    let limit = if hints.limit == 0 { usize::MAX } else { hints.limit };
    all.into_iter().take(limit).collect()
}

impl Querier for HeadQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Box<dyn SeriesSet>, StorageError> {
        Ok(Box::new(self.found(hints, matchers)?))
    }
}

impl ChunkQuerier for HeadQuerier {
    fn select_chunks(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn ChunkSeriesSet>, StorageError> {
        Ok(Box::new(self.found(hints, matchers)?))
    }
}

impl HeadQuerier {
    fn found(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<HeadSeriesSet, StorageError> {
        let (start_ms, end_ms) = (hints.start_ms.max(self.start_ms), hints.end_ms.min(self.end_ms));
        let refs = self.matching(matchers)?;
        let tombstones = self.head.tombstones();
        let mut series = Vec::with_capacity(refs.len());
        let symbols = self.head.symbols.read();
        self.each(&refs, |r, page, s| {
            let (Some(first_ms), Some(last_ms)) = (s.min_ms(), s.end_ms()) else { return };
            let (from_ms, to_ms) = (first_ms.max(start_ms), last_ms.min(end_ms));
            if from_ms <= to_ms && !covers(tombstones.get(r), from_ms, to_ms) {
                series.push(Found { labels: s.labels.resolve(&symbols), series: r, page: page.clone() });
            }
        });
        drop(symbols);
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        if hints.limit > 0 {
            series.truncate(hints.limit);
        }
        Ok(HeadSeriesSet {
            head: self.head.clone(),
            view: self.view.clone(),
            tombstones,
            series,
            start_ms,
            end_ms,
        })
    }
}

struct Found {
    labels: Labels,
    series: u64,
    page: Arc<Page>,
}

struct HeadSeriesSet {
    head: Arc<Head>,
    view: Arc<View>,
    tombstones: Arc<Tombstones>,
    series: Vec<Found>,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
}

impl HeadSeriesSet {
    /// The chunks of a series that reach into the span, and up to when the view sees their samples.
    fn find(&self, i: usize) -> Option<(FoundChunks, TimestampMs)> {
        let found = &self.series[i];
        let page = found.page.lock();
        let s = page.get(found.series)?;
        let visible_ms = page.visible_end(found.series, self.view.sees()).unwrap_or(TimestampMs::MAX);
        // Copied under the lock, decoded behind it.
        Some((FoundChunks::of(s, self.start_ms, self.end_ms.min(visible_ms)), visible_ms))
    }
}

impl SeriesSet for HeadSeriesSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series[i].labels.clone()
    }

    fn read(&self, i: usize, columns: &mut Columns) -> Result<(), StorageError> {
        let Some((found, visible_ms)) = self.find(i) else { return Ok(()) };
        let span = (self.start_ms, self.end_ms.min(visible_ms));
        let base = columns.len();
        let read = found.decode(self.head.head_chunks(), span, columns);
        read.map_err(|e| StorageError::Corrupt(format!("{}: {e}", self.series[i].labels)))?;
        let deleted = self.tombstones.get(self.series[i].series);
        if !deleted.is_empty() {
            remove(deleted, columns, base);
        }
        Ok(())
    }
}

impl ChunkSeriesSet for HeadSeriesSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series[i].labels.clone()
    }

    /// A chunk some of whose samples are deleted, or not visible yet, comes without them.
    fn chunks(&self, i: usize, out: &mut Vec<EncodedChunk>) -> Result<(), StorageError> {
        let Some((found, visible_ms)) = self.find(i) else { return Ok(()) };
        let deleted = self.tombstones.get(self.series[i].series);
        found.read(self.head.head_chunks(), (TimestampMs::MIN, visible_ms), deleted, |c| {
            out.push(EncodedChunk {
                min_ms: c.min_ms,
                max_ms: c.max_ms,
                encoding: c.encoding,
                data: c.data.into(),
            });
        })
    }
}
