//! What a target remembers of its series between scrapes.
//!
//! The key is the series' text as it stands in the body, compared whole. Scrapes repeat in the
//! same order, so the text is first compared with what followed last time; only where that fails is
//! it hashed. A hit that no longer names a series in the database is parsed again.

use std::collections::HashSet;

use hashbrown::HashTable;
use model::SeriesRef;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::start::Start;

const NONE: u32 = u32::MAX;

/// Entries beyond twice those of the last good scrape that failed scrapes may leave behind.
const LEFTOVER_ENTRIES_MAX: usize = 1000;

/// The number of an entry; valid until the next [`SeriesCache::end_scrape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(u32);

struct Entry {
    key: Box<[u8]>,
    /// [`SeriesRef::NONE`]: relabelling dropped it.
    series: SeriesRef,
    /// The entry that followed in the last scrape.
    next: u32,
    /// The scrape that last had it.
    seen: u32,
    /// The scrape that last had it without a timestamp of its own.
    tracked: u32,
    live: bool,
}

/// Series by their text, with what is needed to notice their end.
pub(super) struct SeriesCache {
    entries: Vec<Entry>,
    free: Vec<u32>,
    table: HashTable<u32>,
    seed: u64,
    scrape: u32,
    /// The entry before the one looked for next; `NONE` at the start of a body.
    cursor: u32,
    first: u32,
    current: Vec<u32>,
    previous: Vec<u32>,
    good_count: usize,
    /// By entry, with the feature `st-synthesis`; without it there is none.
    starts: Vec<Option<Box<Start>>>,
}

impl SeriesCache {
    /// An empty cache; `seed` makes its hashes unpredictable.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            seed,
            scrape: 1,
            cursor: NONE,
            first: NONE,
            current: Vec::new(),
            previous: Vec::new(),
            good_count: 0,
            starts: Vec::new(),
        }
    }

    /// Forgets the texts, because they now mean something else; the series stay due for a stale
    /// marker unless they come again.
    pub(super) fn forget_texts(&mut self) {
        self.table.clear();
        for e in &mut self.entries {
            e.next = NONE;
            e.key = Box::default();
        }
        self.first = NONE;
        self.cursor = NONE;
    }

    /// The text that followed the last one in the scrape before; empty where nothing is known.
    #[inline]
    pub(super) fn expected(&self) -> &[u8] {
        let next = match self.entries.get(self.cursor as usize) {
            Some(e) => e.next,
            None => self.first,
        };
        self.entries.get(next as usize).map_or(&[], |e| &e.key)
    }

    /// The entry of `key`, if the cache has it.
    #[inline]
    pub(super) fn lookup(&mut self, key: &[u8]) -> Option<EntryId> {
        let expected = if self.cursor == NONE { self.first } else { self.entries[self.cursor as usize].next };
        if let Some(e) = self.entries.get(expected as usize)
            && *e.key == *key
            && e.live
        {
            self.cursor = expected;
            return Some(EntryId(expected));
        }
        let hash = xxh3_64_with_seed(key, self.seed);
        let found = *self.table.find(hash, |i| *self.entries[*i as usize].key == *key)?;
        self.follow(found);
        Some(EntryId(found))
    }

    fn follow(&mut self, id: u32) {
        match self.entries.get_mut(self.cursor as usize) {
            Some(e) => e.next = id,
            None => self.first = id,
        }
        self.cursor = id;
    }

    /// Adds a text that `lookup` did not find. `SeriesRef::NONE` stands for "dropped".
    pub(super) fn insert(&mut self, key: &[u8], series: SeriesRef) -> EntryId {
        let entry = Entry { key: key.into(), series, next: NONE, seen: 0, tracked: 0, live: true };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("a body is bounded below 2^32 lines")
            }
        };
        let (entries, seed) = (&self.entries, self.seed);
        self.table.insert_unique(xxh3_64_with_seed(key, seed), id, |i| {
            xxh3_64_with_seed(&entries[*i as usize].key, seed)
        });
        self.follow(id);
        EntryId(id)
    }

    /// The series of an entry; `None` where relabelling dropped it.
    #[inline]
    pub(super) fn series(&self, id: EntryId) -> Option<SeriesRef> {
        let s = self.entries[id.0 as usize].series;
        (!s.is_none()).then_some(s)
    }

    /// Gives an entry the reference its series has now.
    pub(super) fn set_series(&mut self, id: EntryId, series: SeriesRef) {
        self.entries[id.0 as usize].series = series;
    }

    /// Takes what is remembered of the series' start.
    pub(super) fn take_start(&mut self, id: EntryId) -> Option<Box<Start>> {
        self.starts.get_mut(id.0 as usize)?.take()
    }

    /// Remembers how the series started.
    pub(super) fn set_start(&mut self, id: EntryId, start: Box<Start>) {
        let at = id.0 as usize;
        if at >= self.starts.len() {
            self.starts.resize_with(at + 1, || None);
        }
        self.starts[at] = Some(start);
    }

    /// Notes that this scrape has the entry; returns whether it had it before.
    #[inline]
    pub(super) fn see(&mut self, id: EntryId) -> bool {
        let e = &mut self.entries[id.0 as usize];
        let again = e.seen == self.scrape;
        e.seen = self.scrape;
        again
    }

    /// Notes that the entry's series is to be marked stale when it does not come again.
    #[inline]
    pub(super) fn track(&mut self, id: EntryId) {
        let e = &mut self.entries[id.0 as usize];
        if e.tracked != self.scrape {
            e.tracked = self.scrape;
            self.current.push(id.0);
        }
    }

    /// The series that the scrape before had and this one has not.
    pub(super) fn gone(&self) -> Vec<SeriesRef> {
        let missing = self.previous.iter().filter(|i| self.entries[**i as usize].tracked != self.scrape);
        let mut out: Vec<SeriesRef> = missing.map(|i| self.entries[*i as usize].series).collect();
        if !out.is_empty() && !self.current.is_empty() {
            // Another text may now stand for the same series.
            let kept: HashSet<SeriesRef> =
                self.current.iter().map(|i| self.entries[*i as usize].series).collect();
            out.retain(|s| !kept.contains(s));
        }
        out
    }

    /// Forgets what the current, failed scrape has seen; all of the last one counts as gone.
    pub(super) fn abandon(&mut self) {
        for i in &self.current {
            self.entries[*i as usize].tracked = 0;
        }
        self.current.clear();
        self.cursor = NONE;
    }

    /// Ends a scrape. A good one drops the entries that it did not have, as does a run of failed
    /// ones that leaves too many; returns whether the latter happened.
    pub(super) fn end_scrape(&mut self, good: bool) -> bool {
        let count = self.entries.len() - self.free.len();
        let forced = !good && count > self.good_count * 2 + LEFTOVER_ENTRIES_MAX;
        if good || forced {
            self.sweep();
            if good {
                self.good_count = self.entries.len() - self.free.len();
            }
        }
        std::mem::swap(&mut self.previous, &mut self.current);
        self.current.clear();
        self.cursor = NONE;
        self.scrape = self.scrape.wrapping_add(1).max(1);
        forced
    }

    fn sweep(&mut self) {
        let (scrape, seed) = (self.scrape, self.seed);
        if self.entries.iter().all(|e| !e.live || e.seen == scrape) {
            return;
        }
        for i in 0..self.entries.len() {
            let e = &mut self.entries[i];
            if !e.live || e.seen == scrape {
                continue;
            }
            e.live = false;
            if let Some(start) = self.starts.get_mut(i) {
                *start = None;
            }
            let hash = xxh3_64_with_seed(&e.key, seed);
            e.key = Box::default();
            let id = u32::try_from(i).expect("a body is bounded below 2^32 lines");
            if let Ok(found) = self.table.find_entry(hash, |j| *j == id) {
                found.remove();
            }
            self.free.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(c: &mut SeriesCache, keys: &[&str]) -> Vec<u64> {
        for k in keys {
            let id = c.lookup(k.as_bytes()).unwrap_or_else(|| {
                let n = k.bytes().fold(0u64, |a, b| a * 31 + u64::from(b));
                c.insert(k.as_bytes(), SeriesRef(n))
            });
            c.see(id);
            c.track(id);
        }
        let mut gone: Vec<u64> = c.gone().iter().map(|s| s.0).collect();
        gone.sort_unstable();
        c.end_scrape(true);
        gone
    }

    #[test]
    fn what_leaves_is_gone_once() {
        let mut c = SeriesCache::new(7);
        assert!(scrape(&mut c, &["a", "b", "c"]).is_empty());
        assert!(scrape(&mut c, &["c", "a", "b"]).is_empty());
        assert_eq!(scrape(&mut c, &["a", "c"]), [u64::from(b'b')]);
        assert!(scrape(&mut c, &["a", "c"]).is_empty());
        assert!(scrape(&mut c, &["x", "a", "c"]).is_empty());
        assert_eq!(scrape(&mut c, &[]).len(), 3);
        assert!(scrape(&mut c, &["a"]).is_empty());
    }

    #[test]
    fn another_text_for_the_same_series_keeps_it_alive() {
        let mut c = SeriesCache::new(7);
        let a = c.insert(b"m{a,b}", SeriesRef(5));
        c.see(a);
        c.track(a);
        c.end_scrape(true);
        let b = c.insert(b"m{b,a}", SeriesRef(5));
        c.see(b);
        c.track(b);
        assert!(c.gone().is_empty());
    }

    #[test]
    fn a_failed_scrape_ends_everything_and_keeps_the_texts() {
        let mut c = SeriesCache::new(7);
        scrape(&mut c, &["a", "b"]);
        let a = c.lookup(b"a").unwrap();
        c.see(a);
        c.track(a);
        c.abandon();
        assert_eq!(c.gone().len(), 2);
        c.end_scrape(false);
        assert!(c.lookup(b"b").is_some());
    }

    #[test]
    fn failed_scrapes_cannot_fill_memory() {
        let mut c = SeriesCache::new(7);
        scrape(&mut c, &["a"]);
        let mut forced = 0;
        for round in 0..20 {
            for i in 0..500 {
                let key = format!("m{round}_{i}");
                let id = c.insert(key.as_bytes(), SeriesRef(1));
                c.see(id);
            }
            c.abandon();
            forced += usize::from(c.end_scrape(false));
            assert!(c.table.len() <= LEFTOVER_ENTRIES_MAX + 502);
        }
        assert!(forced > 0);
    }
}
