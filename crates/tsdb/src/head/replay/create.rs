//! Making the series that the log names.

use std::sync::Mutex;

use model::TimestampMs;
use model::symbols::SymbolLabels;

use super::work::NamedSeries;
use super::{Mapped, Replay};
use crate::head::page::page_number;
use crate::head::series::Series;
use crate::head::{Head, lock};

/// Series are made in so many groups, by their labels' hash, whatever the number of threads.
const GROUPS: u64 = 8;

/// Fewer series than this, or in fewer pages, are made on one thread.
const MANY_SERIES: usize = 64;
const MANY_PAGES: usize = 4;

impl Replay<'_> {
    /// Makes the series of a record, or notes that they have one of these labels already.
    pub(super) fn series(&mut self, mut all: Vec<NamedSeries>) {
        self.highest_ref = all.iter().map(|s| s.series).fold(self.highest_ref, u64::max);
        let head = self.head;
        // Put into the pages in order, so that they lie in order, and only then into the index.
        let one_page = |a: &NamedSeries, b: &NamedSeries| page_number(a.series) == page_number(b.series);
        let pages: Vec<_> = all.chunk_by_mut(one_page).map(Mutex::new).collect();
        self.for_each(pages.len() >= MANY_PAGES, pages.len(), &|i| head.place(*lock(&pages[i])));
        drop(pages);
        self.replace(&mut all);
        // Index in `all` and name under which the series is known.
        let known = Mutex::new(Vec::new());
        let many = all.len() >= MANY_SERIES;
        let groups = if many { GROUPS } else { 1 };
        self.for_each(many, groups as usize, &|group| {
            // Equal labels have equal hashes, so they are in one group, and in order.
            let mine = all.iter().enumerate().filter(|(_, s)| (s.hash >> 32) % groups == group as u64);
            let found: Vec<_> = mine.filter_map(|(i, s)| Some((i, head.list(s)?))).collect();
            lock(&known).extend(found);
        });
        let mut known = std::mem::take(&mut *lock(&known));
        let made = (all.len() - known.len()) as u64;
        head.counters.series.add(made);
        head.counters.series_created.add(made);
        if !known.is_empty() {
            // What the log said about these series so far comes before what the new names have.
            self.apply();
            known.sort_unstable();
        }
        if known.is_empty() && self.mapped.is_empty() && self.late.is_empty() {
            return;
        }
        let mut known = known.into_iter().peekable();
        for (i, s) in all.iter().enumerate() {
            let name = known.next_if(|(at, _)| *at == i).map_or(s.series, |(_, name)| name);
            if name != s.series {
                self.other_names.insert(s.series, name);
                if let Some((chunks, _)) = self.mapped.get(&s.series) {
                    // The record of the other name must stay as long as its chunks.
                    let until = chunks.last().map_or(TimestampMs::MIN, |c| c.max_ms);
                    lock(&self.head.wal_expiries).insert(s.series, until);
                }
            }
            if let Some(chunks) = self.mapped.remove(&s.series) {
                self.attach(name, chunks);
            }
            if let Some(chunks) = self.late.remove(&s.series) {
                self.head.attach_late(name, chunks);
            }
        }
    }

    /// Where the log gives a reference to a second series, that takes the place of the first.
    fn replace(&mut self, all: &mut [NamedSeries]) {
        let head = self.head;
        let taken = |s: &NamedSeries| s.labels.as_ref().is_some_and(|l| *l != head.symbols_of(s.series));
        let at: Vec<usize> = (0..all.len()).filter(|i| taken(&all[*i])).collect();
        if at.is_empty() {
            return;
        }
        // What the log said so far is the first one's.
        self.apply();
        for i in at {
            self.remove_series(all[i].series);
            head.place(&mut all[i..=i]);
        }
    }

    fn for_each(&self, many: bool, n: usize, f: &(dyn Fn(usize) + Sync)) {
        if many { self.context.spawn.for_each(n, f) } else { (0..n).for_each(f) }
    }

    /// Gives a series the full chunks found under one of its names.
    pub(super) fn attach(&mut self, series: u64, (mut chunks, kind): Mapped) {
        let (Some(first), Some(last)) = (chunks.first().copied(), chunks.last().copied()) else { return };
        let Some(page) = self.head.page_of(series) else { return };
        let mut page = page.lock();
        let Some(s) = page.get_mut(series) else { return };
        if let Some(full) = s.take_open() {
            // Its samples are in the chunks, or before them.
            if full.max_ms < first.min_ms {
                self.head.keep_full(series, s, Some(full));
            }
        }
        let counters = &self.head.counters;
        counters.chunks.add(chunks.len() as u64);
        counters.chunks_created.add(chunks.len() as u64);
        // Those of another name of the series may lie before, behind or between these.
        let newest = s.mapped.last().is_none_or(|m| m.max_ms < last.max_ms);
        s.mapped.append(&mut chunks);
        s.mapped.sort_unstable_by_key(|m| m.min_ms);
        s.mapped.shrink_to_fit();
        if newest {
            s.set_kind(kind);
        }
        if let Some(w) = s.mapped.windows(2).find(|w| w[0].max_ms >= w[1].min_ms) {
            let why = format!(
                "m-mapped chunks overlap on a duplicate series record: series ref {series}, [{}, {}] and [{}, {}]",
                w[0].min_ms, w[0].max_ms, w[1].min_ms, w[1].max_ms
            );
            self.overlap.get_or_insert(why);
        }
        self.head.widen(first.min_ms, last.max_ms);
    }

    /// Takes a series out, with all that it has.
    pub(super) fn remove_series(&self, series: u64) {
        let head = self.head;
        let Some(page) = head.page_of(series) else { return };
        let Some(gone) = page.lock().remove(series) else { return };
        let hash = gone.labels.resolve(&head.symbols.read()).hash64();
        head.index.shard(hash).remove(hash, series);
        head.symbols.release(gone.labels.ids());
        // Its record must stay as long as its samples are in the log.
        let until = gone.end_ms().unwrap_or(TimestampMs::MIN);
        let mut expiries = lock(&head.wal_expiries);
        let kept = expiries.entry(series).or_insert(until);
        *kept = until.max(*kept);
        drop(expiries);
        head.counters.series.sub(1);
        head.counters.series_removed.add(1);
        head.counters.chunks.sub(gone.num_chunks() as u64);
        head.counters.chunks_removed.add(gone.num_chunks() as u64);
    }
}

impl Head {
    /// Puts series of one page into it. Those whose places are taken keep their labels.
    fn place(&self, all: &mut [NamedSeries]) {
        let Some(first) = all.first() else { return };
        self.pages.with(page_number(first.series), |page| {
            for s in all {
                if page.get(s.series).is_none()
                    && let Some(labels) = s.labels.take()
                {
                    page.put(s.series, Series::new(labels));
                }
            }
        });
    }

    /// Makes a series known by its labels, without postings, unless there is one of these labels: its
    /// name is returned, and what was placed is taken out again.
    fn list(&self, s: &NamedSeries) -> Option<u64> {
        let mut shard = self.index.shard(s.hash);
        let mut labels = s.labels.clone();
        let known = shard.find(s.hash, |series| {
            let labels = labels.get_or_insert_with(|| self.symbols_of(s.series));
            self.page_of(series).is_some_and(|p| p.lock().get(series).is_some_and(|s| s.labels == *labels))
        });
        match (known, &s.labels) {
            (None, _) => shard.insert(s.hash, s.series),
            (Some(_), None) => {
                if let Some(gone) = self.page_of(s.series).and_then(|p| p.lock().remove(s.series)) {
                    self.symbols.release(gone.labels.ids());
                }
            }
            (Some(_), Some(labels)) => self.symbols.release(labels.ids()),
        }
        known
    }

    fn symbols_of(&self, series: u64) -> SymbolLabels {
        let page = self.page_of(series);
        page.and_then(|p| Some(p.lock().get(series)?.labels.clone())).unwrap_or_default()
    }
}
