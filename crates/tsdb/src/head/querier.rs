//! Queries over the head: whole commits only, see DESIGN.md.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use model::{Columns, Labels, Matcher, TimestampMs};
use storage::{
    ChunkQuerier, ChunkSeriesSet, EncodedChunk, LabelHints, LabelQuerier, Querier, STOP_STRETCH, SelectHints,
    SeriesSet, Stop, StorageError,
};

use super::Head;
use super::blocks::FoundChunks;
use super::isolation::View;
use super::ooo::{FoundLate, OooSeries};
use super::page::{Page, page_number};
use super::postings::PostingsView;
use super::series::ChunkPlace;
use crate::index::postings_for_matchers;
use crate::projection::Projector;
use crate::tombstones::{Tombstones, covers, remove};

/// A view of the head over a span of time.
pub(crate) struct HeadQuerier {
    head: Arc<Head>,
    view: Arc<View>,
    /// From when on the head has what is in order.
    in_order_ms: TimestampMs,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    /// Late chunks up to here are left to blocks.
    late_after: ChunkPlace,
}

impl HeadQuerier {
    /// A view of everything committed so far.
    pub(crate) fn new(head: Arc<Head>, start_ms: TimestampMs, end_ms: TimestampMs) -> Self {
        // The view first: what is truncated after this waits for it.
        let view = Arc::new(head.isolation.view());
        let in_order_ms = start_ms.max(head.min_ms());
        let late_after = head.ooo.in_blocks();
        Self { head, view, in_order_ms, start_ms, end_ms, late_after }
    }

    /// Whether the head may have samples in the span.
    pub(crate) fn overlaps(&self) -> bool {
        let in_order = self.in_order_ms <= self.end_ms && self.in_order_ms <= self.head.max_ms();
        in_order || self.head.ooo.overlaps(self.start_ms, self.end_ms)
    }

    /// References of the series that satisfy all matchers, in order.
    pub(super) fn matching(&self, matchers: &[Matcher], stop: &Stop) -> Result<Vec<u64>, StorageError> {
        let postings = self.head.postings.read().unwrap_or_else(PoisonError::into_inner);
        let symbols = self.head.symbols.read();
        let all = || self.head.all_refs();
        let index = PostingsView { postings: &postings, symbols: &symbols, all: &all };
        postings_for_matchers(&index, matchers, stop)
    }

    /// Calls `f` for each of the series with its page locked.
    pub(super) fn each(
        &self,
        refs: &[u64],
        stop: &Stop,
        mut f: impl FnMut(u64, &Arc<Page>, &super::series::Series),
    ) -> Result<(), StorageError> {
        let mut due = 0;
        for run in refs.chunk_by(|a, b| page_number(*a) == page_number(*b)) {
            due += run.len();
            if due >= STOP_STRETCH {
                due = 0;
                stop.check()?;
            }
            let Some(page) = self.head.page_of(run[0]) else { continue };
            let inner = page.lock();
            for series in run {
                if let Some(s) = inner.get(*series) {
                    f(*series, &page, s);
                }
            }
        }
        Ok(())
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
        let refs = if matchers.is_empty() { None } else { Some(self.matching(matchers, &Stop::default())?) };
        let symbols = self.head.symbols.read();
        let Some(name) = symbols.find(name) else { return Ok(Vec::new()) };
        let mut values = BTreeSet::new();
        if let Some(refs) = refs {
            self.each(&refs, &Stop::default(), |_, _, s| {
                if let Some((_, v)) = s.labels.iter().find(|(n, _)| *n == name) {
                    values.insert(symbols.get(v).to_owned());
                }
            })?;
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
            let refs = self.matching(matchers, &Stop::default())?;
            let symbols = self.head.symbols.read();
            let mut ids = BTreeSet::new();
            self.each(&refs, &Stop::default(), |_, _, s| ids.extend(s.labels.iter().map(|(n, _)| n)))?;
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
        let in_order_ms = start_ms.max(self.in_order_ms);
        let refs = self.matching(matchers, &hints.stop)?;
        let tombstones = self.head.tombstones();
        let mut series = Vec::with_capacity(refs.len());
        let symbols = self.head.symbols.read();
        let mut projector = Projector::new(&hints.projection, |name| symbols.find(name));
        self.each(&refs, &hints.stop, |r, page, s| {
            let any = |span: Option<(TimestampMs, TimestampMs)>, start_ms: TimestampMs| {
                span.is_some_and(|(first_ms, last_ms)| {
                    let (from_ms, to_ms) = (first_ms.max(start_ms), last_ms.min(end_ms));
                    from_ms <= to_ms && !covers(tombstones.get(r), from_ms, to_ms)
                })
            };
            if any(s.min_ms().zip(s.end_ms()), in_order_ms)
                || any(s.ooo().and_then(OooSeries::span), start_ms)
            {
                let labels = match &mut projector {
                    Some(p) => p.project(s.labels.iter(), |id| symbols.get(id)),
                    None => s.labels.resolve(&symbols),
                };
                series.push(Found { labels, series: r, page: page.clone() });
            }
        })?;
        drop(symbols);
        if !hints.any_order {
            hints.stop.sort_by(&mut series, |a, b| a.labels.cmp(&b.labels))?;
        }
        if hints.limit > 0 {
            series.truncate(hints.limit);
        }
        Ok(HeadSeriesSet {
            head: self.head.clone(),
            view: self.view.clone(),
            tombstones,
            series,
            in_order_ms,
            start_ms,
            end_ms,
            late_after: self.late_after,
            stop: hints.stop.clone(),
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
    in_order_ms: TimestampMs,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    late_after: ChunkPlace,
    stop: Stop,
}

impl HeadSeriesSet {
    /// The chunks of a series that reach into the span, up to when the view sees their samples, and
    /// what it sees of those that came late.
    fn find(&self, i: usize) -> Option<(FoundChunks, TimestampMs, Option<FoundLate>)> {
        let found = &self.series[i];
        let page = found.page.lock();
        let s = page.get(found.series)?;
        let visible_ms = page.visible_end(found.series, self.view.sees()).unwrap_or(TimestampMs::MAX);
        // Copied under the lock, decoded behind it.
        let span = (self.start_ms, self.end_ms);
        let late = s.ooo().and_then(|o| FoundLate::of(o, span, self.late_after, self.view.sees()));
        Some((FoundChunks::of(s, self.in_order_ms, self.end_ms.min(visible_ms)), visible_ms, late))
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
        let Some((found, visible_ms, late)) = self.find(i) else { return Ok(()) };
        let span = (self.in_order_ms, self.end_ms.min(visible_ms));
        let (base, chunks) = (columns.len(), self.head.head_chunks());
        let read = if let Some(late) = late {
            let mut in_order = Columns::default();
            let read = found.decode(chunks, span, &self.stop, &mut in_order);
            read.and_then(|()| late.merge_into(chunks, (self.start_ms, self.end_ms), in_order, columns))
        } else {
            found.decode(chunks, span, &self.stop, columns)
        };
        read.map_err(|e| match e {
            StorageError::Stopped => e,
            e => StorageError::Corrupt(format!("{}: {e}", self.series[i].labels)),
        })?;
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
        let Some((found, visible_ms, late)) = self.find(i) else { return Ok(()) };
        let deleted = self.tombstones.get(self.series[i].series);
        let (chunks, span) = (self.head.head_chunks(), (TimestampMs::MIN, visible_ms));
        let mut put = |min_ms, max_ms, encoding, data: Vec<u8>| {
            out.push(EncodedChunk { min_ms, max_ms, encoding, data: data.into() });
        };
        let Some(late) = late else {
            return found.read(chunks, span, deleted, |c| {
                put(c.min_ms, c.max_ms, c.encoding, c.data);
            });
        };
        let mut in_order = Vec::new();
        found.read(chunks, span, deleted, |c| in_order.push(c))?;
        let labels = || self.series[i].labels.clone();
        let rules = (deleted, &self.head.chunk_rules());
        for p in late.merge_chunks(&labels, chunks, rules, in_order)? {
            put(p.min_ms, p.max_ms, p.encoding, p.data.into_owned());
        }
        Ok(())
    }
}
