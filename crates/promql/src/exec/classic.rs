//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction` over classic histograms:
//! buckets are gathered at each step.

use std::collections::HashMap;

use model::Labels;
use model::float::parse_go_float;

use super::{Column, Exec, Head, SeriesRow, Stream, count_values};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::buckets::{self, Bucket, Monotonicity};
use crate::functions::stretch::Pulse;
use crate::grid::Grid;
use crate::labels::without;
use crate::plan::{Call, Node, Place, Plan};
use crate::row::{Cell, Row};

/// The label that holds a bucket's upper bound.
const BUCKET_LABEL: &str = "le";

/// The series of a vector, by the histogram they belong to.
struct Histograms {
    rows: Vec<SeriesRow>,
    /// For each series its histogram and upper bound; none where the bound is malformed.
    place: Vec<Option<(usize, f64)>>,
    heads: Vec<Head>,
}

fn upper_bound(le: &str) -> Option<f64> {
    parse_go_float(le.as_bytes()).filter(|v| !v.is_nan())
}

impl Histograms {
    fn gather(rows: Vec<SeriesRow>) -> Self {
        let mut known: HashMap<Labels, usize> = HashMap::new();
        let mut heads = Vec::new();
        let place = rows
            .iter()
            .map(|r| {
                let le = r.head.labels.get(BUCKET_LABEL).unwrap_or("");
                let upper = upper_bound(le)?;
                let key = without(&r.head.labels, BUCKET_LABEL);
                let at = *known.entry(key).or_insert_with_key(|key| {
                    heads.push(Head::new(key.clone()));
                    heads.len() - 1
                });
                Some((at, upper))
            })
            .collect();
        Self { rows, place, heads }
    }

    /// Calls `f` with each histogram's number and buckets at each step.
    fn each(
        &self,
        exec: &Exec<'_>,
        grid: Grid,
        span: Place,
        mut f: impl FnMut(usize, usize, &mut Vec<Bucket>),
    ) -> Result<(), QueryError> {
        let mut gathered: Vec<Vec<Bucket>> = vec![Vec::new(); self.heads.len()];
        let mut warned = vec![false; self.rows.len()];
        let go_on = || exec.check();
        let mut pulse = Pulse::new(&go_on);
        for step in 0..grid.steps {
            pulse.beat(1 + self.rows.len())?;
            for (i, r) in self.rows.iter().enumerate() {
                match (r.row.get(step), self.place[i]) {
                    (None, _) => {}
                    (Some(Cell::Histogram(_)), _) => {
                        return Err(QueryError::histogram("histogram functions"));
                    }
                    (Some(Cell::Float(count)), Some((at, upper))) => {
                        gathered[at].push(Bucket { upper, count })
                    }
                    (Some(Cell::Float(_)), None) => {
                        if !std::mem::replace(&mut warned[i], true) {
                            let labels = &r.head.labels;
                            let le = labels.get(BUCKET_LABEL).unwrap_or("");
                            exec.annotate(Annotation::bad_bucket_label(exec.shown_name(labels), le, span));
                        }
                    }
                }
            }
            for (i, b) in gathered.iter_mut().enumerate() {
                if !b.is_empty() {
                    f(i, step, b);
                    b.clear();
                }
            }
        }
        Ok(())
    }
}

impl<'e> Exec<'e> {
    fn histograms_of(&'e self, arg: &'e Plan) -> Result<Histograms, QueryError> {
        let input = self.eval_vector(arg)?;
        Ok(Histograms::gather(self.collect(input)?))
    }

    fn finish(&self, h: &Histograms, out: Vec<SeriesRow>) -> Result<Stream<'e>, QueryError> {
        self.release(&h.rows);
        self.budget.take(out.iter().map(|r| r.row.weight()).sum())?;
        let out = Stream::Ready(out.into_iter().filter(|r| !r.row.is_empty()).collect());
        self.distinct_if_renamed(out)
    }

    fn warn_quantiles(&self, quantiles: &[f64], span: Place) {
        let mut last = None;
        for q in quantiles {
            if !(0.0..=1.0).contains(q) && last != Some(q.to_bits()) {
                last = Some(q.to_bits());
                self.annotate(Annotation::invalid_quantile(*q, span));
            }
        }
    }

    fn note_monotonicity(&self, fix: Option<Monotonicity>, head: &Head, span: Place, t_ms: i64) {
        if let Some(fix) = fix {
            self.annotate(Annotation::forced_monotonicity(self.shown_name(&head.labels), span, t_ms, &fix));
        }
    }

    pub(super) fn histogram_quantile(&'e self, c: &'e Call, grid: Grid) -> Result<Stream<'e>, QueryError> {
        let q = self.eval_scalar(&c.args[0])?;
        let h = self.histograms_of(&c.args[1])?;
        self.warn_quantiles(&q, c.args[0].span);
        let span = c.args[1].span;
        let mut out: Vec<SeriesRow> =
            h.heads.iter().map(|head| SeriesRow { head: self.renamed(head), row: Row::new() }).collect();
        h.each(self, grid, span, |i, step, buckets| {
            let (v, fix) = buckets::quantile(q[step], buckets);
            self.note_monotonicity(fix, &h.heads[i], span, grid.time(step));
            out[i].row.push(step, v);
        })?;
        self.finish(&h, out)
    }

    pub(super) fn histogram_fraction(&'e self, c: &'e Call, grid: Grid) -> Result<Stream<'e>, QueryError> {
        let (lower, upper) = (self.eval_scalar(&c.args[0])?, self.eval_scalar(&c.args[1])?);
        let h = self.histograms_of(&c.args[2])?;
        let mut out: Vec<SeriesRow> =
            h.heads.iter().map(|head| SeriesRow { head: self.renamed(head), row: Row::new() }).collect();
        h.each(self, grid, c.args[2].span, |i, step, buckets| {
            out[i].row.push(step, buckets::fraction(lower[step], upper[step], buckets));
        })?;
        self.finish(&h, out)
    }

    pub(super) fn histogram_quantiles(&'e self, c: &'e Call, grid: Grid) -> Result<Stream<'e>, QueryError> {
        let span = c.args[0].span;
        let label = match &c.args[1].node {
            Node::String(s) if count_values::is_label_name(s) => s.as_str(),
            _ => return Err(QueryError::execution("invalid quantile label name in histogram_quantiles()")),
        };
        let h = self.histograms_of(&c.args[0])?;
        let mut out: Vec<SeriesRow> = Vec::new();
        let mut place: HashMap<(usize, u64), usize> = HashMap::new();
        let quantiles: Vec<Column<'_>> =
            c.args[2..].iter().map(|a| self.eval_scalar(a)).collect::<Result<_, _>>()?;
        for (q, arg) in quantiles.iter().zip(&c.args[2..]) {
            self.warn_quantiles(q, arg.span);
        }
        let mut failed = None;
        h.each(self, grid, span, |i, step, buckets| {
            for q in quantiles.iter().map(|q| q[step]) {
                let (v, fix) = buckets::quantile(q, &mut buckets.clone());
                self.note_monotonicity(fix, &h.heads[i], span, grid.time(step));
                let at = *place.entry((i, q.to_bits())).or_insert_with(|| {
                    let mut text = Vec::new();
                    model::float::append_open_metrics(q, &mut text);
                    let text = String::from_utf8_lossy(&text).into_owned();
                    let mut head = self.renamed(&h.heads[i]);
                    head.labels = head.labels.to_builder().set(label, &text).build();
                    out.push(SeriesRow { head, row: Row::new() });
                    out.len() - 1
                });
                if out[at].row.get(step).is_some() {
                    failed = Some(QueryError::duplicates());
                } else {
                    out[at].row.push(step, v);
                }
            }
        })?;
        match failed {
            Some(e) => Err(e),
            None => self.finish(&h, out),
        }
    }
}
