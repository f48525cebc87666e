//! A store over vectors: the evaluator's tests, remote-read answers, small embedded uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Columns, Labels, Matcher, TimestampMs};

use crate::StorageError;
use crate::querier::{LabelHints, LabelQuerier, Projection, Querier, Queryable, SelectHints, SeriesSet};

/// Series in memory, in order of labels.
#[derive(Clone, Debug, Default)]
pub struct VecStore {
    series: Arc<BTreeMap<Labels, Arc<Columns>>>,
}

impl VecStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `columns`, whose times must rise, all that a series has. Queriers made before do not see them.
    pub fn insert(&mut self, labels: Labels, columns: Columns) {
        Arc::make_mut(&mut self.series).insert(labels, Arc::new(columns));
    }

    /// Adds samples at the end of a series, which is made where it does not exist. Times must
    /// rise. Queriers made before do not see them.
    pub fn extend(&mut self, labels: Labels, more: &Columns) {
        let series = Arc::make_mut(Arc::make_mut(&mut self.series).entry(labels).or_default());
        append_range(more, TimestampMs::MIN, TimestampMs::MAX, series);
    }
}

/// Appends to `to` the samples of `from` with `start_ms ≤ t ≤ end_ms`.
pub fn append_range(from: &Columns, start_ms: TimestampMs, end_ms: TimestampMs, to: &mut Columns) {
    let lo = from.t.partition_point(|t| *t < start_ms);
    let hi = from.t.partition_point(|t| *t <= end_ms);
    if lo >= hi {
        return;
    }
    let base = to.t.len();
    if !from.st.is_empty() && to.st.is_empty() {
        to.st.resize(base, 0);
    }
    to.t.extend_from_slice(&from.t[lo..hi]);
    to.v.extend_from_slice(&from.v[lo..hi]);
    if !from.st.is_empty() {
        to.st.extend_from_slice(&from.st[lo..hi]);
    } else if !to.st.is_empty() {
        to.st.resize(to.t.len(), 0);
    }
    let place = |i: u32| i as usize;
    let first = from.h.partition_point(|(i, _)| place(*i) < lo);
    for (i, h) in from.h[first..].iter().take_while(|(i, _)| place(*i) < hi) {
        let i = u32::try_from(place(*i) - lo + base).expect("columns hold fewer than 2^32 samples");
        to.h.push((i, h.clone()));
    }
}

impl Queryable for VecStore {
    fn querier(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(VecQuerier { store: self.clone(), start_ms, end_ms }))
    }
}

struct VecQuerier {
    store: VecStore,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
}

impl VecQuerier {
    fn matching<'a>(
        &'a self,
        matchers: &'a [Matcher],
    ) -> impl Iterator<Item = (&'a Labels, &'a Arc<Columns>)> {
        self.store
            .series
            .iter()
            .filter(|(l, _)| matchers.iter().all(|m| m.matches(l.get(&m.name).unwrap_or(""))))
    }
}

impl LabelQuerier for VecQuerier {
    fn label_values(
        &self,
        name: &str,
        hints: LabelHints,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, StorageError> {
        let all = self.matching(matchers).filter_map(|(l, _)| l.get(name).map(str::to_owned));
        Ok(distinct(all.collect(), hints))
    }

    fn label_names(&self, hints: LabelHints, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let all = self.matching(matchers).flat_map(|(l, _)| l.iter().map(|(n, _)| n.to_owned()));
        Ok(distinct(all.collect(), hints))
    }
}

fn distinct(mut v: Vec<String>, hints: LabelHints) -> Vec<String> {
    v.sort_unstable();
    v.dedup();
    if hints.limit > 0 {
        v.truncate(hints.limit);
    }
    v
}

impl Querier for VecQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Box<dyn SeriesSet>, StorageError> {
        let limit = if hints.limit == 0 { usize::MAX } else { hints.limit };
        let project = |l: &Labels| match &hints.projection {
            Projection::All => l.clone(),
            Projection::Only(names) => l.keep(names),
            Projection::Without(names) => l.filter(|n| names.iter().all(|x| x.as_bytes() != n)),
        };
        let series = self.matching(matchers).take(limit).map(|(l, c)| (project(l), c.clone())).collect();
        let (start_ms, end_ms) = (hints.start_ms.max(self.start_ms), hints.end_ms.min(self.end_ms));
        Ok(Box::new(VecSeriesSet { series, start_ms, end_ms }))
    }
}

struct VecSeriesSet {
    series: Vec<(Labels, Arc<Columns>)>,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
}

impl SeriesSet for VecSeriesSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series[i].0.clone()
    }

    fn read(&self, i: usize, columns: &mut Columns) -> Result<(), StorageError> {
        append_range(&self.series[i].1, self.start_ms, self.end_ms, columns);
        Ok(())
    }
}
