//! Sums that threads add to for each row and that are asked for seldom: each thread adds to a place of its own, for places
//! that several write to go from core to core with every row.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Places of a sum; threads beyond them share.
const PLACES: usize = 8;

static LAST: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The place of this thread.
#[inline]
fn place() -> usize {
    PLACE.with(|place| {
        if place.get() == usize::MAX {
            place.set(LAST.fetch_add(1, Relaxed) % PLACES);
        }
        place.get()
    })
}

/// As large as a line of a cache, so that nothing else lies beside it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(AtomicU64);

/// A sum that only rises.
#[derive(Debug, Default)]
pub(super) struct Tallied([Place; PLACES]);

impl Tallied {
    /// Adds `n`; returns what this thread's place held before, and holds now.
    #[inline]
    pub(super) fn add(&self, n: u64) -> (u64, u64) {
        let before = self.0[place()].0.fetch_add(n, Relaxed);
        (before, before.wrapping_add(n))
    }

    /// All that was added so far.
    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|place| place.0.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use storage::{OsSpawn, Spawn};

    use super::*;

    #[test]
    fn nothing_that_threads_add_is_lost() {
        let sum = Tallied::default();
        OsSpawn::new("test", 12).unwrap().for_each(12_000, &|i| {
            let (before, now) = sum.add(i as u64);
            assert!(now >= before);
        });
        assert_eq!(sum.sum(), (0..12_000).sum());
    }
}
