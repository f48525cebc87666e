//! Several queriers as one: head and blocks, local and remote.

use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{Columns, FloatHistogram, Labels, Matcher};

use crate::chain::{Chained, chain};
use crate::meeting::{Meeting, union};
use crate::querier::{LabelHints, LabelQuerier, Projection, Querier, SelectHints, SeriesSet};
use crate::vec_store::append_range;
use crate::{Inline, Spawn, StorageError};

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
        union(&self.queriers, hints, |q| q.label_values(name, hints, matchers))
    }

    fn label_names(&self, hints: LabelHints, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        union(&self.queriers, hints, |q| q.label_names(hints, matchers))
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
            if !set.is_empty() || !set.warnings().is_empty() {
                sets.push(set);
            }
        }
        if sets.len() == 1 {
            return Ok(sets.remove(0));
        }
        let lens: Vec<usize> = sets.iter().map(|set| set.len()).collect();
        let series = Meeting::new(&lens, &|set, at| sets[set].labels(at), hints.limit, &hints.stop)?;
        Ok(Box::new(MergeSeriesSet { sets, series }))
    }
}

struct MergeSeriesSet {
    sets: Vec<Box<dyn SeriesSet>>,
    series: Meeting,
}

impl SeriesSet for MergeSeriesSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series.labels(i).clone()
    }

    fn read(&self, i: usize, columns: &mut Columns) -> Result<(), StorageError> {
        let places = self.series.places(i);
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
