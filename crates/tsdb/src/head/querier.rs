//! Queries over the head: whole commits only, see DESIGN.md.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use model::{Columns, Labels, Matcher, TimestampMs};
use storage::{LabelHints, LabelQuerier, Querier, SelectHints, SeriesSet, StorageError};

use super::Head;
use super::isolation::View;
use super::page::{Page, page_number};
use super::postings::PostingsView;
use super::series::ChunkPlace;
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
        Ok(Box::new(HeadSeriesSet {
            head: self.head.clone(),
            view: self.view.clone(),
            tombstones,
            series,
            start_ms,
            end_ms,
        }))
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

impl SeriesSet for HeadSeriesSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series[i].labels.clone()
    }

    fn read(&self, i: usize, columns: &mut Columns) -> Result<(), StorageError> {
        let found = &self.series[i];
        let page = found.page.lock();
        let Some(s) = page.get(found.series) else { return Ok(()) };
        let visible = page.visible_end(found.series, self.view.sees());
        let end_ms = visible.map_or(self.end_ms, |t| t.min(self.end_ms));
        // Copied under the lock, decoded behind it.
        let mut places: Vec<ChunkPlace> = Vec::new();
        let within = s.mapped.iter().filter(|m| m.min_ms <= end_ms && m.max_ms >= self.start_ms);
        places.extend(within.map(|m| m.place));
        let open = s.open.as_ref().filter(|o| o.min_ms() <= end_ms && o.max_ms() >= self.start_ms);
        let open = open.map(|o| o.bytes().to_vec());
        drop(page);
        let (mut scratch, base) = (Vec::new(), columns.len());
        for place in places {
            self.head.head_chunks().decode(place, (self.start_ms, end_ms), &mut scratch, columns)?;
        }
        if let Some(bytes) = open {
            chunk::xor::decode(&bytes, self.start_ms, end_ms, columns)
                .map_err(|e| StorageError::Corrupt(format!("head chunk of {}: {e}", found.labels)))?;
        }
        let deleted = self.tombstones.get(found.series);
        if !deleted.is_empty() {
            remove(deleted, columns, base);
        }
        Ok(())
    }
}
