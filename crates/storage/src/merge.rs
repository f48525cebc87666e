//! Several queriers as one: head and blocks, local and remote.

use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{Columns, FloatHistogram, Labels, Matcher};

use crate::chain::{Chained, chain};
use crate::heap::Heap;
use crate::querier::{LabelHints, LabelQuerier, Projection, Querier, SelectHints, SeriesSet};
use crate::vec_store::append_range;
use crate::{Inline, Spawn, Stop, StorageError};

/// One querier over several. A series that several have is one series; where several have a sample
/// at the same time, one of them is taken, the same that [`chain`] takes and so does compaction:
/// Prometheus' choice where the queriers are in its order, head first, then blocks by time.
#[must_use]
pub fn merge_queriers(mut queriers: Vec<Box<dyn Querier>>) -> Box<dyn Querier> {
    if queriers.len() == 1 {
        return queriers.remove(0);
    }
    Box::new(MergeQuerier { queriers })
}

struct MergeQuerier {
    queriers: Vec<Box<dyn Querier>>,
}

impl LabelQuerier for MergeQuerier {
    fn label_values(
        &self,
        name: &str,
        hints: LabelHints,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, StorageError> {
        self.union(hints, |q| q.label_values(name, hints, matchers))
    }

    fn label_names(&self, hints: LabelHints, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.union(hints, |q| q.label_names(hints, matchers))
    }
}

impl MergeQuerier {
    fn union(
        &self,
        hints: LabelHints,
        ask: impl Fn(&dyn Querier) -> Result<Vec<String>, StorageError>,
    ) -> Result<Vec<String>, StorageError> {
        let mut all = Vec::new();
        for q in &self.queriers {
            all.extend(ask(q.as_ref())?);
        }
        all.sort_unstable();
        all.dedup();
        if hints.limit > 0 {
            all.truncate(hints.limit);
        }
        Ok(all)
    }
}

impl Querier for MergeQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Box<dyn SeriesSet>, StorageError> {
        self.select_shared(hints, matchers, &Inline)
    }

    fn select_shared(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
        spawn: &dyn Spawn,
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        // Series meet by their labels, in order.
        let whole = SelectHints { projection: Projection::All, any_order: false, ..hints.clone() };
        let mut sets = Vec::new();
        for q in &self.queriers {
            let set = q.select_shared(&whole, matchers, spawn)?;
            if !set.is_empty() {
                sets.push(set);
            }
        }
        if sets.len() == 1 {
            return Ok(sets.remove(0));
        }
        let limit = if hints.limit == 0 { usize::MAX } else { hints.limit };
        Ok(Box::new(MergeSeriesSet::new(sets, limit, &hints.stop)?))
    }
}

struct MergeSeriesSet {
    sets: Vec<Box<dyn SeriesSet>>,
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

impl MergeSeriesSet {
    /// Takes series off a heap as Prometheus' `genericMergeSeriesSet` does: in which order equal
    /// ones come out decides whose samples count.
    fn new(sets: Vec<Box<dyn SeriesSet>>, limit: usize, stop: &Stop) -> Result<Self, StorageError> {
        let mut merged = Self { sets: Vec::new(), labels: Vec::new(), starts: vec![0], places: Vec::new() };
        let next = |set: usize, at: usize| {
            (at < sets[set].len()).then(|| Next { labels: sets[set].labels(at), set, at })
        };
        let mut heap = Heap::new(|a: &Next, b: &Next| a.labels < b.labels);
        (0..sets.len()).filter_map(|set| next(set, 0)).for_each(|n| heap.push(n));
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
        merged.sets = sets;
        Ok(merged)
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("a select finds fewer than 2^32 series")
}

impl SeriesSet for MergeSeriesSet {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.labels[i].clone()
    }

    fn read(&self, i: usize, columns: &mut Columns) -> Result<(), StorageError> {
        let places = &self.places[self.starts[i] as usize..self.starts[i + 1] as usize];
        let read = |&(s, j): &(u32, u32), c: &mut Columns| self.sets[s as usize].read(j as usize, c);
        if let [only] = places {
            return read(only, columns);
        }
        let mut runs = Vec::with_capacity(places.len());
        for place in places {
            let mut run = Columns::default();
            read(place, &mut run)?;
            if !run.is_empty() {
                runs.push(run);
            }
        }
        append_chained(&runs, columns);
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        self.sets.iter().flat_map(|s| s.warnings()).collect()
    }
}

/// Appends the samples of `runs`, none of which is empty. Where they do not overlap, which is nearly
/// always, they are copied one behind the other.
fn append_chained(runs: &[Columns], columns: &mut Columns) {
    let span = |run: &Columns| run.t.first().copied().zip(run.t.last().copied());
    let mut in_order: Vec<&Columns> = runs.iter().collect();
    in_order.sort_by_key(|run| span(run));
    let apart = in_order.windows(2).all(|pair| span(pair[0]).map(|s| s.1) < span(pair[1]).map(|s| s.0));
    if apart {
        for (number, run) in in_order.iter().enumerate() {
            let begins = columns.len();
            append_range(run, i64::MIN, i64::MAX, columns);
            let first = columns.h.partition_point(|(at, _)| (*at as usize) < begins);
            match columns.h.get_mut(first) {
                Some((at, h)) if number > 0 && *at as usize == begins => forget_hint(h),
                _ => {}
            }
        }
    } else {
        let Chained { columns: mut merged, origins } = chain(runs);
        for (at, h) in &mut merged.h {
            if !origins[*at as usize].consecutive {
                forget_hint(h);
            }
        }
        append_range(&merged, i64::MIN, i64::MAX, columns);
    }
}

/// Whether a counter was reset was said of another sample before this one.
fn forget_hint(h: &mut Arc<FloatHistogram>) {
    use CounterResetHint::{Gauge, Unknown};
    if !matches!(h.counter_reset_hint, Gauge | Unknown) {
        *h = Arc::new(FloatHistogram { counter_reset_hint: Unknown, ..(**h).clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_of_several_stores_say_nothing_of_resets_between_them() {
        use CounterResetHint::{Gauge, NotReset, Unknown};
        let check = |runs: &[&[(i64, CounterResetHint)]], want: &[CounterResetHint]| {
            let run = |samples: &&[(i64, CounterResetHint)]| {
                let mut c = Columns::default();
                for (t, counter_reset_hint) in *samples {
                    let h = FloatHistogram {
                        counter_reset_hint: *counter_reset_hint,
                        ..FloatHistogram::default()
                    };
                    c.push_histogram(*t, 0, Arc::new(h));
                }
                c
            };
            let mut out = Columns::default();
            append_chained(&runs.iter().map(run).collect::<Vec<_>>(), &mut out);
            assert_eq!(out.h.iter().map(|(_, h)| h.counter_reset_hint).collect::<Vec<_>>(), want);
        };
        let run = [(1, Unknown), (3, NotReset), (4, NotReset)];
        check(&[&run], &[Unknown, NotReset, NotReset]);
        // 3 follows 2 now, and was compared with 1.
        check(&[&run, &[(2, NotReset)]], &[Unknown, Unknown, Unknown, NotReset]);
        check(&[&[(5, NotReset), (6, NotReset)], &run], &[Unknown, NotReset, NotReset, Unknown, NotReset]);
        check(&[&[(5, Gauge)], &run], &[Unknown, NotReset, NotReset, Gauge]);
    }
    use crate::{Queryable, VecStore};

    fn store(series: &[(&str, &[(i64, f64)])]) -> Box<dyn Querier> {
        let mut s = VecStore::new();
        for (name, samples) in series {
            let mut c = Columns::default();
            for (t, v) in *samples {
                c.push(*t, *v);
            }
            s.extend(Labels::from_pairs([("__name__", *name)]), &c);
        }
        s.querier(i64::MIN, i64::MAX).unwrap()
    }

    #[test]
    fn one_series_of_two_stores_is_one() {
        let q = merge_queriers(vec![
            store(&[("a", &[(1, 1.0), (3, 3.0)]), ("b", &[(1, 9.0)])]),
            store(&[("a", &[(2, 2.0), (3, 33.0), (4, 4.0)]), ("c", &[(1, 7.0)])]),
        ]);
        let hints = SelectHints { start_ms: 1, end_ms: 3, ..SelectHints::default() };
        let set = q.select(&hints, &[]).unwrap();
        let names: Vec<_> = (0..set.len()).map(|i| set.labels(i).metric_name().to_owned()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let mut c = Columns::default();
        set.read(0, &mut c).unwrap();
        assert_eq!(c.t, [1, 2, 3]);
        assert_eq!(c.v, [1.0, 2.0, 3.0]);
        assert_eq!(q.label_values("__name__", LabelHints { limit: 2 }, &[]).unwrap(), ["a", "b"]);
    }

    /// Worked out by hand from Prometheus' `chainSampleIterator` over its heap of series sets.
    #[test]
    fn which_sample_of_a_time_counts() {
        let read = |stores: &[&[(i64, f64)]]| {
            let q = merge_queriers(stores.iter().map(|samples| store(&[("a", samples)])).collect());
            let hints = SelectHints { start_ms: 0, end_ms: 9, ..SelectHints::default() };
            let mut c = Columns::default();
            q.select(&hints, &[]).unwrap().read(0, &mut c).unwrap();
            c.v
        };
        let (one, two) = ([(1, 1.0), (2, 1.0), (3, 1.0)], [(1, 2.0), (2, 2.0), (3, 2.0)]);
        assert_eq!(read(&[&one, &two]), [2.0, 2.0, 2.0]);
        assert_eq!(read(&[&one, &two[1..2]]), [1.0, 2.0, 1.0]);
        assert_eq!(read(&[&two[2..], &one[..2]]), [1.0, 1.0, 2.0]);
        assert_eq!(read(&[&one[..2], &two[2..], &[]]), [1.0, 1.0, 2.0]);
    }
}
