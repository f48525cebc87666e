//! Pages of series: 128 consecutive references share a lock and lie together, so that a scrape,
//! whose series were made together, takes few locks and walks memory in order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::int_map::IntMap;
use model::TimestampMs;

use super::isolation::CommitSeq;
use super::series::Series;

/// References per page.
pub(crate) const PAGE_SERIES: u64 = 128;

/// What an older view still needs to know: before commit `seq`, the series in `slot` ended at
/// `end_ms`. Kept only while such a view is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldEnd {
    pub(crate) slot: u8,
    pub(crate) seq: CommitSeq,
    pub(crate) end_ms: TimestampMs,
}

/// What a page's lock guards.
pub(crate) struct PageInner {
    slots: Vec<Option<Box<Series>>>,
    pub(crate) live: usize,
    pub(crate) old_ends: Vec<OldEnd>,
    /// Set when the page has left the directory: nothing may be added any more.
    retired: bool,
}

impl PageInner {
    pub(crate) fn get(&self, series: u64) -> Option<&Series> {
        self.slots.get(slot(series))?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, series: u64) -> Option<&mut Series> {
        self.slots.get_mut(slot(series))?.as_deref_mut()
    }

    /// The series and the list of old ends, which an append changes together.
    pub(crate) fn parts(&mut self, series: u64) -> Option<(&mut Series, &mut Vec<OldEnd>)> {
        let Self { slots, old_ends, .. } = self;
        Some((slots.get_mut(slot(series))?.as_deref_mut()?, old_ends))
    }

    /// Whether the page has left the directory; another may have taken its place.
    pub(crate) fn retired(&self) -> bool {
        self.retired
    }

    fn put(&mut self, series: u64, s: Series) {
        let i = slot(series);
        if self.slots.len() <= i {
            self.slots.reserve_exact((i + 1).next_power_of_two().max(16) - self.slots.len());
            self.slots.resize_with(i + 1, || None);
        }
        self.live += usize::from(self.slots[i].is_none());
        self.slots[i] = Some(Box::new(s));
    }

    pub(crate) fn remove(&mut self, series: u64) -> Option<Box<Series>> {
        let gone = self.slots.get_mut(slot(series))?.take();
        self.live -= usize::from(gone.is_some());
        gone
    }

    /// Slot and series of each series here.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Series)> {
        self.slots.iter().enumerate().filter_map(|(i, s)| Some((i as u64, s.as_deref()?)))
    }

    /// As [`Self::iter`], to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Series)> {
        self.slots.iter_mut().enumerate().filter_map(|(i, s)| Some((i as u64, s.as_deref_mut()?)))
    }

    /// Up to when a view that sees `sees` may read the series, `None` for all of it.
    pub(crate) fn visible_end(&self, series: u64, sees: CommitSeq) -> Option<TimestampMs> {
        let s = self.get(series)?;
        if s.last_seq <= sees {
            return None;
        }
        let slot = slot(series) as u8;
        let hidden = self.old_ends.iter().filter(|o| o.slot == slot && o.seq > sees);
        let first = hidden.min_by_key(|o| o.seq).map(|o| o.end_ms);
        Some(first.unwrap_or(s.end_before_last_ms))
    }
}

/// The place of a reference within its page.
pub(crate) fn slot(series: u64) -> usize {
    (series % PAGE_SERIES) as usize
}

/// The page of a reference.
pub(crate) fn page_number(series: u64) -> u64 {
    series / PAGE_SERIES
}

/// 128 series under one lock.
pub(crate) struct Page(Mutex<PageInner>);

impl Page {
    fn new() -> Self {
        Self(Mutex::new(PageInner { slots: Vec::new(), live: 0, old_ends: Vec::new(), retired: false }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, PageInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All pages, by number.
#[derive(Default)]
pub(crate) struct Pages(RwLock<IntMap<u64, Arc<Page>>>);

impl Pages {
    pub(crate) fn get(&self, number: u64) -> Option<Arc<Page>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// Puts a new series in its place.
    pub(crate) fn put(&self, series: u64, s: Series) {
        let number = page_number(series);
        loop {
            let page = self.get(number).unwrap_or_else(|| {
                let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
                all.entry(number).or_insert_with(|| Arc::new(Page::new())).clone()
            });
            let mut inner = page.lock();
            if !inner.retired {
                inner.put(series, s);
                return;
            }
        }
    }

    /// Page numbers and pages in order.
    pub(crate) fn all(&self) -> Vec<(u64, Arc<Page>)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut pages: Vec<_> = all.iter().map(|(n, p)| (*n, p.clone())).collect();
        pages.sort_unstable_by_key(|(n, _)| *n);
        pages
    }

    /// Drops the pages below number `open_from` in which no series is left.
    pub(crate) fn retire_empty(&self, open_from: u64) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|number, page| {
            let mut inner = page.lock();
            inner.retired = inner.live == 0 && *number < open_from;
            !inner.retired
        });
    }
}
