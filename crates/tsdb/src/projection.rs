//! Making only those labels of a series that a query will look at.

use std::hash::{BuildHasherDefault, Hash};

use model::Labels;
use storage::Projection;

use crate::int_map::IntHasher;

/// Label sets that are remembered. Where a projection leaves more of them than this, most series
/// have one of their own, and remembering gains nothing.
const KNOWN_MAX: usize = 4096;

type Key<K> = Box<[(K, K)]>;

/// Projects label sets that are given as the symbols of names and values. Sets that come out equal
/// share their memory, up to [`KNOWN_MAX`] of them, and cost one look-up.
pub(crate) struct Projector<K> {
    /// The symbols of the names that [`Self::keeps`] is about.
    names: Vec<K>,
    /// Whether those names are kept, rather than left out.
    keeps: bool,
    key: Vec<(K, K)>,
    known: hashbrown::HashMap<Key<K>, Labels, BuildHasherDefault<IntHasher>>,
}

impl<K: Copy + Eq + Hash> Projector<K> {
    /// `None` where all labels are wanted. `find` gives the symbol of a name that some series has.
    pub(crate) fn new(projection: &Projection, find: impl Fn(&str) -> Option<K>) -> Option<Self> {
        let (names, keeps) = match projection {
            Projection::All => return None,
            Projection::Only(names) => (names, true),
            Projection::Without(names) => (names, false),
        };
        let names = names.iter().filter_map(|n| find(n)).collect();
        Some(Self { names, keeps, key: Vec::new(), known: hashbrown::HashMap::default() })
    }

    /// The set of `labels`, which come in order of name, without those that are not wanted.
    pub(crate) fn project<'a>(
        &mut self,
        labels: impl Iterator<Item = (K, K)>,
        text: impl Fn(K) -> &'a str,
    ) -> Labels {
        self.key.clear();
        self.key.extend(labels.filter(|(name, _)| self.names.contains(name) == self.keeps));
        if let Some(labels) = self.known.get(self.key.as_slice()) {
            return labels.clone();
        }
        let pairs = self.key.iter().map(|(name, value)| (text(*name), text(*value)));
        let labels = Labels::from_sorted(pairs.filter(|(_, value)| !value.is_empty()));
        if self.known.len() < KNOWN_MAX {
            self.known.insert(self.key.as_slice().into(), labels.clone());
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_labels_stay_and_equal_sets_are_one() {
        let texts = ["", "cpu", "host", "mode", "0", "1", "a", "idle"];
        let find = |name: &str| texts.iter().position(|t| *t == name);
        let series = [[(1, 4), (2, 6), (3, 7)], [(1, 5), (2, 6), (3, 7)], [(1, 5), (2, 6), (3, 0)]];
        let projected = |projection: &Projection| {
            let mut p = Projector::new(projection, find).unwrap();
            series.map(|s| p.project(s.into_iter(), |id| texts[id]))
        };
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();

        let only = projected(&Projection::Only(names(&["host", "mode", "other"])));
        assert_eq!(only[0], Labels::from_pairs([("host", "a"), ("mode", "idle")]));
        assert_eq!(only[1].as_bytes().as_ptr(), only[0].as_bytes().as_ptr());
        assert_eq!(only[2], Labels::from_pairs([("host", "a")]));

        let without = projected(&Projection::Without(names(&["host", "other"])));
        assert_eq!(without[0], Labels::from_pairs([("cpu", "0"), ("mode", "idle")]));
        assert_eq!(without[1], Labels::from_pairs([("cpu", "1"), ("mode", "idle")]));
        assert_eq!(without[2], Labels::from_pairs([("cpu", "1")]));

        assert!(Projector::new(&Projection::All, find).is_none());
    }
}
