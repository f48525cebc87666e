//! The series of several sets, brought together by their labels.

use model::Labels;

use crate::heap::Heap;
use crate::querier::LabelHints;
use crate::{Stop, StorageError};

/// Which series of several sets, each in order of labels, are one.
#[derive(Debug)]
pub(crate) struct Meeting {
    labels: Vec<Labels>,
    /// For each merged series, where its places start in `places`; one more at the end.
    starts: Vec<u32>,
    /// (set, index within the set)
    places: Vec<(u32, u32)>,
}

/// The place in a set that comes next, and its labels.
struct Next {
    labels: Labels,
    set: usize,
    at: usize,
}

impl Meeting {
    /// Takes series off a heap as Prometheus' `genericMergeSeriesSet` does: in which order equal
    /// ones come out decides whose samples count. `lens` says how many series each set has, `labels`
    /// tells those of one of them; at most `limit` series come out, 0 for all.
    ///
    /// # Errors
    /// Where `stop` comes.
    pub(crate) fn new(
        lens: &[usize],
        labels: &dyn Fn(usize, usize) -> Labels,
        limit: usize,
        stop: &Stop,
    ) -> Result<Self, StorageError> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let mut merged = Self { labels: Vec::new(), starts: vec![0], places: Vec::new() };
        let next =
            |set: usize, at: usize| (at < lens[set]).then(|| Next { labels: labels(set, at), set, at });
        let mut heap = Heap::new(|a: &Next, b: &Next| a.labels < b.labels);
        (0..lens.len()).filter_map(|set| next(set, 0)).for_each(|n| heap.push(n));
        let mut current: Vec<(usize, usize)> = Vec::new();
        while merged.labels.len() < limit {
            stop.check_at(merged.labels.len())?;
            current.drain(..).filter_map(|(set, at)| next(set, at + 1)).for_each(|n| heap.push(n));
            let Some(Next { labels, set, at }) = heap.pop() else { break };
            current.push((set, at));
            while heap.top().is_some_and(|n| n.labels == labels) {
                current.extend(heap.pop().map(|n| (n.set, n.at)));
            }
            merged.places.extend(current.iter().map(|(set, at)| (narrow(*set), narrow(*at))));
            merged.labels.push(labels);
            merged.starts.push(narrow(merged.places.len()));
        }
        Ok(merged)
    }

    /// Number of merged series.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Labels of merged series `i`.
    pub(crate) fn labels(&self, i: usize) -> &Labels {
        &self.labels[i]
    }

    /// Where merged series `i` is: set, and index within the set.
    pub(crate) fn places(&self, i: usize) -> &[(u32, u32)] {
        &self.places[self.starts[i] as usize..self.starts[i + 1] as usize]
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("a select finds fewer than 2^32 series")
}

/// The answers of several stores to a question about labels as one.
pub(crate) fn union<Q: ?Sized>(
    stores: &[Box<Q>],
    hints: LabelHints,
    ask: impl Fn(&Q) -> Result<Vec<String>, StorageError>,
) -> Result<Vec<String>, StorageError> {
    let mut all = Vec::new();
    for store in stores {
        all.extend(ask(store)?);
    }
    all.sort_unstable();
    all.dedup();
    if hints.limit > 0 {
        all.truncate(hints.limit);
    }
    Ok(all)
}
