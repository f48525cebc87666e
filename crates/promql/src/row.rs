//! What an operator yields for one series: one cell per step, dense, trimmed to the series' life.
//! Knows neither labels nor times.

use std::sync::Arc;

use model::FloatHistogram;

use crate::error::QueryError;
use crate::functions::stretch::{GoOn, Pulse, stretches};
use crate::value::SampleValue;

/// The value at one step.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    /// A float, any bits.
    Float(f64),
    /// A native histogram.
    Histogram(&'a Arc<FloatHistogram>),
}

type HistogramColumn = Vec<(u32, Arc<FloatHistogram>)>;

/// Cells of one series from its first to its last step; between them steps may be absent.
///
/// Presence is a bitmap, never a NaN. A histogram has its presence bit set, an unspecified value,
/// and an entry in the histogram column.
#[derive(Clone, Debug, Default)]
pub struct Row {
    first: usize,
    values: Vec<f64>,
    present: Vec<u64>,
    count: usize,
    /// Place within `values`, in rising order.
    histograms: Option<Box<HistogramColumn>>,
}

impl Row {
    /// A row without cells.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A row without cells, with memory for `steps`.
    #[must_use]
    pub fn with_capacity(steps: usize) -> Self {
        Self { values: Vec::with_capacity(steps), ..Self::default() }
    }

    /// A row with a float at each of the steps `first..first + values.len()`.
    #[must_use]
    pub fn dense(first: usize, values: Vec<f64>) -> Self {
        let n = values.len();
        let mut present = vec![u64::MAX; n.div_ceil(64)];
        if let Some(last) = present.last_mut()
            && !n.is_multiple_of(64)
        {
            *last = (1u64 << (n % 64)) - 1;
        }
        Self { first, values, present, count: n, histograms: None }
    }

    /// Number of cells present.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// What the row counts for where samples in memory are bounded: its cells, or, where they lie
    /// far apart, the memory of the gaps between them.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.count.max(self.values.len() / 4)
    }

    /// Whether no cell is present.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first step and the one after the last.
    #[must_use]
    pub fn span(&self) -> (usize, usize) {
        (self.first, self.first + self.values.len())
    }

    /// Whether any cell is a histogram.
    #[must_use]
    pub fn has_histograms(&self) -> bool {
        self.histograms.is_some()
    }

    /// Whether any cell is a float.
    #[must_use]
    pub fn has_floats(&self) -> bool {
        self.count > self.histograms.as_ref().map_or(0, |h| h.len())
    }

    /// The first step and all values, where every step of the span has a float.
    #[must_use]
    pub fn as_dense(&self) -> Option<(usize, &[f64])> {
        (self.count == self.values.len() && self.histograms.is_none())
            .then_some((self.first, &self.values[..]))
    }

    /// Adds a float behind the last cell: `step` must rise.
    #[inline]
    pub fn push(&mut self, step: usize, value: f64) {
        if self.values.is_empty() {
            self.first = step;
        }
        let at = step - self.first;
        debug_assert!(at >= self.values.len(), "steps must rise");
        if at > self.values.len() {
            self.values.resize(at, 0.0);
        }
        self.values.push(value);
        let word = at / 64;
        if word >= self.present.len() {
            self.present.resize(word + 1, 0);
        }
        self.present[word] |= 1 << (at % 64);
        self.count += 1;
    }

    /// Adds a histogram behind the last cell: `step` must rise.
    pub fn push_histogram(&mut self, step: usize, h: Arc<FloatHistogram>) {
        self.push(step, 0.0);
        let at = u32::try_from(step - self.first).expect("a query has fewer than 2^32 steps");
        self.histograms.get_or_insert_default().push((at, h));
    }

    /// Adds any cell behind the last one.
    pub fn push_cell(&mut self, step: usize, cell: Cell<'_>) {
        match cell {
            Cell::Float(v) => self.push(step, v),
            Cell::Histogram(h) => self.push_histogram(step, h.clone()),
        }
    }

    /// Adds a float or histogram behind the last cell.
    pub(crate) fn push_value(&mut self, step: usize, value: SampleValue) {
        match value {
            SampleValue::Float(v) => self.push(step, v),
            SampleValue::Histogram(h) => self.push_histogram(step, h),
        }
    }

    #[inline]
    fn has(&self, at: usize) -> bool {
        self.present[at / 64] & (1 << (at % 64)) != 0
    }

    fn histogram(&self, at: usize) -> Option<&Arc<FloatHistogram>> {
        let column = self.histograms.as_deref()?;
        let at = u32::try_from(at).ok()?;
        column.binary_search_by_key(&at, |(i, _)| *i).ok().map(|i| &column[i].1)
    }

    /// The cell at `step`.
    #[must_use]
    #[inline]
    pub fn get(&self, step: usize) -> Option<Cell<'_>> {
        let at = step.checked_sub(self.first)?;
        if at >= self.values.len() || !self.has(at) {
            return None;
        }
        Some(match self.histogram(at) {
            Some(h) => Cell::Histogram(h),
            None => Cell::Float(self.values[at]),
        })
    }

    /// Each present step with its cell, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Cell<'_>)> {
        (0..self.values.len()).filter(|at| self.has(*at)).map(|at| {
            let cell = match self.histogram(at) {
                Some(h) => Cell::Histogram(h),
                None => Cell::Float(self.values[at]),
            };
            (self.first + at, cell)
        })
    }

    /// Calls `f` with the bounds of each stretch of present cells.
    pub(crate) fn for_each_run(&self, mut f: impl FnMut(usize, usize)) {
        if self.count == self.values.len() {
            if self.count > 0 {
                f(self.first, self.first + self.count);
            }
            return;
        }
        let n = self.values.len();
        let mut at = 0;
        while let Some(from) = self.next_where(at, true) {
            let to = self.next_where(from, false).unwrap_or(n).min(n);
            f(self.first + from, self.first + to);
            at = to;
        }
    }

    /// The first place from `at` on whose presence is `wanted`.
    fn next_where(&self, at: usize, wanted: bool) -> Option<usize> {
        let flip = if wanted { 0 } else { u64::MAX };
        let mut word = at / 64;
        let mut bits = (self.present.get(word)? ^ flip) & (u64::MAX << (at % 64));
        while bits == 0 {
            word += 1;
            bits = self.present.get(word)? ^ flip;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// Each histogram with its step.
    pub(crate) fn histograms(&self) -> impl Iterator<Item = (usize, &Arc<FloatHistogram>)> {
        self.histograms.as_deref().into_iter().flatten().map(|(at, h)| (self.first + *at as usize, h))
    }

    /// Replaces each float by `f` of its step and itself. Histograms stay.
    pub(crate) fn map_floats(
        mut self,
        go_on: GoOn<'_>,
        f: impl Fn(usize, f64) -> f64,
    ) -> Result<Self, QueryError> {
        let first = self.first;
        stretches(0..self.values.len(), go_on, |r| {
            for (i, v) in r.clone().zip(&mut self.values[r]) {
                *v = f(first + i, *v);
            }
        })?;
        Ok(self)
    }

    /// Changes a copy of each histogram. Floats stay.
    pub(crate) fn map_histograms(mut self, f: impl Fn(&mut FloatHistogram)) -> Self {
        for (_, h) in self.histograms.as_deref_mut().into_iter().flatten() {
            f(Arc::make_mut(h));
        }
        self
    }

    /// The floats that `f` keeps, as it changes them, with their step; histograms are dropped.
    pub(crate) fn filter_map_floats(
        &self,
        go_on: GoOn<'_>,
        mut f: impl FnMut(usize, f64) -> Option<f64>,
    ) -> Result<Self, QueryError> {
        let mut out = Self::with_capacity(self.values.len());
        let mut pulse = Pulse::new(go_on);
        for (step, cell) in self.iter() {
            pulse.beat(1)?;
            if let Cell::Float(v) = cell
                && let Some(v) = f(step, v)
            {
                out.push(step, v);
            }
        }
        Ok(out)
    }

    /// The floats alone.
    pub(crate) fn without_histograms(self, go_on: GoOn<'_>) -> Result<Self, QueryError> {
        if self.histograms.is_none() { Ok(self) } else { self.filter_map_floats(go_on, |_, v| Some(v)) }
    }

    /// The cell of step 0 at each of `steps` steps: what does not depend on the step.
    pub(crate) fn broadcast(&self, steps: usize, go_on: GoOn<'_>) -> Result<Self, QueryError> {
        let Some(cell) = self.get(0) else { return Ok(Self::new()) };
        let mut values = Vec::with_capacity(steps);
        let v = if let Cell::Float(v) = cell { v } else { 0.0 };
        stretches(0..steps, go_on, |r| values.resize(r.end, v))?;
        let mut out = Self::dense(0, values);
        if let Cell::Histogram(h) = cell {
            let mut column = HistogramColumn::with_capacity(steps);
            stretches(0..steps, go_on, |r| column.extend(r.map(|at| (at as u32, h.clone()))))?;
            out.histograms = Some(Box::new(column));
        }
        Ok(out)
    }

    /// Both rows' cells in one row.
    ///
    /// # Errors
    /// Where both have one at the same step.
    pub(crate) fn merge(&self, other: &Self, go_on: GoOn<'_>) -> Result<Self, QueryError> {
        if self.is_empty() {
            return Ok(other.clone());
        }
        let mut pulse = Pulse::new(go_on);
        let (lo, hi) = (self.first.min(other.first), self.span().1.max(other.span().1));
        let mut out = Self::with_capacity(hi - lo);
        for step in lo..hi {
            pulse.beat(1)?;
            match (self.get(step), other.get(step)) {
                (Some(_), Some(_)) => return Err(QueryError::duplicates()),
                (Some(c), None) | (None, Some(c)) => out.push_cell(step, c),
                (None, None) => {}
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(r: &Row) -> Vec<(usize, f64)> {
        r.iter()
            .map(|(s, c)| match c {
                Cell::Float(v) => (s, v),
                Cell::Histogram(_) => panic!("no histogram here"),
            })
            .collect()
    }

    #[test]
    fn keeps_cells_and_gaps() {
        let mut r = Row::new();
        for s in [3, 4, 70, 131] {
            r.push(s, s as f64);
        }
        assert_eq!((r.count(), r.span()), (4, (3, 132)));
        assert_eq!(floats(&r), [(3, 3.0), (4, 4.0), (70, 70.0), (131, 131.0)]);
        assert!(r.get(2).is_none() && r.get(5).is_none() && r.get(132).is_none());
        assert!(r.as_dense().is_none());
        let runs = |r: &Row| {
            let mut out = Vec::new();
            r.for_each_run(|from, to| out.push((from, to)));
            out
        };
        assert_eq!(runs(&r), [(3, 5), (70, 71), (131, 132)]);
        assert_eq!(runs(&Row::dense(7, vec![0.0; 64])), [(7, 71)]);
        assert_eq!(runs(&Row::new()), []);
        let mut long = Row::new();
        (0..64).chain(65..200).for_each(|s| long.push(s, 0.0));
        assert_eq!(runs(&long), [(0, 64), (65, 200)]);
        assert_eq!(floats(&Row::dense(1, vec![5.0; 65])).len(), 65);
    }

    #[test]
    fn histograms_have_their_own_column() {
        let mut r = Row::new();
        r.push(1, 1.0);
        r.push_histogram(2, Arc::default());
        r.push(4, 4.0);
        assert!(matches!(r.get(2), Some(Cell::Histogram(_))));
        assert_eq!(floats(&r.clone().without_histograms(&|| Ok(())).unwrap()), [(1, 1.0), (4, 4.0)]);
        assert_eq!(r.count(), 3);
    }

    #[test]
    fn merges_disjoint_rows_only() {
        let (mut a, mut b) = (Row::new(), Row::new());
        a.push(1, 1.0);
        a.push(5, 5.0);
        b.push(3, 3.0);
        assert_eq!(floats(&a.merge(&b, &|| Ok(())).unwrap()), [(1, 1.0), (3, 3.0), (5, 5.0)]);
        b.push(5, 0.0);
        assert!(a.merge(&b, &|| Ok(())).is_err());
    }
}
