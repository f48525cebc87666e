//! Several queriers as one: head and blocks, local and remote.

use model::{Columns, Labels, Matcher};

use crate::StorageError;
use crate::querier::{LabelHints, LabelQuerier, Querier, SelectHints, SeriesSet};
use crate::vec_store::append_range;

/// One querier over several. A series that several have is one series; where two have a sample at
/// the same time, that of the later querier in the list wins.
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
        let mut sets = Vec::new();
        for q in &self.queriers {
            let set = q.select(hints, matchers)?;
            if !set.is_empty() {
                sets.push(set);
            }
        }
        if sets.len() == 1 {
            return Ok(sets.remove(0));
        }
        let limit = if hints.limit == 0 { usize::MAX } else { hints.limit };
        Ok(Box::new(MergeSeriesSet::new(sets, limit)))
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

impl MergeSeriesSet {
    fn new(sets: Vec<Box<dyn SeriesSet>>, limit: usize) -> Self {
        let mut heads: Vec<(usize, Option<Labels>)> =
            sets.iter().map(|s| (0, (!s.is_empty()).then(|| s.labels(0)))).collect();
        let mut merged = Self { sets: Vec::new(), labels: Vec::new(), starts: vec![0], places: Vec::new() };
        while merged.labels.len() < limit {
            let Some(least) = heads.iter().filter_map(|(_, l)| l.as_ref()).min().cloned() else { break };
            for (s, (i, head)) in heads.iter_mut().enumerate() {
                if head.as_ref() == Some(&least) {
                    merged.places.push((narrow(s), narrow(*i)));
                    *i += 1;
                    *head = (*i < sets[s].len()).then(|| sets[s].labels(*i));
                }
            }
            merged.labels.push(least);
            merged.starts.push(narrow(merged.places.len()));
        }
        merged.sets = sets;
        merged
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
        let mut merged = Columns::default();
        for place in places {
            let mut more = Columns::default();
            read(place, &mut more)?;
            merged = merge_columns(merged, more);
        }
        append_range(&merged, i64::MIN, i64::MAX, columns);
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        self.sets.iter().flat_map(|s| s.warnings()).collect()
    }
}

/// Both in order of time; at equal times `b` wins.
fn merge_columns(a: Columns, b: Columns) -> Columns {
    let disjoint = match (a.t.last(), b.t.first()) {
        (Some(last), Some(first)) => last < first,
        _ => true,
    };
    let mut out = a;
    if disjoint {
        append_range(&b, i64::MIN, i64::MAX, &mut out);
        return out;
    }
    let a = std::mem::take(&mut out);
    let (mut i, mut j) = (0, 0);
    while i < a.t.len() || j < b.t.len() {
        let take_a = j >= b.t.len() || (i < a.t.len() && a.t[i] < b.t[j]);
        let (from, k) = if take_a { (&a, i) } else { (&b, j) };
        push_from(from, k, &mut out);
        if take_a {
            i += 1;
        } else {
            if i < a.t.len() && a.t[i] == b.t[j] {
                i += 1;
            }
            j += 1;
        }
    }
    out
}

fn push_from(from: &Columns, k: usize, out: &mut Columns) {
    let st = from.st.get(k).copied().unwrap_or(0);
    match from.h.binary_search_by_key(&k, |(i, _)| *i as usize) {
        Ok(at) => out.push_histogram(from.t[k], st, from.h[at].1.clone()),
        Err(_) => out.push_started(from.t[k], st, from.v[k]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(c.v, [1.0, 2.0, 33.0]);
        assert_eq!(q.label_values("__name__", LabelHints { limit: 2 }, &[]).unwrap(), ["a", "b"]);
    }
}
