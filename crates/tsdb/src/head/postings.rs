//! Which series have which label: for each pair of name and value the references, sorted.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use hashbrown::hash_map::Entry;
use model::symbols::{SymbolId, SymbolLabels, SymbolsReader};
use storage::{Spawn, StorageError};

use super::page::PAGE_SERIES;
use super::{Head, lock};
use crate::index::PostingsIndex;
use crate::int_map::IntMap;

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

    /// Appends references that lie behind these.
    fn join(&mut self, more: &Self) {
        let more = more.as_slice();
        let mut all = Vec::with_capacity(self.as_slice().len() + more.len());
        all.extend_from_slice(self.as_slice());
        all.extend_from_slice(more);
        *self = Self::Many(all);
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
        labels.iter().for_each(|(n, v)| self.add_pair(series, n, v));
    }

    fn add_pair(&mut self, series: u64, n: SymbolId, v: SymbolId) {
        let values = self.names.entry(n).or_default();
        values.lists.entry(v).and_modify(|l| l.add(series)).or_insert(List::One(series));
    }

    /// Appends references of a pair, which lie behind those that it has.
    fn join(&mut self, n: SymbolId, v: SymbolId, more: List) {
        match self.names.entry(n).or_default().lists.entry(v) {
            Entry::Vacant(place) => drop(place.insert(more)),
            Entry::Occupied(mut place) => place.get_mut().join(&more),
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
}

/// Makes the postings of many series, whose references rise.
#[derive(Default)]
struct Lister {
    lists: Vec<((SymbolId, SymbolId), List)>,
    /// Where in `lists` a pair is.
    places: IntMap<u64, usize>,
    /// Where each label of the series before was: most series share most labels with it.
    last: Vec<usize>,
}

impl Lister {
    fn add(&mut self, series: u64, labels: &SymbolLabels) {
        for (i, pair) in labels.iter().enumerate() {
            if let Some((_, list)) = self.last.get(i).map(|at| &mut self.lists[*at]).filter(|l| l.0 == pair) {
                list.add(series);
                continue;
            }
            let key = u64::from(pair.0.0) << 32 | u64::from(pair.1.0);
            let at = *self.places.entry(key).or_insert(self.lists.len());
            match self.lists.get_mut(at) {
                Some((_, list)) => list.add(series),
                None => self.lists.push((pair, List::One(series))),
            }
            match self.last.get_mut(i) {
                Some(last) => *last = at,
                None => self.last.push(at),
            }
        }
    }
}

impl Head {
    /// Makes the postings of all series there are, when there are none yet.
    pub(super) fn list_postings(&self, spawn: &dyn Spawn) {
        let pages = self.pages.all();
        let parts: Vec<_> = pages.chunks(pages.len().div_ceil(spawn.parallelism()).max(1)).collect();
        let listed: Vec<Mutex<Lister>> = parts.iter().map(|_| Mutex::default()).collect();
        spawn.for_each(parts.len(), &|i| {
            let mut lister = Lister::default();
            for (number, page) in parts[i] {
                for (slot, s) in page.lock().iter() {
                    lister.add(number * PAGE_SERIES + slot, &s.labels);
                }
            }
            *lock(&listed[i]) = lister;
        });
        let mut all = self.postings.write().unwrap_or_else(PoisonError::into_inner);
        for part in listed {
            let part = part.into_inner().unwrap_or_else(PoisonError::into_inner);
            part.lists.into_iter().for_each(|((n, v), list)| all.join(n, v, list));
        }
    }
}

/// The postings as [`postings_for_matchers`](crate::index::postings_for_matchers) asks them.
pub(crate) struct PostingsView<'a> {
    pub(crate) postings: &'a Postings,
    pub(crate) symbols: &'a SymbolsReader<'a>,
    /// All references, in order.
    pub(crate) all: &'a dyn Fn() -> Vec<u64>,
}

impl PostingsIndex for PostingsView<'_> {
    type Id = u64;

    fn all(&self) -> Result<Cow<'_, [u64]>, StorageError> {
        Ok((self.all)().into())
    }

    fn equal(&self, name: &str, value: &str) -> Result<Cow<'_, [u64]>, StorageError> {
        let pair = self.symbols.find(name).zip(self.symbols.find(value));
        Ok(pair.map_or(&[][..], |(n, v)| self.postings.get(n, v)).into())
    }

    fn matching(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
        out: &mut Vec<u64>,
    ) -> Result<(), StorageError> {
        let Some(name) = self.symbols.find(name) else { return Ok(()) };
        for (value, list) in self.postings.values(name) {
            let text = self.symbols.get(value);
            if text.starts_with(prefix) && keep(text) {
                out.extend_from_slice(list);
            }
        }
        Ok(())
    }
}
