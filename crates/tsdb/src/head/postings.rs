//! Which series have which label: for each pair of name and value the references, sorted.

use super::int_map::IntMap;
use model::symbols::{SymbolId, SymbolLabels, SymbolsReader};
use model::{MatchOp, Matcher};

/// The references of one label pair. Most values belong to one series only.
enum List {
    One(u64),
    Many(Vec<u64>),
}

impl List {
    fn as_slice(&self) -> &[u64] {
        match self {
            Self::One(r) => std::slice::from_ref(r),
            Self::Many(v) => v,
        }
    }

    /// Adds a reference; nearly always it is the highest.
    fn add(&mut self, series: u64) {
        if let Self::One(r) = *self {
            *self = Self::Many(vec![r]);
        }
        let Self::Many(v) = self else { return };
        if v.len() == v.capacity() {
            // A quarter of slack instead of Vec's half: lists are most of the index.
            v.reserve_exact((v.len() / 4).max(3));
        }
        match v.last() {
            Some(last) if *last > series => {
                if let Err(at) = v.binary_search(&series) {
                    v.insert(at, series);
                }
            }
            Some(last) if *last == series => {}
            _ => v.push(series),
        }
    }
}

#[derive(Default)]
struct Values {
    lists: IntMap<SymbolId, List>,
}

/// The head's postings.
#[derive(Default)]
pub(crate) struct Postings {
    names: IntMap<SymbolId, Values>,
}

impl Postings {
    pub(crate) fn add(&mut self, series: u64, labels: &SymbolLabels) {
        for (n, v) in labels.iter() {
            let values = self.names.entry(n).or_default();
            values.lists.entry(v).and_modify(|l| l.add(series)).or_insert(List::One(series));
        }
    }

    /// Forgets series; `gone` is sorted, `pairs` are the label pairs that any of them had.
    pub(crate) fn remove(&mut self, gone: &[u64], pairs: impl IntoIterator<Item = (SymbolId, SymbolId)>) {
        for (n, v) in pairs {
            let Some(values) = self.names.get_mut(&n) else { continue };
            let empty = match values.lists.get_mut(&v) {
                None => false,
                Some(List::One(r)) => gone.binary_search(&*r).is_ok(),
                Some(List::Many(list)) => {
                    list.retain(|r| gone.binary_search(r).is_err());
                    list.shrink_to_fit();
                    list.is_empty()
                }
            };
            if empty {
                values.lists.remove(&v);
            }
            if values.lists.is_empty() {
                self.names.remove(&n);
            }
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = SymbolId> + '_ {
        self.names.keys().copied()
    }

    /// Values of a label, in no order, each with its series.
    pub(crate) fn values(&self, name: SymbolId) -> impl Iterator<Item = (SymbolId, &[u64])> + '_ {
        self.names.get(&name).into_iter().flat_map(|v| v.lists.iter().map(|(id, l)| (*id, l.as_slice())))
    }

    /// Number of distinct label pairs.
    pub(crate) fn pairs(&self) -> usize {
        self.names.values().map(|v| v.lists.len()).sum()
    }

    fn get(&self, name: SymbolId, value: SymbolId) -> &[u64] {
        self.names.get(&name).and_then(|v| v.lists.get(&value)).map_or(&[], List::as_slice)
    }

    /// The series whose label `m.name` is present with a value for which `accepts` holds.
    fn union(&self, m: &Matcher, symbols: &SymbolsReader<'_>, accepts: impl Fn(&str) -> bool) -> Vec<u64> {
        let Some(name) = symbols.find(&m.name) else { return Vec::new() };
        let lists: Vec<&[u64]> =
            self.values(name).filter(|(v, _)| accepts(symbols.get(*v))).map(|(_, l)| l).collect();
        let mut all = Vec::with_capacity(lists.iter().map(|l| l.len()).sum());
        let several = lists.len() > 1;
        for l in lists {
            all.extend_from_slice(l);
        }
        if several {
            // A series has one value per name, so the lists are disjoint.
            all.sort_unstable();
        }
        all
    }

    /// The series that satisfy a matcher, or, where series without the label do (second value
    /// true), those that do not.
    fn resolve(&self, m: &Matcher, symbols: &SymbolsReader<'_>) -> (Vec<u64>, bool) {
        if m.matches_empty() {
            return (self.union(m, symbols, |v| !m.matches(v)), true);
        }
        if m.op == MatchOp::Equal {
            let pair = symbols.find(&m.name).zip(symbols.find(&m.value));
            return (pair.map_or_else(Vec::new, |(n, v)| self.get(n, v).to_vec()), false);
        }
        (self.union(m, symbols, |v| m.matches(v)), false)
    }

    /// The series that satisfy all matchers, sorted. `everything` yields all series, for when no
    /// matcher asks for a label to be there.
    pub(crate) fn select(
        &self,
        matchers: &[Matcher],
        symbols: &SymbolsReader<'_>,
        everything: impl FnOnce() -> Vec<u64>,
    ) -> Vec<u64> {
        let mut with = Vec::new();
        let mut without = Vec::new();
        for m in matchers {
            let (list, inverted) = self.resolve(m, symbols);
            if inverted {
                without.push(list);
            } else if list.is_empty() {
                return list;
            } else {
                with.push(list);
            }
        }
        with.sort_unstable_by_key(Vec::len);
        let mut with = with.into_iter();
        let mut found = with.next().unwrap_or_else(everything);
        for other in with {
            keep(&mut found, &other, true);
        }
        for other in without.iter().filter(|o| !o.is_empty()) {
            keep(&mut found, other, false);
        }
        found
    }
}

/// Keeps what is (`present`) or is not in `other`; both sorted. `list` is usually the shorter.
fn keep(list: &mut Vec<u64>, other: &[u64], present: bool) {
    let mut rest = other;
    list.retain(|x| {
        // Gallop: the next hit is near, or far enough to pay for the doubling.
        let mut step = 1;
        while step < rest.len() && rest[step] < *x {
            step *= 2;
        }
        let at = rest[..rest.len().min(step + 1)].partition_point(|y| y < x);
        rest = &rest[at..];
        (rest.first() == Some(x)) == present
    });
}
