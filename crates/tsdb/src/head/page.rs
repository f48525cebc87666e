//! Pages of series: 128 consecutive references share a lock and lie together, so that a scrape,
//! whose series were made together, takes few locks and walks memory in order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

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

/// Marks a slot without series.
const NONE: u8 = u8::MAX;

/// What a page's lock guards. Series lie together, in the order in which they came.
pub(crate) struct PageInner {
    /// Where in `series` each slot's series is, or [`NONE`].
    places: [u8; PAGE_SERIES as usize],
    series: Vec<Series>,
    /// The slot of each of `series`.
    slots: Vec<u8>,
    pub(crate) old_ends: Vec<OldEnd>,
    /// Set when the page has left the directory: nothing may be added any more.
    retired: bool,
}

impl PageInner {
    #[inline]
    fn place(&self, series: u64) -> usize {
        usize::from(self.places[slot(series)])
    }

    #[inline]
    pub(crate) fn get(&self, series: u64) -> Option<&Series> {
        self.series.get(self.place(series))
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, series: u64) -> Option<&mut Series> {
        let place = self.place(series);
        self.series.get_mut(place)
    }

    /// Asks for the memory that the next sample of a series goes to.
    #[inline]
    pub(crate) fn prefetch(&self, series: u64) {
        if let Some(open) = self.get(series).and_then(|s| s.open.as_ref()) {
            open.prefetch();
        }
    }

    /// The series and the list of old ends, which an append changes together.
    #[inline]
    pub(crate) fn parts(&mut self, series: u64) -> Option<(&mut Series, &mut Vec<OldEnd>)> {
        let place = self.place(series);
        let Self { series, old_ends, .. } = self;
        Some((series.get_mut(place)?, old_ends))
    }

    /// Whether the page has left the directory; another may have taken its place.
    pub(crate) fn retired(&self) -> bool {
        self.retired
    }

    /// Puts a new series in its place, in the place of one that is there.
    pub(crate) fn put(&mut self, series: u64, s: Series) {
        let slot = slot(series);
        if let Some(there) = self.get_mut(series) {
            *there = s;
            return;
        }
        if self.series.len() == self.series.capacity() {
            let more = self.series.len().clamp(8, PAGE_SERIES as usize - self.series.len());
            self.series.reserve_exact(more);
            self.slots.reserve_exact(more);
        }
        self.places[slot] = self.series.len() as u8;
        self.series.push(s);
        self.slots.push(slot as u8);
    }

    pub(crate) fn remove(&mut self, series: u64) -> Option<Series> {
        let place = self.place(series);
        if place >= self.series.len() {
            return None;
        }
        let gone = self.series.swap_remove(place);
        self.slots.swap_remove(place);
        self.places[slot(series)] = NONE;
        if let Some(moved) = self.slots.get(place) {
            self.places[usize::from(*moved)] = place as u8;
        }
        if self.series.len() < self.series.capacity() / 4 {
            self.series.shrink_to_fit();
            self.slots.shrink_to_fit();
        }
        Some(gone)
    }

    /// Slot and series of each series here, in order of slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Series)> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(i, p)| Some((i as u64, self.series.get(usize::from(*p))?)))
    }

    /// As [`Self::iter`], to change them; in no order.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Series)> {
        self.slots.iter().map(|s| u64::from(*s)).zip(&mut self.series)
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
        let places = [NONE; PAGE_SERIES as usize];
        let (series, slots, old_ends) = (Vec::new(), Vec::new(), Vec::new());
        Self(Mutex::new(PageInner { places, series, slots, old_ends, retired: false }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, PageInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Pages::read`].
pub(crate) struct PagesReader<'a>(RwLockReadGuard<'a, IntMap<u64, Arc<Page>>>);

impl PagesReader<'_> {
    pub(crate) fn get(&self, number: u64) -> Option<&Page> {
        self.0.get(&number).map(|page| &**page)
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
        self.with(page_number(series), |page| page.put(series, s));
    }

    /// Changes the page of this number, made if there is none.
    pub(crate) fn with<R>(&self, number: u64, change: impl FnOnce(&mut PageInner) -> R) -> R {
        loop {
            let page = self.get(number).unwrap_or_else(|| {
                let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
                all.entry(number).or_insert_with(|| Arc::new(Page::new())).clone()
            });
            let mut inner = page.lock();
            if !inner.retired {
                return change(&mut inner);
            }
        }
    }

    /// Looks many pages up under one lock; pages cannot be added meanwhile.
    pub(crate) fn read(&self) -> PagesReader<'_> {
        PagesReader(self.0.read().unwrap_or_else(PoisonError::into_inner))
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
            inner.retired = inner.series.is_empty() && *number < open_from;
            !inner.retired
        });
    }
}
