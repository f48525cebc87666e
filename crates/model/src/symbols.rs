//! Interned strings: each label name and value of the head is kept once, however many series have
//! it, and given back when the last of them goes. Knows nothing about series.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::Labels;

/// A string's number in one [`Symbols`]. Numbers of strings that have gone are given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(pub u32);

struct Entry {
    /// `None` while the place is free.
    text: Option<Box<str>>,
    refs: AtomicU32,
}

#[derive(Default)]
struct Inner {
    entries: Vec<Entry>,
    table: HashTable<u32>,
    free: Vec<u32>,
    text_bytes: usize,
}

impl Inner {
    fn find(&self, text: &str) -> Option<u32> {
        self.table.find(xxh3_64(text.as_bytes()), |id| self.text(*id) == text).copied()
    }

    fn text(&self, id: u32) -> &str {
        self.entries.get(id as usize).and_then(|e| e.text.as_deref()).unwrap_or("")
    }

    fn insert(&mut self, text: &str) -> u32 {
        if let Some(id) = self.find(text) {
            self.entries[id as usize].refs.fetch_add(1, Ordering::Relaxed);
            return id;
        }
        self.text_bytes += text.len();
        let entry = Entry { text: Some(text.into()), refs: AtomicU32::new(1) };
        let id = if let Some(id) = self.free.pop() {
            self.entries[id as usize] = entry;
            id
        } else {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).expect("2^32 distinct strings do not fit into memory")
        };
        let Self { entries, table, .. } = self;
        table.insert_unique(xxh3_64(text.as_bytes()), id, |id| {
            let text = entries.get(*id as usize).and_then(|e| e.text.as_deref()).unwrap_or("");
            xxh3_64(text.as_bytes())
        });
        id
    }
}

/// A table of counted strings, shared by threads. Finding an existing string takes a read lock.
#[derive(Default)]
pub struct Symbols {
    inner: RwLock<Inner>,
    /// Symbols whose count has been seen at zero; they may have been taken up again since.
    dead: Mutex<Vec<u32>>,
}

impl Symbols {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of `text`, which is counted once more.
    pub fn intern(&self, text: &str) -> SymbolId {
        {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(id) = inner.find(text) {
                inner.entries[id as usize].refs.fetch_add(1, Ordering::Relaxed);
                return SymbolId(id);
            }
        }
        SymbolId(self.inner.write().unwrap_or_else(PoisonError::into_inner).insert(text))
    }

    /// Gives back one count each. The strings stay until [`Self::reclaim`].
    pub fn release(&self, ids: impl IntoIterator<Item = SymbolId>) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        for SymbolId(id) in ids {
            let was = inner.entries[id as usize].refs.fetch_sub(1, Ordering::Relaxed);
            debug_assert!(was > 0, "a symbol was released more often than interned");
            if was == 1 {
                dead.push(id);
            }
        }
    }

    /// Forgets the strings that nobody counts any more; returns how many there were.
    pub fn reclaim(&self) -> usize {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let dead = std::mem::take(&mut *self.dead.lock().unwrap_or_else(PoisonError::into_inner));
        let mut gone = 0;
        for id in dead {
            let entry = &mut inner.entries[id as usize];
            if *entry.refs.get_mut() != 0 {
                continue;
            }
            let Some(text) = entry.text.take() else { continue };
            if let Ok(found) = inner.table.find_entry(xxh3_64(text.as_bytes()), |other| *other == id) {
                found.remove();
            }
            inner.text_bytes -= text.len();
            inner.free.push(id);
            gone += 1;
        }
        gone
    }

    /// Reads many strings under one lock. Strings cannot be added or reclaimed meanwhile.
    pub fn read(&self) -> SymbolsReader<'_> {
        SymbolsReader(self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Distinct strings in the table, and the bytes of their text.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        (inner.table.len(), inner.text_bytes)
    }
}

/// See [`Symbols::read`].
pub struct SymbolsReader<'a>(RwLockReadGuard<'a, Inner>);

impl SymbolsReader<'_> {
    /// The string of `id`, "" for a number that is not in use.
    #[must_use]
    pub fn get(&self, id: SymbolId) -> &str {
        self.0.text(id.0)
    }

    /// The number of `text`, if it is in the table; it is not counted.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<SymbolId> {
        self.0.find(text).map(SymbolId)
    }
}

/// The numbers of a label set's names and values, LEB128 in turn, in order of name: about four
/// bytes a label. Counts are the table's business: [`Self::intern`] takes them, and whoever drops
/// the set must give them back with [`Symbols::release`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolLabels(Box<[u8]>);

impl SymbolLabels {
    /// Interns all names and values of `labels`.
    #[must_use]
    pub fn intern(labels: &Labels, symbols: &Symbols) -> Self {
        let mut buf = Vec::with_capacity(64);
        for (n, v) in labels {
            push_varint(&mut buf, symbols.intern(n).0);
            push_varint(&mut buf, symbols.intern(v).0);
        }
        Self(buf.into_boxed_slice())
    }

    /// Name and value of each label, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (SymbolId, SymbolId)> + '_ {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let n = take_varint(&mut rest);
            let v = take_varint(&mut rest);
            Some((SymbolId(n), SymbolId(v)))
        })
    }

    /// All numbers, names and values alike, as often as they are counted.
    pub fn ids(&self) -> impl Iterator<Item = SymbolId> + '_ {
        self.iter().flat_map(|(n, v)| [n, v])
    }

    /// The label set in full.
    #[must_use]
    pub fn resolve(&self, symbols: &SymbolsReader<'_>) -> Labels {
        Labels::from_sorted(self.iter().map(|(n, v)| (symbols.get(n), symbols.get(v))))
    }

    /// Whether this is `labels`.
    #[must_use]
    pub fn equals(&self, labels: &Labels, symbols: &SymbolsReader<'_>) -> bool {
        let mut mine = self.iter();
        labels
            .iter()
            .all(|(n, v)| mine.next().is_some_and(|(a, b)| symbols.get(a) == n && symbols.get(b) == v))
            && mine.next().is_none()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

fn push_varint(buf: &mut Vec<u8>, mut n: u32) {
    while n >= 0x80 {
        buf.push((n as u8) | 0x80);
        n >>= 7;
    }
    buf.push(n as u8);
}

fn take_varint(rest: &mut &[u8]) -> u32 {
    let (mut n, mut shift) = (0, 0);
    while let Some((&b, tail)) = rest.split_first() {
        *rest = tail;
        n |= u32::from(b & 0x7f) << shift;
        if b < 0x80 {
            break;
        }
        shift += 7;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_live_as_long_as_they_are_counted() {
        let s = Symbols::new();
        let a = s.intern("a");
        assert_eq!(s.intern("a"), a);
        let b = s.intern("b");
        assert_ne!(a, b);
        s.release([a, b]);
        assert_eq!(s.reclaim(), 1);
        assert_eq!(s.read().get(a), "a");
        assert_eq!(s.read().find("b"), None);
        assert_eq!(s.size(), (1, 1));
        // Zero and back again: still there, once.
        s.release([a]);
        assert_eq!(s.intern("a"), a);
        assert_eq!(s.reclaim(), 0);
        s.release([a]);
        assert_eq!(s.reclaim(), 1);
        assert_eq!(s.intern("c"), a, "places are used again");
        assert_eq!(s.read().get(a), "c");
    }

    #[test]
    fn label_sets_round_trip() {
        let s = Symbols::new();
        for i in 0..300 {
            s.intern(&format!("filler{i}"));
        }
        let l = Labels::from_pairs([("__name__", "up"), ("job", "a"), ("zone", "up")]);
        let ids = SymbolLabels::intern(&l, &s);
        assert_eq!(ids.resolve(&s.read()), l);
        assert!(ids.equals(&l, &s.read()));
        for other in [
            Labels::from_pairs([("__name__", "up"), ("job", "a")]),
            Labels::from_pairs([("__name__", "up"), ("job", "b"), ("zone", "up")]),
            Labels::from_pairs([("__name__", "up"), ("job", "a"), ("zone", "up"), ("zz", "1")]),
        ] {
            assert!(!ids.equals(&other, &s.read()), "{other}");
        }
        s.release(ids.ids());
        assert_eq!(s.reclaim(), 5);
    }
}
