//! Interned strings: each label name and value of the head is kept once, however many series have
//! it, and given back when the last of them goes. Knows nothing about series.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::Labels;
use crate::labels::EncodedLabels;

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
        self.find_hashed(xxh3_64(text.as_bytes()), text.as_bytes())
    }

    fn find_hashed(&self, hash: u64, text: &[u8]) -> Option<u32> {
        self.table.find(hash, |id| self.text(*id).as_bytes() == text).copied()
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

    /// The number of `text`, which is valid UTF-8 of this hash, counted `n` times more.
    fn intern_hashed(&self, hash: u64, text: &[u8], n: u32) -> u32 {
        {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(id) = inner.find_hashed(hash, text) {
                inner.entries[id as usize].refs.fetch_add(n, Ordering::Relaxed);
                return id;
            }
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let text = std::str::from_utf8(text).expect("the bytes of checked labels are UTF-8");
        let id = inner.insert(text);
        *inner.entries[id as usize].refs.get_mut() += n - 1;
        id
    }

    /// Counts a string, which is counted already, `n` times more.
    fn count(&self, id: u32, n: u32) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.entries[id as usize].refs.fetch_add(n, Ordering::Relaxed);
    }

    /// Gives back `n` ≥ 1 counts of a string.
    fn give_back(&self, id: u32, n: u32) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        if inner.entries[id as usize].refs.fetch_sub(n, Ordering::Relaxed) == n {
            self.dead.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        }
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

/// Places of an [`Interner`], a power of two.
const KNOWN: usize = 1024;

/// Counts that an [`Interner`] takes ahead for a string that comes again and again.
const AHEAD_MAX: u32 = 256;

/// Interns the label sets of many series that resemble each other: what came lately is found without
/// a lock, and is counted many times at once. Counts taken in vain are given back when it is dropped.
pub struct Interner<'a> {
    symbols: &'a Symbols,
    /// By the low bits of the string's hash.
    known: Vec<Option<Known>>,
    encoded: Vec<u8>,
}

struct Known {
    text: Box<[u8]>,
    id: u32,
    /// Counts taken and not yet given out: at least one, which keeps the string in the table.
    spare: u32,
    /// How many to take when they run out.
    ahead: u32,
}

impl<'a> Interner<'a> {
    /// One that knows no string yet.
    #[must_use]
    pub fn new(symbols: &'a Symbols) -> Self {
        let known = std::iter::repeat_with(|| None).take(KNOWN).collect();
        Self { symbols, known, encoded: Vec::with_capacity(64) }
    }

    /// Interns all names and values of a label set.
    pub fn intern(&mut self, labels: EncodedLabels<'_>) -> SymbolLabels {
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        for text in labels.texts() {
            push_varint(&mut encoded, self.id(text));
        }
        let labels = SymbolLabels(encoded.as_slice().into());
        self.encoded = encoded;
        labels
    }

    fn id(&mut self, text: &[u8]) -> u32 {
        let hash = xxh3_64(text);
        let place = &mut self.known[hash as usize % KNOWN];
        if let Some(known) = place.as_mut().filter(|k| *k.text == *text) {
            if known.spare == 1 {
                self.symbols.count(known.id, known.ahead);
                known.spare += known.ahead;
                known.ahead = (known.ahead * 2).min(AHEAD_MAX);
            }
            known.spare -= 1;
            return known.id;
        }
        if let Some(old) = place.take() {
            self.symbols.give_back(old.id, old.spare);
        }
        // One to give out and one to keep.
        let id = self.symbols.intern_hashed(hash, text, 2);
        *place = Some(Known { text: text.into(), id, spare: 1, ahead: 4 });
        id
    }
}

impl Drop for Interner<'_> {
    fn drop(&mut self) {
        for known in self.known.drain(..).flatten() {
            self.symbols.give_back(known.id, known.spare);
        }
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// The same, borrowed.
    #[must_use]
    pub fn as_slice(&self) -> SymbolSlice<'_> {
        SymbolSlice(&self.0)
    }

    /// Name and value of each label, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (SymbolId, SymbolId)> + '_ {
        self.as_slice().iter()
    }

    /// All numbers, names and values alike, as often as they are counted.
    pub fn ids(&self) -> impl Iterator<Item = SymbolId> + '_ {
        self.as_slice().ids()
    }

    /// The label set in full.
    #[must_use]
    pub fn resolve(&self, symbols: &SymbolsReader<'_>) -> Labels {
        self.as_slice().resolve(symbols)
    }

    /// Whether this is `labels`.
    #[must_use]
    pub fn equals(&self, labels: &Labels, symbols: &SymbolsReader<'_>) -> bool {
        self.as_slice().equals(labels, symbols)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

/// [`SymbolLabels`] in memory that somebody else owns, such as that of many series together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolSlice<'a>(&'a [u8]);

impl<'a> SymbolSlice<'a> {
    /// From what [`Self::as_bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The numbers as they are encoded.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Name and value of each label, in order of name.
    pub fn iter(self) -> impl Iterator<Item = (SymbolId, SymbolId)> + 'a {
        let mut rest = self.0;
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
    pub fn ids(self) -> impl Iterator<Item = SymbolId> + 'a {
        self.iter().flat_map(|(n, v)| [n, v])
    }

    /// The label set in full.
    #[must_use]
    pub fn resolve(self, symbols: &SymbolsReader<'_>) -> Labels {
        Labels::from_sorted(self.iter().map(|(n, v)| (symbols.get(n), symbols.get(v))))
    }

    /// Whether this is `labels`.
    #[must_use]
    pub fn equals(self, labels: &Labels, symbols: &SymbolsReader<'_>) -> bool {
        let mut mine = self.iter();
        labels
            .iter()
            .all(|(n, v)| mine.next().is_some_and(|(a, b)| symbols.get(a) == n && symbols.get(b) == v))
            && mine.next().is_none()
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
    fn an_interner_counts_what_it_gives_out() {
        let s = Symbols::new();
        let before = s.intern("job");
        let sets: Vec<Labels> = (0..3000)
            .map(|i| {
                let (many, few) = (format!("{i}"), format!("{}", i % 7));
                Labels::from_pairs([("job", "a"), ("many", many.as_str()), ("few", few.as_str())])
            })
            .collect();
        let mut interner = Interner::new(&s);
        let mut ids: Vec<SymbolLabels> = sets.iter().map(|l| interner.intern(l.encoded())).collect();
        for (l, ids) in sets.iter().zip(&ids) {
            assert_eq!(ids, &SymbolLabels::intern(l, &s), "the same numbers");
            s.release(ids.ids());
        }
        // Some go while the interner still knows their strings.
        ids.drain(..2000).for_each(|ids| s.release(ids.ids()));
        s.reclaim();
        let more: Vec<SymbolLabels> = sets[..10].iter().map(|l| interner.intern(l.encoded())).collect();
        for (l, ids) in sets[..10].iter().zip(&more).chain(sets[2000..].iter().zip(&ids)) {
            assert_eq!(&ids.resolve(&s.read()), l);
        }
        drop(interner);
        more.iter().chain(&ids).for_each(|ids| s.release(ids.ids()));
        s.reclaim();
        assert_eq!(s.size(), (1, 3), "all but the first are gone");
        s.release([before]);
        assert_eq!(s.reclaim(), 1);
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
