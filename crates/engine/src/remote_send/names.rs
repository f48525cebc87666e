//! The label sets that queues send under, each once for all queues that send it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use model::Labels;

/// Label sets, shared. A clone is another handle on the same.
#[derive(Clone, Default)]
pub(crate) struct NamePool(Arc<Mutex<HashTable<Labels>>>);

impl NamePool {
    fn lock(&self) -> MutexGuard<'_, HashTable<Labels>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The set that is there already, where an equal one is.
    pub(super) fn share(&self, labels: Labels) -> Labels {
        let mut pool = self.lock();
        let hash = labels.hash64();
        if let Some(there) = pool.find(hash, |other| *other == labels) {
            return there.clone();
        }
        pool.insert_unique(hash, labels.clone(), Labels::hash64);
        labels
    }

    /// Forgets the sets that nobody else has.
    pub(super) fn sweep(&self) {
        let mut pool = self.lock();
        pool.retain(|labels| labels.is_shared());
        let len = pool.len();
        pool.shrink_to(len * 2, Labels::hash64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one_and_go_when_nobody_has_them() {
        let pool = NamePool::default();
        let make = |v: &str| Labels::from_pairs([("a", v)]);
        let (one, two, other) = (pool.share(make("1")), pool.share(make("1")), pool.share(make("2")));
        assert!(std::ptr::eq(one.as_bytes(), two.as_bytes()));
        drop((one, other));
        pool.sweep();
        assert_eq!(pool.lock().len(), 1);
        drop(two);
        pool.sweep();
        assert_eq!(pool.lock().len(), 0);
    }
}
