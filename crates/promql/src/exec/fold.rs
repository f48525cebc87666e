//! Aggregations that add each row to its group's and drop it: sum, avg, min, max, count, group,
//! stddev, stdvar.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::FloatHistogram;

use promql_syntax::AggregateOp;

use super::aggregate::Groups;
use super::{Exec, Head, Scratch, SeriesRow, Stream};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::kahan::{self, Mean};
use crate::functions::native::{self, Notes, Total};
use crate::functions::stretch::{GoOn, Pulse, stretches};
use crate::grid::Grid;
use crate::plan::{Aggregate, Place};
use crate::row::{Cell, Row};

/// What a group has seen at each step. What the columns hold depends on the operator.
struct GroupRow {
    /// Elements seen; 0 where there is none.
    n: Vec<u32>,
    /// sum: sum. avg: sum or mean. min, max: the extreme. stddev, stdvar: mean.
    a: Vec<f64>,
    /// sum, avg: compensation. stddev, stdvar: sum of squared differences.
    b: Vec<f64>,
    /// avg: whether `a` is a mean rather than a sum.
    incremental: Vec<bool>,
    /// sum, avg: the histograms of each step; empty while there are none.
    h: Vec<Option<Box<Histograms>>>,
}

/// What a group has seen of histograms at one step.
struct Histograms {
    total: Total,
    state: State,
}

/// What becomes of a group's histograms at a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// They are added up.
    Adding,
    /// Floats were first. The two do not mix, so none is added up.
    AfterFloats,
    /// Exponential and custom buckets have met: there will be no result, and what follows is not looked at.
    Incompatible {
        /// Whether there were floats by then.
        mixed: bool,
    },
}

/// What `a` holds where nothing has been seen.
fn nothing_seen(op: AggregateOp) -> f64 {
    match op {
        // What any value is taken over by: nothing is smaller or larger than NaN.
        AggregateOp::Min | AggregateOp::Max => f64::NAN,
        // The one zero that leaves all values as they are.
        AggregateOp::Sum => -0.0,
        _ => 0.0,
    }
}

impl GroupRow {
    fn new(op: AggregateOp, steps: usize) -> Self {
        use AggregateOp as Op;
        let column = |wanted, v| if wanted { vec![v; steps] } else { Vec::new() };
        Self {
            n: vec![0; steps],
            a: column(!matches!(op, Op::Count | Op::Group), nothing_seen(op)),
            b: column(matches!(op, Op::Sum | Op::Avg | Op::Stddev | Op::Stdvar), 0.0),
            incremental: if op == Op::Avg { vec![false; steps] } else { Vec::new() },
            h: Vec::new(),
        }
    }

    /// As new, in the same memory.
    fn clear(&mut self, op: AggregateOp) {
        self.n.fill(0);
        self.a.fill(nothing_seen(op));
        self.b.fill(0.0);
        self.incremental.fill(false);
        self.h.clear();
    }

    /// Calls `f` for each float of the row; says whether there were histograms.
    fn floats(
        &mut self,
        row: &Row,
        go_on: GoOn<'_>,
        f: impl Fn(&mut Self, usize, f64),
    ) -> Result<bool, QueryError> {
        if let Some((first, values)) = row.as_dense() {
            stretches(0..values.len(), go_on, |r| {
                for (i, v) in r.clone().zip(&values[r]) {
                    f(self, first + i, *v);
                }
            })?;
            return Ok(false);
        }
        let mut histograms = false;
        let mut pulse = Pulse::new(go_on);
        for (step, cell) in row.iter() {
            pulse.beat(1)?;
            match cell {
                Cell::Float(v) => f(self, step, v),
                Cell::Histogram(_) => histograms = true,
            }
        }
        Ok(histograms)
    }

    /// Adds values from `first` on, one at each step, for the operators that do so in one pass over
    /// the columns.
    fn add_columns(&mut self, op: AggregateOp, first: usize, values: &[f64]) {
        let steps = first..first + values.len();
        for n in &mut self.n[steps.clone()] {
            *n += 1;
        }
        match op {
            AggregateOp::Sum => kahan::inc_columns(values, &mut self.a[steps.clone()], &mut self.b[steps]),
            AggregateOp::Min => {
                for (a, v) in self.a[steps].iter_mut().zip(values) {
                    *a = if *a > *v || a.is_nan() { *v } else { *a };
                }
            }
            AggregateOp::Max => {
                for (a, v) in self.a[steps].iter_mut().zip(values) {
                    *a = if *a < *v || a.is_nan() { *v } else { *a };
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, op: AggregateOp, row: &Row, go_on: GoOn<'_>) -> Result<bool, QueryError> {
        use AggregateOp as Op;
        if matches!(op, Op::Sum | Op::Min | Op::Max | Op::Count | Op::Group)
            && let Some((first, values)) = row.as_dense()
        {
            stretches(0..values.len(), go_on, |r| self.add_columns(op, first + r.start, &values[r]))?;
            return Ok(false);
        }
        match op {
            AggregateOp::Sum => self.floats(row, go_on, Self::sum),
            AggregateOp::Avg => self.floats(row, go_on, Self::avg),
            AggregateOp::Min => self.floats(row, go_on, |g, s, v| g.best(s, v, |old, new| old > new)),
            AggregateOp::Max => self.floats(row, go_on, |g, s, v| g.best(s, v, |old, new| old < new)),
            AggregateOp::Stddev | AggregateOp::Stdvar => self.floats(row, go_on, Self::variance),
            _ => {
                let mut pulse = Pulse::new(go_on);
                for (step, _) in row.iter() {
                    pulse.beat(1)?;
                    self.n[step] += 1;
                }
                Ok(false)
            }
        }
    }

    #[inline]
    fn sum(&mut self, s: usize, v: f64) {
        (self.a[s], self.b[s]) = kahan::inc(v, self.a[s], self.b[s]);
        self.n[s] += 1;
    }

    /// Adds the histograms of a row of `metric`.
    fn add_histograms(&mut self, fold: &Fold<'_, '_>, row: &Row, metric: &str) -> Result<(), QueryError> {
        let go_on = || fold.exec.check();
        let mut pulse = Pulse::new(&go_on);
        self.h.resize_with(self.n.len(), || None);
        for (step, cell) in row.iter() {
            let Cell::Histogram(h) = cell else { continue };
            pulse.beat(100)?;
            let Some(seen) = &mut self.h[step] else {
                fold.exec.budget.take(h.size() / 16)?;
                let state = if self.n[step] > 0 { State::AfterFloats } else { State::Adding };
                self.h[step] = Some(Box::new(Histograms { total: Total::start(h), state }));
                continue;
            };
            if seen.state != State::Adding {
                continue;
            }
            let is_mean = fold.op == AggregateOp::Avg;
            let added = if is_mean { seen.total.add_to_mean(h) } else { seen.total.add_to_sum(h) };
            let mut notes = Notes::default();
            let added = native::unless_mixed(added, &mut notes).map_err(QueryError::unsound)?;
            if added.is_none() {
                seen.state = State::Incompatible { mixed: self.n[step] > 0 };
            }
            fold.exec.annotate_native(notes, metric, fold.span);
        }
        Ok(())
    }

    /// Adds the histograms that another group row has seen after this one.
    fn merge_histograms(&mut self, fold: &Fold<'_, '_>, other: Vec<Option<Box<Histograms>>>) {
        self.h.resize_with(self.n.len(), || None);
        for ((seen, other), n) in self.h.iter_mut().zip(other).zip(&self.n) {
            let Some(mut other) = other else { continue };
            let Some(seen) = seen else {
                if *n > 0 {
                    other.state = State::AfterFloats;
                }
                *seen = Some(other);
                continue;
            };
            if seen.state != State::Adding {
                continue;
            }
            let mixed = *n > 0 || other.state == State::AfterFloats;
            if let State::Incompatible { mixed: also } = other.state {
                seen.state = State::Incompatible { mixed: mixed || also };
            } else if seen.total.merge(other.total, fold.op == AggregateOp::Avg).is_err() {
                seen.state = State::Incompatible { mixed };
                fold.exec.annotate_native(Notes::MIXED_SCHEMAS, "", fold.span);
            }
        }
    }

    /// The histogram of a step.
    fn finish_histogram(fold: &Fold<'_, '_>, seen: Histograms) -> Result<Option<FloatHistogram>, QueryError> {
        let notes = seen.total.notes();
        if seen.state != State::Adding {
            if notes.has(Notes::BOUNDS_IN_AGGREGATION) {
                fold.exec.annotate_native(Notes::BOUNDS_IN_AGGREGATION, "", fold.span);
            }
            return Ok(None);
        }
        let out = if fold.op == AggregateOp::Avg { seen.total.mean() } else { seen.total.sum() };
        let mut out = out.map_err(QueryError::unsound)?;
        out.compact(0);
        fold.exec.annotate_native(notes, "", fold.span);
        Ok(Some(out))
    }

    fn mean(&self, s: usize) -> Mean {
        Mean { count: f64::from(self.n[s]), value: self.a[s], c: self.b[s], incremental: self.incremental[s] }
    }

    fn set_mean(&mut self, s: usize, m: Mean) {
        (self.a[s], self.b[s], self.incremental[s]) = (m.value, m.c, m.incremental);
    }

    #[inline]
    fn avg(&mut self, s: usize, v: f64) {
        if self.n[s] == 0 {
            self.a[s] = v;
        } else {
            let mut m = self.mean(s);
            m.add(v);
            self.set_mean(s, m);
        }
        self.n[s] += 1;
    }

    #[inline]
    fn best(&mut self, s: usize, v: f64, replace: impl Fn(f64, f64) -> bool) {
        if replace(self.a[s], v) || self.a[s].is_nan() {
            self.a[s] = v;
        }
        self.n[s] += 1;
    }

    #[inline]
    fn variance(&mut self, s: usize, v: f64) {
        self.n[s] += 1;
        if self.n[s] == 1 {
            self.a[s] = v;
            self.b[s] = if v.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = v - self.a[s];
        self.a[s] += delta / f64::from(self.n[s]);
        self.b[s] += delta * (v - self.a[s]);
    }

    /// Adds what another group row has seen after this one.
    fn merge(&mut self, op: AggregateOp, o: &Self) {
        for s in 0..self.n.len() {
            if o.n[s] == 0 {
                continue;
            }
            let n = self.n[s];
            match op {
                AggregateOp::Count | AggregateOp::Group => {}
                _ if n == 0 => {
                    self.a[s] = o.a[s];
                    if let Some(b) = self.b.get_mut(s) {
                        *b = o.b[s];
                    }
                    if let Some(i) = self.incremental.get_mut(s) {
                        *i = o.incremental[s];
                    }
                }
                AggregateOp::Sum => {
                    (self.a[s], self.b[s]) = kahan::inc(o.a[s], self.a[s], self.b[s] + o.b[s]);
                }
                AggregateOp::Avg => {
                    let mut m = self.mean(s);
                    m.merge(o.mean(s));
                    self.set_mean(s, m);
                }
                AggregateOp::Min if self.a[s] > o.a[s] || self.a[s].is_nan() => self.a[s] = o.a[s],
                AggregateOp::Max if self.a[s] < o.a[s] || self.a[s].is_nan() => self.a[s] = o.a[s],
                AggregateOp::Stddev | AggregateOp::Stdvar => {
                    // Chan, Golub, LeVeque: Updating Formulae and a Pairwise Algorithm (1979).
                    let (x, y) = (f64::from(n), f64::from(o.n[s]));
                    let delta = o.a[s] - self.a[s];
                    self.a[s] += delta * y / (x + y);
                    self.b[s] += o.b[s] + delta * delta * x * y / (x + y);
                }
                _ => {}
            }
            self.n[s] += o.n[s];
        }
    }

    fn finish(mut self, fold: &Fold<'_, '_>, go_on: GoOn<'_>) -> Result<Row, QueryError> {
        let op = fold.op;
        let mut h = std::mem::take(&mut self.h);
        let floats = self.n.iter().position(|n| *n > 0).unwrap_or(self.n.len());
        let first = h.iter().position(Option::is_some).map_or(floats, |h| h.min(floats));
        let mut mixed = false;
        let mut row = Row::with_capacity(self.n.len() - first);
        let mut pulse = Pulse::new(go_on);
        for s in first..self.n.len() {
            pulse.beat(1)?;
            let n = f64::from(self.n[s]);
            if let Some(mut seen) = h.get_mut(s).and_then(Option::take) {
                match seen.state {
                    State::Adding if n > 0.0 => {
                        seen.state = State::Incompatible { mixed: true };
                        mixed = true;
                    }
                    State::Adding => {}
                    State::AfterFloats => mixed = true,
                    State::Incompatible { mixed: also } => mixed |= also,
                }
                if let Some(h) = Self::finish_histogram(fold, *seen)? {
                    row.push_histogram(s, Arc::new(h));
                }
                continue;
            }
            if n == 0.0 {
                continue;
            }
            row.push(
                s,
                match op {
                    AggregateOp::Sum => self.a[s] + self.b[s],
                    AggregateOp::Avg => self.mean(s).result(),
                    AggregateOp::Stdvar => self.b[s] / n,
                    AggregateOp::Stddev => (self.b[s] / n).sqrt(),
                    AggregateOp::Count => n,
                    AggregateOp::Group => 1.0,
                    _ => self.a[s],
                },
            );
        }
        if mixed {
            fold.exec.annotate(Annotation::mixed_floats_histograms_in_aggregation(fold.span));
        }
        Ok(row)
    }
}

/// Group rows of one partition, or of all so far.
#[derive(Default)]
struct Partial {
    place: HashMap<u32, usize>,
    /// The group that a row went to last, and its place: often that of the next, too.
    last: Option<(u32, usize)>,
    rows: Vec<(u32, GroupRow)>,
}

impl Partial {
    /// The place of a group; that of one which is new is behind all others.
    fn place_of(&mut self, group: u32) -> usize {
        match self.last {
            Some((last, at)) if last == group => at,
            _ => {
                let at = *self.place.entry(group).or_insert(self.rows.len());
                self.last = Some((group, at));
                at
            }
        }
    }
}

/// One fold: everything but the rows.
struct Fold<'a, 'e> {
    exec: &'a Exec<'e>,
    op: AggregateOp,
    span: Place,
    groups: &'a Groups,
    grid: Grid,
    /// Rows whose content has gone into others, for the partitions to come: threads that allocate what
    /// another one frees would otherwise take ever new memory.
    spare: Mutex<Vec<GroupRow>>,
}

impl Fold<'_, '_> {
    /// A row that has seen nothing; it counts as held in memory.
    fn empty_row(&self) -> Result<GroupRow, QueryError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut row) = spare {
            row.clear(self.op);
            return Ok(row);
        }
        self.exec.budget.take(self.grid.steps)?;
        Ok(GroupRow::new(self.op, self.grid.steps))
    }

    fn add(&self, to: &mut Partial, i: usize, row: &Row, metric: &Head) -> Result<(), QueryError> {
        if row.is_empty() {
            return Ok(());
        }
        let group = self.groups.of[i];
        let next = to.rows.len();
        let at = to.place_of(group);
        if at == next {
            to.rows.push((group, self.empty_row()?));
        }
        let histograms = to.rows[at].1.add(self.op, row, &|| self.exec.check())?;
        if histograms {
            if matches!(self.op, AggregateOp::Sum | AggregateOp::Avg) {
                return to.rows[at].1.add_histograms(self, row, metric.labels.metric_name());
            }
            self.exec.annotate(Annotation::histogram_ignored_in_aggregation(self.op.as_str(), self.span));
        }
        Ok(())
    }

    fn merge(&self, to: &mut Partial, from: Partial) {
        let mut spare = Vec::with_capacity(from.rows.len());
        for (group, mut row) in from.rows {
            let next = to.rows.len();
            let at = to.place_of(group);
            if at == next {
                to.rows.push((group, row));
            } else {
                if !row.h.is_empty() {
                    to.rows[at].1.merge_histograms(self, std::mem::take(&mut row.h));
                }
                to.rows[at].1.merge(self.op, &row);
                spare.push(row);
            }
        }
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).append(&mut spare);
    }
}

impl<'e> Exec<'e> {
    pub(super) fn fold(
        &'e self,
        a: &'e Aggregate,
        input: Stream<'e>,
        grid: Grid,
    ) -> Result<Stream<'e>, QueryError> {
        let groups = Groups::find((0..input.len()).map(|i| input.head(i)), &a.grouping, &|| self.check())?;
        let fold =
            Fold { exec: self, op: a.op, span: a.input.span, groups: &groups, grid, spare: Mutex::default() };
        let mut all = Partial::default();
        match input {
            Stream::Ready(rows) => {
                for (i, r) in rows.into_iter().enumerate() {
                    self.check()?;
                    fold.add(&mut all, i, &r.row, &r.head)?;
                    self.budget.give(r.row.weight());
                }
            }
            Stream::Lazy { heads, read } => {
                let work = |range: std::ops::Range<usize>, scratch: &mut Scratch| {
                    let mut part = Partial::default();
                    for i in range {
                        self.check()?;
                        let row = read(i, scratch)?;
                        self.budget.touch(row.weight())?;
                        fold.add(&mut part, i, &row, &heads[i])?;
                    }
                    Ok(part)
                };
                self.partitions(heads.len(), &work, |part| fold.merge(&mut all, part))?;
            }
        }
        let spare = std::mem::take(&mut *fold.spare.lock().unwrap_or_else(PoisonError::into_inner));
        self.budget.give(spare.len() * grid.steps);
        drop(spare);
        let mut out: Vec<Option<SeriesRow>> = groups.heads.iter().map(|_| None).collect();
        for (group, row) in all.rows {
            let row = row.finish(&fold, &|| self.check())?;
            self.budget.give(grid.steps);
            if !row.is_empty() {
                self.budget.take(row.weight())?;
                out[group as usize] = Some(SeriesRow { head: groups.heads[group as usize].clone(), row });
            }
        }
        Ok(Stream::Ready(out.into_iter().flatten().collect()))
    }
}
