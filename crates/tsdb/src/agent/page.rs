//! Pages of an agent's series: 128 consecutive references share a lock, and the memory that holds their labels. A
//! series is its labels and the time of its last sample, nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use model::symbols::SymbolSlice;
use model::{Metadata, TimestampMs};
use storage::Exemplar;

use crate::int_map::IntMap;

/// References per page.
pub(super) const PAGE_SERIES: u64 = 128;

/// Marks a slot without series.
const NONE: u8 = u8::MAX;

/// One series: 16 bytes, and its labels.
#[derive(Clone, Copy)]
struct Entry {
    /// Time of the last sample, [`TimestampMs::MIN`] before the first.
    end_ms: TimestampMs,
    /// Where in the page's labels its own begin, after their length.
    labels_at: u32,
    slot: u8,
}

/// The newest exemplar of a series: what tells whether another is the same.
#[derive(Clone, Copy, Debug)]
struct LastExemplar {
    slot: u8,
    /// Whether the time came with it, and is not that of its sample.
    timed: bool,
    t: TimestampMs,
    v: f64,
    labels_hash: u64,
}

/// What few series have.
#[derive(Default)]
struct Extra {
    metadata: Vec<(u8, Arc<Metadata>)>,
    exemplars: Vec<LastExemplar>,
}

/// What a page's lock guards.
pub(super) struct PageInner {
    /// Where in `entries` each slot's series is, or [`NONE`].
    places: [u8; PAGE_SERIES as usize],
    entries: Vec<Entry>,
    /// Label sets one behind the other, each after its length.
    labels: Vec<u8>,
    extra: Option<Box<Extra>>,
    /// How many times appenders hold the page: none of its series is forgotten while one does.
    pub(super) holds: u32,
    /// The page has left the directory: nothing may be added any more.
    retired: bool,
}

impl PageInner {
    fn place(&self, series: u64) -> usize {
        usize::from(self.places[slot(series)])
    }

    fn entry(&self, series: u64) -> Option<&Entry> {
        self.entries.get(self.place(series))
    }

    pub(super) fn retired(&self) -> bool {
        self.retired
    }

    /// Time of the series' last sample.
    #[inline]
    pub(super) fn end_ms(&self, series: u64) -> Option<TimestampMs> {
        self.entry(series).map(|e| e.end_ms)
    }

    /// Whether `t` was not before the series' last sample, whose time it is from now on.
    #[inline]
    pub(super) fn move_end(&mut self, series: u64, t: TimestampMs) -> bool {
        let place = self.place(series);
        let Some(entry) = self.entries.get_mut(place) else { return true };
        let is_newer = t >= entry.end_ms;
        if is_newer {
            entry.end_ms = t;
        }
        is_newer
    }

    /// The labels of a series.
    pub(super) fn labels(&self, series: u64) -> Option<SymbolSlice<'_>> {
        self.entry(series).map(|e| self.labels_of(e))
    }

    fn labels_of(&self, entry: &Entry) -> SymbolSlice<'_> {
        let at = entry.labels_at as usize;
        let len = u32::from_le_bytes([self.labels[at], self.labels[at + 1], self.labels[at + 2], 0]) as usize;
        SymbolSlice::from_bytes(&self.labels[at + LENGTH_BYTES..at + LENGTH_BYTES + len])
    }

    /// Puts a series without samples into its slot, which is empty.
    pub(super) fn put(&mut self, series: u64, labels: SymbolSlice<'_>) {
        let slot = slot(series);
        if self.entries.len() == self.entries.capacity() {
            let more = self.entries.len().clamp(8, PAGE_SERIES as usize - self.entries.len());
            self.entries.reserve_exact(more);
        }
        self.places[slot] = self.entries.len() as u8;
        let labels_at = self.push_labels(labels);
        self.entries.push(Entry { end_ms: TimestampMs::MIN, labels_at, slot: slot as u8 });
        if self.entries.len() == PAGE_SERIES as usize {
            self.labels.shrink_to_fit();
        }
    }

    fn push_labels(&mut self, labels: SymbolSlice<'_>) -> u32 {
        let bytes = labels.as_bytes();
        let at = self.labels.len() as u32;
        self.labels.extend_from_slice(&(bytes.len() as u32).to_le_bytes()[..LENGTH_BYTES]);
        self.labels.extend_from_slice(bytes);
        at
    }

    /// Takes a series out; its labels stay until [`Self::tidy`].
    pub(super) fn remove(&mut self, series: u64) {
        let place = self.place(series);
        if place >= self.entries.len() {
            return;
        }
        self.entries.swap_remove(place);
        self.places[slot(series)] = NONE;
        if let Some(moved) = self.entries.get(place) {
            self.places[usize::from(moved.slot)] = place as u8;
        }
        if let Some(extra) = &mut self.extra {
            let slot = slot(series) as u8;
            extra.metadata.retain(|(s, _)| *s != slot);
            extra.exemplars.retain(|e| e.slot != slot);
        }
    }

    /// Gives back the memory of series that have been taken out.
    pub(super) fn tidy(&mut self) {
        let labels = std::mem::take(&mut self.labels);
        let old = std::mem::take(&mut self.entries);
        self.entries.reserve_exact(old.len());
        for mut entry in old {
            let at = entry.labels_at as usize;
            let len = u32::from_le_bytes([labels[at], labels[at + 1], labels[at + 2], 0]) as usize;
            entry.labels_at = self.labels.len() as u32;
            self.labels.extend_from_slice(&labels[at..at + LENGTH_BYTES + len]);
            self.entries.push(entry);
        }
        self.labels.shrink_to_fit();
        if self.extra.as_ref().is_some_and(|e| e.metadata.is_empty() && e.exemplars.is_empty()) {
            self.extra = None;
        }
    }

    /// Slot, labels and last time of each series, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, SymbolSlice<'_>, TimestampMs)> {
        self.entries.iter().map(|e| (u64::from(e.slot), self.labels_of(e), e.end_ms))
    }

    pub(super) fn metadata(&self, series: u64) -> Option<&Arc<Metadata>> {
        let slot = slot(series) as u8;
        let all = &self.extra.as_ref()?.metadata;
        all.binary_search_by_key(&slot, |(s, _)| *s).ok().map(|i| &all[i].1)
    }

    /// Notes what the metric of a series that is here is.
    pub(super) fn set_metadata(&mut self, series: u64, metadata: Arc<Metadata>) {
        if self.entry(series).is_none() {
            return;
        }
        let slot = slot(series) as u8;
        let all = &mut self.extra.get_or_insert_default().metadata;
        match all.binary_search_by_key(&slot, |(s, _)| *s) {
            Ok(i) => all[i].1 = metadata,
            Err(i) => all.insert(i, (slot, metadata)),
        }
    }

    /// Makes an exemplar the newest of its series; `false` where it is that already. One without a time of its own has
    /// the time `t`.
    pub(super) fn set_exemplar(&mut self, series: u64, exemplar: &Exemplar, t: TimestampMs) -> bool {
        let new = LastExemplar {
            slot: slot(series) as u8,
            timed: exemplar.timestamp_ms.is_some(),
            t,
            v: exemplar.value,
            labels_hash: exemplar.labels.hash64(),
        };
        let all = &mut self.extra.get_or_insert_default().exemplars;
        match all.binary_search_by_key(&new.slot, |e| e.slot) {
            Ok(i) => {
                let old = all[i];
                let same_time = old.t == new.t || !old.timed && !new.timed;
                if same_time && old.v == new.v && old.labels_hash == new.labels_hash {
                    return false;
                }
                all[i] = new;
            }
            Err(i) => all.insert(i, new),
        }
        true
    }
}

/// Bytes of the length before a label set: 2²⁴ are more than a label set can have.
const LENGTH_BYTES: usize = 3;

/// The place of a reference within its page.
fn slot(series: u64) -> usize {
    (series % PAGE_SERIES) as usize
}

/// The page of a reference.
pub(super) fn page_number(series: u64) -> u64 {
    series / PAGE_SERIES
}

/// 128 series under one lock.
pub(super) struct Page(Mutex<PageInner>);

impl Page {
    fn new() -> Self {
        Self(Mutex::new(PageInner {
            places: [NONE; PAGE_SERIES as usize],
            entries: Vec::new(),
            labels: Vec::new(),
            extra: None,
            holds: 0,
            retired: false,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, PageInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All pages, by number.
#[derive(Default)]
pub(super) struct Pages(RwLock<IntMap<u64, Arc<Page>>>);

impl Pages {
    pub(super) fn get(&self, number: u64) -> Option<Arc<Page>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// Changes the page of this number, made if there is none; returns it.
    pub(super) fn change(&self, number: u64, change: impl FnOnce(&mut PageInner)) -> Arc<Page> {
        loop {
            let page = self.get(number).unwrap_or_else(|| {
                let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
                all.entry(number).or_insert_with(|| Arc::new(Page::new())).clone()
            });
            let mut inner = page.lock();
            if !inner.retired {
                change(&mut inner);
                drop(inner);
                return page;
            }
        }
    }

    /// Page numbers and pages in order.
    pub(super) fn all(&self) -> Vec<(u64, Arc<Page>)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut pages: Vec<_> = all.iter().map(|(n, p)| (*n, p.clone())).collect();
        pages.sort_unstable_by_key(|(n, _)| *n);
        pages
    }

    /// Drops the pages below number `open_from` in which no series is left.
    pub(super) fn retire_empty(&self, open_from: u64) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|number, page| {
            let mut inner = page.lock();
            inner.retired = inner.entries.is_empty() && inner.holds == 0 && *number < open_from;
            !inner.retired
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::Labels;
    use model::symbols::{SymbolLabels, Symbols};

    use super::*;

    #[test]
    fn series_come_and_go() {
        let symbols = Symbols::new();
        let pages = Pages::default();
        let labels = |i: u64| Labels::from_pairs([("i", i.to_string())]);
        let put = |i: u64| {
            let ids = SymbolLabels::intern(&labels(i), &symbols);
            pages.change(page_number(i), |p| p.put(i, ids.as_slice()));
        };
        (0..300).rev().for_each(put);
        for gone in (0..300).filter(|i| i % 3 == 1) {
            pages.change(page_number(gone), |p| p.remove(gone));
        }
        let check = |series: u64, is_there: bool| {
            let page = pages.get(page_number(series)).unwrap();
            let page = page.lock();
            let found = page.labels(series).map(|l| l.resolve(&symbols.read()));
            assert_eq!(found, is_there.then(|| labels(series)), "{series}");
        };
        for tidy in [false, true] {
            (0..300).for_each(|i| check(i, i % 3 != 1));
            if !tidy {
                pages.all().iter().for_each(|(_, p)| p.lock().tidy());
            }
        }
        (0..300).filter(|i| i % 3 == 1).for_each(put);
        (0..300).for_each(|i| check(i, true));
    }

    #[test]
    fn the_newest_exemplar_is_known_again() {
        let pages = Pages::default();
        let exemplar = |id: &str, value: f64, timestamp_ms| Exemplar {
            labels: Labels::from_pairs([("id", id)]),
            value,
            timestamp_ms,
        };
        pages.change(0, |p| {
            p.put(1, SymbolSlice::from_bytes(&[]));
            let mut set = |e: Exemplar, t| p.set_exemplar(1, &e, t);
            assert!(set(exemplar("a", 1.0, Some(5)), 5));
            assert!(!set(exemplar("a", 1.0, Some(5)), 5));
            assert!(!set(exemplar("a", 1.0, None), 5), "of the same time");
            assert!(set(exemplar("a", 1.0, None), 6));
            assert!(!set(exemplar("a", 1.0, None), 7), "neither has a time of its own");
            assert!(set(exemplar("b", 1.0, None), 7));
            assert!(set(exemplar("b", f64::NAN, None), 7));
            assert!(set(exemplar("b", f64::NAN, None), 7), "no NaN is equal to another");
        });
    }
}
