//! An agent's series: found by labels or reference, made, and forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::symbols::{SymbolId, SymbolLabels, SymbolSlice, Symbols, SymbolsReader};
use model::{Labels, Metadata, TimestampMs};

use super::page::{PAGE_SERIES, Page, Pages, page_number};
use crate::counter::Counter;
use crate::head::index::{HashIndex, Shard};
use crate::metadata::SharedMetadata;
use crate::wal::Wal;

/// A series that has been forgotten, with what else was asked for.
pub(super) struct Forgotten {
    pub(super) series: u64,
    /// Empty where they were not asked for.
    pub(super) labels: Labels,
    pub(super) metadata: Option<Arc<Metadata>>,
}

/// All series. Order of locks: hash shard → symbols → page; the log's lock is taken last of all.
#[derive(Default)]
pub(super) struct SeriesTable {
    pub(super) symbols: Symbols,
    index: HashIndex,
    pub(super) pages: Pages,
    pub(super) metadata: SharedMetadata,
    last_ref: AtomicU64,
    pub(super) count: Counter,
}

impl SeriesTable {
    /// No new series gets a reference up to this.
    pub(super) fn raise_last_ref(&self, series: u64) {
        self.last_ref.fetch_max(series, Ordering::Relaxed);
    }

    pub(super) fn page_of(&self, series: u64) -> Option<Arc<Page>> {
        self.pages.get(page_number(series))
    }

    /// Whether there is such a series.
    pub(super) fn knows(&self, series: u64) -> bool {
        self.page_of(series).is_some_and(|p| p.lock().end_ms(series).is_some())
    }

    fn is_named(&self, series: u64, labels: &Labels, symbols: &SymbolsReader<'_>) -> bool {
        self.page_of(series)
            .is_some_and(|p| p.lock().labels(series).is_some_and(|l| l.equals(labels, symbols)))
    }

    /// The series of these labels.
    pub(super) fn find(&self, labels: &Labels) -> Option<u64> {
        let hash = labels.hash64();
        let shard = self.index.shard(hash);
        let symbols = self.symbols.read();
        shard.find(hash, |series| self.is_named(series, labels, &symbols))
    }

    /// The series of `labels`, made if there is none, and its page, which the caller holds once more from now on.
    pub(super) fn get_or_create(&self, labels: &Labels, wal: Option<&Wal>) -> (u64, Arc<Page>) {
        let hash = labels.hash64();
        let mut shard = self.index.shard(hash);
        {
            let symbols = self.symbols.read();
            let mut held = None;
            let found = shard.find(hash, |series| {
                let Some(page) = self.page_of(series) else { return false };
                let mut inner = page.lock();
                let is_it = inner.labels(series).is_some_and(|l| l.equals(labels, &symbols));
                if is_it {
                    inner.holds += 1;
                    held = Some(page.clone());
                }
                is_it
            });
            if let Some(found) = found.zip(held) {
                return found;
            }
        }
        let ids = SymbolLabels::intern(labels, &self.symbols);
        let series = self.last_ref.fetch_add(1, Ordering::Relaxed) + 1;
        // Queued before the shard is unlocked, so before anybody else can find the reference.
        if let Some(wal) = wal {
            wal.add_series(series, labels);
        }
        let page = self.insert(&mut shard, hash, series, ids.as_slice(), true);
        (series, page)
    }

    fn insert(
        &self,
        shard: &mut Shard,
        hash: u64,
        series: u64,
        ids: SymbolSlice<'_>,
        hold: bool,
    ) -> Arc<Page> {
        let page = self.pages.change(page_number(series), |page| {
            page.put(series, ids);
            page.holds += u32::from(hold);
        });
        shard.insert(hash, series);
        self.count.add(1);
        page
    }

    /// Makes the series that the log names, and takes over the counts of its symbols. Where there is one of these labels
    /// under another reference, that is returned; one of other labels under this reference gives way.
    pub(super) fn replay(&self, series: u64, hash: u64, ids: SymbolLabels) -> Option<u64> {
        let taken = self.page_of(series).and_then(|page| {
            let page = page.lock();
            page.labels(series)
                .filter(|there| *there != ids.as_slice())
                .map(|there| there.as_bytes().to_vec())
        });
        if let Some(there) = taken {
            let there = SymbolSlice::from_bytes(&there);
            self.take_out(series, there, |_| true);
            self.symbols.release(there.ids());
        }
        let mut shard = self.index.shard(hash);
        let found = shard.find(hash, |other| {
            self.page_of(other).is_some_and(|p| p.lock().labels(other) == Some(ids.as_slice()))
        });
        if found.is_some() {
            self.symbols.release(ids.ids());
            return found.filter(|name| *name != series);
        }
        self.insert(&mut shard, hash, series, ids.as_slice(), false);
        None
    }

    /// Takes a series of these labels out of index and page, if `may_go` says yes to the time of its last sample.
    fn take_out(
        &self,
        series: u64,
        ids: SymbolSlice<'_>,
        may_go: impl FnOnce(TimestampMs) -> bool,
    ) -> Option<Option<Arc<Metadata>>> {
        let hash = ids.resolve(&self.symbols.read()).hash64();
        let mut shard = self.index.shard(hash);
        let page = self.page_of(series)?;
        let mut page = page.lock();
        if page.holds > 0 || !may_go(page.end_ms(series)?) {
            return None;
        }
        let metadata = page.metadata(series).cloned();
        page.remove(series);
        shard.remove(hash, series);
        self.count.sub(1);
        Some(metadata)
    }

    /// Forgets the series whose last sample was before `mint_ms`, except those in pages that appenders hold: a sample
    /// on its way into the log would name a series that nobody knows.
    pub(super) fn forget(&self, mint_ms: TimestampMs, with_labels: bool) -> Vec<Forgotten> {
        let mut gone = Vec::new();
        let mut released: Vec<SymbolId> = Vec::new();
        for (number, page) in self.pages.all() {
            let old: Vec<(u64, Vec<u8>)> = {
                let page = page.lock();
                if page.holds > 0 {
                    continue;
                }
                let old = page.iter().filter(|(_, _, end_ms)| *end_ms < mint_ms);
                old.map(|(slot, ids, _)| (number * PAGE_SERIES + slot, ids.as_bytes().to_vec())).collect()
            };
            if old.is_empty() {
                continue;
            }
            for (series, ids) in old {
                let ids = SymbolSlice::from_bytes(&ids);
                let Some(metadata) = self.take_out(series, ids, |end_ms| end_ms < mint_ms) else { continue };
                let labels = if with_labels { ids.resolve(&self.symbols.read()) } else { Labels::empty() };
                gone.push(Forgotten { series, labels, metadata: metadata.filter(|_| with_labels) });
                released.extend(ids.ids());
            }
            page.lock().tidy();
        }
        let next = self.last_ref.load(Ordering::Relaxed) + 1;
        self.pages.retire_empty(page_number(next));
        self.symbols.release(released);
        self.symbols.reclaim();
        gone
    }
}
