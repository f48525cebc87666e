//! From what a receiver is told of a series, as bytes, to its reference.
//!
//! Of remote write the key is the labels in the encoding of 1.0, for 2.0 resolved from the symbols:
//! never symbol numbers, which mean something else in each request. Of OTLP it is a chain of hashes over
//! settings, resource, scope and metric, and the attributes. Of the key only a 128-bit hash
//! under a secret of this process is kept, so an entry takes 24 bytes however long the labels are,
//! and nobody outside can make two keys meet. A reference is never used twice, so an entry that
//! outlives its series names nothing, and the labels are parsed again.
//!
//! Open addressing with linear probing in segments that grow one by one: no moment at which all of
//! it is there twice.

use model::SeriesRef;
use xxhash_rust::xxh3::xxh3_128_with_secret;

/// Bytes of the secret; XXH3 asks for 136 at least.
const SECRET_BYTES: usize = 192;
const SEGMENT_BITS: u32 = 6;
const SEGMENTS: usize = 1 << SEGMENT_BITS;
/// Entries of a segment at most: 8 M in all, 256 MiB.
const SEGMENT_ENTRIES_MAX: usize = (8 << 20) / SEGMENTS;
const SEGMENT_SLOTS_MIN: usize = 16;
/// Entries beyond twice the live series that may be left over from series that have gone.
const LEFTOVER_ENTRIES_MAX: u64 = 1 << 14;

/// The hash of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyHash([u64; 2]);

impl KeyHash {
    /// The hash as bytes, to be a part of another key.
    #[inline]
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.0[0]) << 64) | u128::from(self.0[1])).to_le_bytes()
    }
}

/// An entry; the place is free where the series is [`SeriesRef::NONE`].
#[derive(Clone, Copy, Default)]
struct Slot {
    key: KeyHash,
    series: SeriesRef,
}

#[derive(Default)]
struct Segment {
    slots: Vec<Slot>,
    entries: usize,
}

/// Series by their keys.
pub(crate) struct SeriesCache {
    segments: Vec<Segment>,
    secret: [u8; SECRET_BYTES],
    entries: u64,
}

impl SeriesCache {
    /// An empty cache whose secret follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut secret = [0; SECRET_BYTES];
        let mut state = seed;
        for word in secret.as_chunks_mut::<8>().0 {
            *word = split_mix(&mut state).to_le_bytes();
        }
        Self {
            segments: std::iter::repeat_with(Segment::default).take(SEGMENTS).collect(),
            secret,
            entries: 0,
        }
    }

    /// The hash of `key`.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        let hash = xxh3_128_with_secret(key, &self.secret);
        KeyHash([(hash >> 64) as u64, hash as u64])
    }

    /// The series of a key, [`SeriesRef::NONE`] where none is known.
    #[inline]
    pub(crate) fn get(&self, key: KeyHash) -> SeriesRef {
        let segment = &self.segments[segment_of(key)];
        match segment.place(key) {
            Some(at) => segment.slots[at].series,
            None => SeriesRef::NONE,
        }
    }

    /// Notes the series of a key. `live` is how many series there are: where entries of series that
    /// have gone take more room than they, a segment that would grow is emptied.
    pub(crate) fn insert(&mut self, key: KeyHash, series: SeriesRef, live: u64) {
        let leftovers = self.entries > live.saturating_mul(2).saturating_add(LEFTOVER_ENTRIES_MAX);
        let segment = &mut self.segments[segment_of(key)];
        if segment.entries * 4 >= segment.slots.len() * 3 {
            if leftovers || segment.entries >= SEGMENT_ENTRIES_MAX {
                self.entries -= segment.entries as u64;
                *segment = Segment::default();
            }
            segment.grow();
        }
        self.entries += u64::from(segment.put(Slot { key, series }));
    }
}

#[inline]
fn segment_of(key: KeyHash) -> usize {
    (key.0[0] >> (64 - SEGMENT_BITS)) as usize
}

impl Segment {
    /// Where a key is or belongs; `None` only where there are no slots at all.
    #[inline]
    fn place(&self, key: KeyHash) -> Option<usize> {
        let length = self.slots.len();
        if length == 0 {
            return None;
        }
        let mut at = ((u128::from(key.0[1]) * length as u128) >> 64) as usize;
        // A quarter of the slots is free, so this ends.
        loop {
            let slot = &self.slots[at];
            if slot.series.is_none() || slot.key == key {
                return Some(at);
            }
            at = if at + 1 == length { 0 } else { at + 1 };
        }
    }

    /// Puts an entry where there is room for it; whether it is a new one.
    fn put(&mut self, entry: Slot) -> bool {
        let Some(at) = self.place(entry.key) else { return false };
        let is_new = self.slots[at].series.is_none();
        self.slots[at] = entry;
        self.entries += usize::from(is_new);
        is_new
    }

    fn grow(&mut self) {
        let length = (self.slots.len() + self.slots.len() / 4).max(SEGMENT_SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); length]);
        self.entries = 0;
        for slot in old.into_iter().filter(|s| !s.series.is_none()) {
            self.put(slot);
        }
    }
}

/// Vigna's SplitMix64.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(c: &SeriesCache, i: u64) -> KeyHash {
        c.hash(format!("series {i}").as_bytes())
    }

    fn slots(c: &SeriesCache) -> usize {
        c.segments.iter().map(|s| s.slots.len()).sum()
    }

    #[test]
    fn finds_what_was_put() {
        let mut c = SeriesCache::new(7);
        assert!(c.get(key(&c, 1)).is_none());
        for i in 1..=50_000 {
            c.insert(key(&c, i), SeriesRef(i), i);
        }
        assert!((1..=50_000).all(|i| c.get(key(&c, i)) == SeriesRef(i)));
        assert!(c.get(key(&c, 50_001)).is_none());
        assert_eq!(c.entries, 50_000);
        assert!(slots(&c) < 50_000 * 7 / 4, "{}", slots(&c));
        c.insert(key(&c, 5), SeriesRef(60_000), 50_000);
        assert_eq!((c.get(key(&c, 5)), c.entries), (SeriesRef(60_000), 50_000));
    }

    #[test]
    fn series_that_have_gone_do_not_fill_it() {
        let mut c = SeriesCache::new(7);
        for i in 1..=400_000 {
            c.insert(key(&c, i), SeriesRef(i), 1000);
        }
        assert!(c.entries <= 2 * (2000 + LEFTOVER_ENTRIES_MAX), "{}", c.entries);
        assert_eq!(c.get(key(&c, 400_000)), SeriesRef(400_000));
        assert_eq!(c.entries, c.segments.iter().map(|s| s.entries as u64).sum::<u64>());
    }

    #[test]
    fn another_seed_is_another_hash() {
        let (a, b) = (SeriesCache::new(1), SeriesCache::new(2));
        assert_ne!(a.hash(b"x"), b.hash(b"x"));
    }
}
