//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction` over classic histograms:
//! buckets are gathered at each step.

use std::collections::HashMap;

use model::float::parse_go_float;
use model::{FloatHistogram, Labels};

use super::{Column, Exec, Head, SeriesRow, Stream, count_values};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::buckets::{self, Bucket, Monotonicity};
use crate::functions::native::{self, Notes};
use crate::functions::stretch::{GoOn, LABELS, Pulse};
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
    /// The same for its native histograms, if it has any.
    native: Vec<Option<usize>>,
    heads: Vec<Head>,
}

/// What a series has at a step.
enum Found<'a> {
    Classic(&'a mut Vec<Bucket>),
    Native(&'a FloatHistogram),
}

fn upper_bound(le: &str) -> Option<f64> {
    parse_go_float(le.as_bytes()).filter(|v| !v.is_nan())
}

impl Histograms {
    fn gather(rows: Vec<SeriesRow>, go_on: GoOn<'_>) -> Result<Self, QueryError> {
        let mut pulse = Pulse::new(go_on);
        let mut known: HashMap<Labels, usize> = HashMap::new();
        let mut heads = Vec::new();
        let mut place_of = |key: Labels| {
            *known.entry(key).or_insert_with_key(|key| {
                heads.push(Head::new(key.clone()));
                heads.len() - 1
            })
        };
        let (mut place, mut native) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for r in &rows {
            pulse.beat(LABELS)?;
            let labels = &r.head.labels;
            let upper = upper_bound(labels.get(BUCKET_LABEL).unwrap_or(""));
            place.push(upper.map(|upper| (place_of(without(labels, BUCKET_LABEL)), upper)));
            native.push(r.row.has_histograms().then(|| place_of(labels.clone())));
        }
        Ok(Self { rows, place, native, heads })
    }

    /// Calls `f` with each histogram's number and buckets at each step.
    fn each(
        &self,
        exec: &Exec<'_>,
        grid: Grid,
        span: Place,
        mut f: impl FnMut(usize, usize, Found<'_>),
    ) -> Result<(), QueryError> {
        let mut gathered: Vec<Vec<Bucket>> = vec![Vec::new(); self.heads.len()];
        let mut natives: Vec<Option<&FloatHistogram>> = vec![None; self.heads.len()];
        let mut warned = vec![false; self.rows.len()];
        let go_on = || exec.check();
        let mut pulse = Pulse::new(&go_on);
        for step in 0..grid.steps {
            pulse.beat(1 + self.rows.len())?;
            for (i, r) in self.rows.iter().enumerate() {
                match (r.row.get(step), self.place[i]) {
                    (None, _) => {}
                    (Some(Cell::Histogram(h)), _) => {
                        if let Some(at) = self.native[i] {
                            natives[at] = Some(h);
                        }
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
            for (i, (b, native)) in gathered.iter_mut().zip(&mut natives).enumerate() {
                match native.take() {
                    Some(h) if b.is_empty() => f(i, step, Found::Native(h)),
                    Some(_) => {
                        let name = exec.shown_name(&self.heads[i].labels);
                        exec.annotate(Annotation::mixed_classic_native(name, span));
                    }
                    None if !b.is_empty() => f(i, step, Found::Classic(b)),
                    None => {}
                }
                b.clear();
            }
        }
        Ok(())
    }
}

impl<'e> Exec<'e> {
    fn histograms_of(&'e self, arg: &'e Plan) -> Result<Histograms, QueryError> {
        let input = self.eval_vector(arg)?;
        Histograms::gather(self.collect(input)?, &|| self.check())
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

    fn quantile_of(&self, q: f64, found: Found<'_>, head: &Head, span: Place, t_ms: i64) -> f64 {
        match found {
            Found::Classic(b) => {
                let (v, fix) = buckets::quantile(q, b);
                self.note_monotonicity(fix, head, span, t_ms);
                v
            }
            Found::Native(h) => {
                let mut notes = Notes::default();
                let v = native::quantile(q, h, &mut notes);
                self.annotate_native(notes, self.shown_name(&head.labels), span);
                v
            }
        }
    }

    pub(super) fn histogram_quantile(&'e self, c: &'e Call, grid: Grid) -> Result<Stream<'e>, QueryError> {
        let q = self.eval_scalar(&c.args[0])?;
        let h = self.histograms_of(&c.args[1])?;
        // Made after what the histograms' own evaluation has to say.
        let order = c.args[1].span.order;
        self.warn_quantiles(&q, Place { order, ..c.args[0].span });
        let span = c.args[1].span;
        let mut out: Vec<SeriesRow> =
            h.heads.iter().map(|head| SeriesRow { head: self.renamed(head), row: Row::new() }).collect();
        h.each(self, grid, span, |i, step, found| {
            let v = self.quantile_of(q[step], found, &h.heads[i], span, grid.time(step));
            out[i].row.push(step, v);
        })?;
        self.finish(&h, out)
    }

    pub(super) fn histogram_fraction(&'e self, c: &'e Call, grid: Grid) -> Result<Stream<'e>, QueryError> {
        let (lower, upper) = (self.eval_scalar(&c.args[0])?, self.eval_scalar(&c.args[1])?);
        let h = self.histograms_of(&c.args[2])?;
        let mut out: Vec<SeriesRow> =
            h.heads.iter().map(|head| SeriesRow { head: self.renamed(head), row: Row::new() }).collect();
        let span = c.args[2].span;
        h.each(self, grid, span, |i, step, found| {
            let (lower, upper) = (lower[step], upper[step]);
            let v = match found {
                Found::Classic(b) => buckets::fraction(lower, upper, b),
                Found::Native(native) => {
                    let mut notes = Notes::default();
                    let v = native::fraction(lower, upper, native, &mut notes);
                    self.annotate_native(notes, self.shown_name(&h.heads[i].labels), span);
                    v
                }
            };
            out[i].row.push(step, v);
        })?;
        self.finish(&h, out)
    }

    pub(super) fn histogram_quantiles(&'e self, c: &'e Call, grid: Grid) -> Result<Stream<'e>, QueryError> {
        let span = c.args[0].span;
        let label = match &c.args[1].node {
            Node::String(s) if count_values::is_label_name(s) => s.value.as_str(),
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
        h.each(self, grid, span, |i, step, mut found| {
            for q in quantiles.iter().map(|q| q[step]) {
                let v = match &mut found {
                    // The first quantile puts the buckets right for those that follow, and alone remarks on it.
                    Found::Classic(b) => {
                        self.quantile_of(q, Found::Classic(b), &h.heads[i], span, grid.time(step))
                    }
                    Found::Native(native) => {
                        self.quantile_of(q, Found::Native(native), &h.heads[i], span, grid.time(step))
                    }
                };
                let at = *place.entry((i, q.to_bits())).or_insert_with(|| {
                    let mut text = Vec::new();
                    model::float::append_open_metrics(q, &mut text);
                    let text = String::from_utf8_lossy(&text).into_owned();
                    let mut head = self.renamed(&h.heads[i]);
                    head.labels = head.labels.to_builder().set(label, &text).build();
                    out.push(SeriesRow { head, row: Row::new() });
                    out.len() - 1
                });
                if out[at].row.get(step).is_none() {
                    out[at].row.push(step, v);
                } else if self.opts.delayed_name_removal && !grid.is_range {
                    // Whoever takes the vector finds the duplicates: an instant is not looked through before its end.
                    let mut row = Row::new();
                    row.push(step, v);
                    out.push(SeriesRow { head: out[at].head.clone(), row });
                } else {
                    failed = Some(QueryError::duplicates());
                }
            }
        })?;
        match failed {
            Some(e) => Err(e),
            None => self.finish(&h, out),
        }
    }
}
