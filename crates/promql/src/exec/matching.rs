//! Arithmetic and comparison between two vectors: which elements pair up, and what becomes of
//! their labels.

use std::collections::HashMap;

use model::Labels;
use promql_syntax::BinaryOp;
use promql_syntax::ast::{MatchCardinality, VectorMatching};

use super::binary::{Outcome, Remarks, element};
use super::{Exec, Head, SeriesRow, Stream};
use crate::error::QueryError;
use crate::functions::math;
use crate::functions::stretch::{LABELS, Pulse, stretches};
use crate::grid::Grid;
use crate::labels::{is_metadata, match_group};
use crate::plan::{Binary, Place, Plan};
use crate::row::{Cell, Row};

/// An operation whose sides are swapped, if need be, so that the right one is that of "one".
struct Matching<'a, 'e> {
    exec: &'a Exec<'e>,
    op: BinaryOp,
    m: &'a VectorMatching,
    return_bool: bool,
    swapped: bool,
    span: Place,
    grid: Grid,
    many: Vec<SeriesRow>,
    one: Vec<SeriesRow>,
    /// The match group of each series.
    many_group: Vec<usize>,
    one_group: Vec<usize>,
    /// The labels of each match group.
    groups: Vec<Labels>,
}

/// A series, or the value that fills in for one that is missing, with its group's labels.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Series(usize),
    Fill(usize),
}

/// Output rows of a step-by-step match.
#[derive(Default)]
struct Output {
    rows: Vec<SeriesRow>,
    by_pair: HashMap<(Side, Side), usize>,
    by_labels: HashMap<Labels, usize>,
}

/// Which groups have found partners at this step.
struct Matched {
    /// One to one: whether.
    once: Vec<bool>,
    /// Otherwise: with which output rows.
    rows: Vec<Vec<usize>>,
}

impl<'e> Exec<'e> {
    pub(super) fn match_vectors(
        &self,
        b: &Binary,
        m: &VectorMatching,
        lhs: Stream<'e>,
        rhs: Stream<'e>,
        plan: &Plan,
    ) -> Result<Stream<'e>, QueryError> {
        let (lhs, rhs) = (self.collect(lhs)?, self.collect(rhs)?);
        let swapped = m.card == MatchCardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let mut known: HashMap<Labels, usize> = HashMap::new();
        let mut groups = Vec::new();
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        let mut group_of = |r: &SeriesRow| {
            pulse.beat(LABELS)?;
            let key = match_group(&r.head.labels, m.on, &m.matching_labels);
            Ok(*known.entry(key).or_insert_with_key(|key| {
                groups.push(key.clone());
                groups.len() - 1
            }))
        };
        let many_group = many.iter().map(&mut group_of).collect::<Result<_, QueryError>>()?;
        let one_group = one.iter().map(&mut group_of).collect::<Result<_, QueryError>>()?;
        let matching = Matching {
            exec: self,
            op: b.op,
            m,
            return_bool: b.return_bool,
            swapped,
            span: plan.span,
            grid: plan.grid,
            many,
            one,
            many_group,
            one_group,
            groups,
        };
        let rows = match matching.row_by_row()? {
            Some(rows) => rows,
            None => matching.step_by_step()?,
        };
        self.release(&matching.many);
        self.release(&matching.one);
        self.budget.take(rows.iter().map(|r| r.row.weight()).sum())?;
        Ok(Stream::Ready(rows))
    }
}

impl Matching<'_, '_> {
    /// One element of "many" with one of "one".
    #[inline]
    fn element(&self, many: Cell<'_>, one: Cell<'_>) -> Outcome {
        if self.swapped { element(self.op, one, many) } else { element(self.op, many, one) }
    }

    /// The head of the result of two series.
    fn head(&self, many: &Labels, one: &Labels) -> Head {
        let mut b = many.to_builder();
        let renames =
            math::changes_metric(self.op) || self.return_bool && !self.exec.opts.delayed_name_removal;
        if renames {
            b.retain(|n, _| !is_metadata(n));
        }
        if self.m.card == MatchCardinality::OneToOne {
            let listed = |n: &str| self.m.matching_labels.iter().any(|l| l == n);
            b.retain(|n, _| listed(n) == self.m.on);
        }
        for name in &self.m.include {
            b.set(name, one.get(name).unwrap_or(""));
        }
        Head { labels: b.build(), drop_name: self.return_bool }
    }

    /// The common case, a whole row at a time: every group has at most one series on the side of
    /// "one" (on both sides if one to one), and the results' labels differ. None otherwise.
    fn row_by_row(&self) -> Result<Option<Vec<SeriesRow>>, QueryError> {
        if self.m.fill.lhs.is_some() || self.m.fill.rhs.is_some() {
            return Ok(None);
        }
        let mut partner: Vec<Option<usize>> = vec![None; self.groups.len()];
        for (i, g) in self.one_group.iter().enumerate() {
            if partner[*g].replace(i).is_some() {
                return Ok(None);
            }
        }
        if self.m.card == MatchCardinality::OneToOne {
            let mut seen = vec![false; self.groups.len()];
            if self.many_group.iter().any(|g| std::mem::replace(&mut seen[*g], true)) {
                return Ok(None);
            }
        }
        let pairs = self.many_group.iter().enumerate().filter_map(|(i, g)| Some((i, partner[*g]?)));
        let mut out: Vec<(Head, usize, usize)> = Vec::new();
        let mut labels: HashMap<Labels, ()> = HashMap::new();
        let go_on = || self.exec.check();
        let mut pulse = Pulse::new(&go_on);
        for (i, j) in pairs {
            pulse.beat(LABELS)?;
            let head = self.head(&self.many[i].head.labels, &self.one[j].head.labels);
            if labels.insert(head.labels.clone(), ()).is_some() {
                return Ok(None);
            }
            out.push((head, i, j));
        }
        let mut rows = Vec::with_capacity(out.len());
        let mut remarks = Remarks::default();
        for (head, i, j) in out {
            self.exec.check()?;
            let row = self.rows(&self.many[i].row, &self.one[j].row, &mut remarks)?;
            if !row.is_empty() {
                rows.push(SeriesRow { head, row });
            }
        }
        remarks.tell(self.exec, self.op, self.span);
        Ok(Some(rows))
    }

    fn rows(&self, many: &Row, one: &Row, remarks: &mut Remarks) -> Result<Row, QueryError> {
        let lo = many.span().0.max(one.span().0);
        let hi = many.span().1.min(one.span().1);
        if lo >= hi {
            return Ok(Row::new());
        }
        if let (Some((m0, m)), Some((o0, o))) = (many.as_dense(), one.as_dense())
            && math::changes_metric(self.op)
        {
            let (m, o) = (&m[lo - m0..hi - m0], &o[lo - o0..hi - o0]);
            let (op, swapped) = (self.op, self.swapped);
            let mut values = Vec::with_capacity(hi - lo);
            stretches(0..hi - lo, &|| self.exec.check(), |r| {
                values.extend(m[r.clone()].iter().zip(&o[r]).filter_map(|(m, o)| {
                    if swapped { math::arithmetic(op, *o, *m) } else { math::arithmetic(op, *m, *o) }
                }));
            })?;
            return Ok(Row::dense(lo, values));
        }
        let mut row = Row::with_capacity(hi - lo);
        let go_on = || self.exec.check();
        let mut pulse = Pulse::new(&go_on);
        for step in lo..hi {
            pulse.beat(1)?;
            if let (Some(a), Some(b)) = (many.get(step), one.get(step))
                && let Some(v) = remarks.value(step, self.element(a, b), self.return_bool)?
            {
                row.push_value(step, v);
            }
        }
        Ok(row)
    }

    fn step_by_step(&self) -> Result<Vec<SeriesRow>, QueryError> {
        let n = self.groups.len();
        let (fill_many, fill_one) = match self.swapped {
            false => (self.m.fill.lhs, self.m.fill.rhs),
            true => (self.m.fill.rhs, self.m.fill.lhs),
        };
        let mut out = Output::default();
        let mut partner: Vec<Option<usize>> = vec![None; n];
        let mut matched = Matched { once: vec![false; n], rows: vec![Vec::new(); n] };
        let mut remarks = Remarks::default();
        let go_on = || self.exec.check();
        let mut pulse = Pulse::new(&go_on);
        for step in 0..self.grid.steps {
            pulse.beat(1 + self.groups.len() + 2 * (self.many.len() + self.one.len()))?;
            partner.fill(None);
            matched.once.fill(false);
            matched.rows.iter_mut().for_each(Vec::clear);
            let some_many = self.many.iter().any(|r| r.row.get(step).is_some());
            let some_one = self.one.iter().any(|r| r.row.get(step).is_some());
            if !some_many && !some_one
                || (!some_many || !some_one) && fill_many.is_none() && fill_one.is_none()
            {
                continue;
            }
            for (j, g) in self.one_group.iter().enumerate() {
                if self.one[j].row.get(step).is_none() {
                    continue;
                }
                if let Some(other) = partner[*g].replace(j) {
                    return Err(self.duplicate(*g, other, j));
                }
            }
            for (i, g) in self.many_group.iter().enumerate() {
                let Some(cell) = self.many[i].row.get(step) else { continue };
                let (side, one) = match (partner[*g], fill_one) {
                    (Some(j), _) => match self.one[j].row.get(step) {
                        Some(one) => (Side::Series(j), one),
                        None => continue,
                    },
                    (None, Some(v)) => (Side::Fill(*g), Cell::Float(v)),
                    (None, None) => continue,
                };
                let value = self.element(cell, one);
                self.put(step, (Side::Series(i), side), *g, value, &mut matched, &mut out, &mut remarks)?;
            }
            let Some(fill) = fill_many else { continue };
            for (j, g) in self.one_group.iter().enumerate() {
                let Some(one) = self.one[j].row.get(step) else { continue };
                if matched.once[*g] || !matched.rows[*g].is_empty() {
                    continue;
                }
                let value = self.element(Cell::Float(fill), one);
                self.put(
                    step,
                    (Side::Fill(*g), Side::Series(j)),
                    *g,
                    value,
                    &mut matched,
                    &mut out,
                    &mut remarks,
                )?;
            }
        }
        remarks.tell(self.exec, self.op, self.span);
        out.rows.retain(|r| !r.row.is_empty());
        Ok(out.rows)
    }

    #[allow(clippy::too_many_arguments)]
    fn put(
        &self,
        step: usize,
        pair: (Side, Side),
        group: usize,
        outcome: Outcome,
        matched: &mut Matched,
        out: &mut Output,
        remarks: &mut Remarks,
    ) -> Result<(), QueryError> {
        let counts = matches!(outcome, Outcome::Float(..) | Outcome::Histogram(..));
        let value = remarks.value(step, outcome, self.return_bool)?;
        if !counts {
            return Ok(());
        }
        let at = out.place(self, pair);
        if self.m.card == MatchCardinality::OneToOne {
            if std::mem::replace(&mut matched.once[group], true) {
                return Err(QueryError::execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
        } else {
            if matched.rows[group].contains(&at) {
                return Err(QueryError::execution(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                ));
            }
            matched.rows[group].push(at);
        }
        if let Some(v) = value {
            let row = &mut out.rows[at].row;
            if row.get(step).is_some() {
                return Err(QueryError::duplicates());
            }
            row.push_value(step, v);
        }
        Ok(())
    }

    fn labels(&self, side: Side, of: &[SeriesRow]) -> Labels {
        match side {
            Side::Series(i) => of[i].head.labels.clone(),
            Side::Fill(g) => self.groups[g].clone(),
        }
    }

    fn duplicate(&self, group: usize, a: usize, b: usize) -> QueryError {
        let mut shown = [a, b].map(|i| self.one[i].head.labels.to_string());
        shown.sort_unstable();
        let side = if self.swapped { "left" } else { "right" };
        QueryError::Execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
            self.groups[group], shown[0], shown[1],
        ))
    }
}

impl Output {
    /// The row of a pair; pairs of equal result labels share one.
    fn place(&mut self, m: &Matching<'_, '_>, pair: (Side, Side)) -> usize {
        if let Some(at) = self.by_pair.get(&pair) {
            return *at;
        }
        let head = m.head(&m.labels(pair.0, &m.many), &m.labels(pair.1, &m.one));
        let rows = &mut self.rows;
        let at = *self.by_labels.entry(head.labels.clone()).or_insert_with(|| {
            rows.push(SeriesRow { head, row: Row::new() });
            rows.len() - 1
        });
        self.by_pair.insert(pair, at);
        at
    }
}
