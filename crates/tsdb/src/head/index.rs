//! Finds a series by its labels: a table per shard of the label hash, holding references only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

/// Shards of the table, a power of two.
const SHARDS: usize = 64;

/// A 32-bit part of the label hash and the reference: 12 bytes, aligned to 4.
#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    lo: u32,
    hi: u32,
}

impl Entry {
    fn new(hash: u64, series: u64) -> Self {
        Self { tag: hash as u32, lo: series as u32, hi: (series >> 32) as u32 }
    }

    fn series(self) -> u64 {
        u64::from(self.hi) << 32 | u64::from(self.lo)
    }
}

/// Spreads the tag over all the bits that the table looks at.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// One shard of the table, locked.
#[derive(Default)]
pub(crate) struct Shard(HashTable<Entry>);

impl Shard {
    /// The first series of this hash that `is` accepts.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u64) -> bool) -> Option<u64> {
        let tag = hash as u32;
        self.0.find(spread(tag), |e| e.tag == tag && is(e.series())).map(|e| e.series())
    }

    pub(crate) fn insert(&mut self, hash: u64, series: u64) {
        self.0.insert_unique(spread(hash as u32), Entry::new(hash, series), |e| spread(e.tag));
    }

    pub(crate) fn remove(&mut self, hash: u64, series: u64) {
        if let Ok(e) = self.0.find_entry(spread(hash as u32), |e| e.series() == series) {
            e.remove();
        }
    }
}

/// The whole table.
pub(crate) struct HashIndex(Vec<Mutex<Shard>>);

impl Default for HashIndex {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl HashIndex {
    /// The shard for a label hash. Its upper bits choose the shard, the lower ones the place.
    pub(crate) fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.0[(hash >> 32) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
