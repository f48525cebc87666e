//! Functions of range vectors: each series is read once, its window slid over it.

use std::sync::Arc;

use model::Labels;
use promql_syntax::Function;
use storage::SeriesSet;

use super::census::census;
use super::meter::{Consumed, point_weight};
use super::plain::find_edges;
use super::totals::{Looks, keep_totals};
use super::window::Frame;
use super::{Exec, Head, Scratch, Stream};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::grid::Grid;
use crate::labels::share_metadata;
use crate::plan::{Plan, RangeCall, Window, WindowSource};
use crate::row::Row;
use crate::value::Series;

/// Where the samples of a range vector come from.
enum Source<'e> {
    /// With how it is read, where only counts and sums of histograms are looked at.
    Select(Arc<dyn SeriesSet>, Option<Looks>),
    Subquery(Stream<'e>, Grid),
}

impl<'e> Source<'e> {
    fn heads(&self, exec: &Exec<'e>) -> Result<Vec<Head>, QueryError> {
        match self {
            Self::Select(set, _) => exec.heads_of(set.as_ref()),
            Self::Subquery(s, _) => Ok((0..s.len()).map(|i| s.head(i).clone()).collect()),
        }
    }

    /// Fills `scratch.samples` with series `i`.
    fn read(
        &self,
        exec: &Exec<'e>,
        i: usize,
        with_st: bool,
        scratch: &mut Scratch,
    ) -> Result<(), QueryError> {
        match self {
            Self::Select(set, looks) => {
                scratch.columns.clear();
                set.read(i, &mut scratch.columns)?;
                if let Some(looks) = looks {
                    keep_totals(&mut scratch.columns, looks);
                }
                scratch.samples.fill(&mut scratch.columns, with_st);
            }
            Self::Subquery(Stream::Ready(rows), grid) => self.fill(exec, &rows[i].row, *grid, scratch)?,
            Self::Subquery(Stream::Lazy { read, .. }, grid) => {
                let row = read(i, scratch)?;
                self.fill(exec, &row, *grid, scratch)?;
            }
        }
        exec.budget.touch(scratch.samples.len())
    }

    fn fill(&self, exec: &Exec<'e>, row: &Row, grid: Grid, scratch: &mut Scratch) -> Result<(), QueryError> {
        exec.budget.touch(row.count())?;
        scratch.samples.fill_from_row(row, grid, &|| exec.check())
    }
}

/// Functions that may look at the samples around a range, in the order that errors list them.
const ANCHORED: [Function; 5] =
    [Function::Changes, Function::Delta, Function::Increase, Function::Rate, Function::Resets];
const SMOOTHED: [Function; 3] = [Function::Delta, Function::Increase, Function::Rate];

fn check_modifier(name: &str, allowed: &[Function], f: Function) -> Result<(), QueryError> {
    if allowed.contains(&f) {
        return Ok(());
    }
    let list: Vec<&str> = allowed.iter().map(|f| f.name()).collect();
    let list = list.join(", ");
    Err(QueryError::Execution(format!("{name} modifier can only be used with: {list} - not with {f}")))
}

fn uses_start_timestamps(f: Function) -> bool {
    matches!(f, Function::Rate | Function::Irate | Function::Increase | Function::Resets)
}

impl<'e> Exec<'e> {
    fn looks(&self, select: usize, frame: Frame) -> Option<Looks> {
        let select = &self.plan.selects[select];
        select.totals.then(|| Looks::of(frame, select.hints.start_ms))
    }

    fn source(&'e self, w: &'e Window, frame: Frame) -> Result<Source<'e>, QueryError> {
        Ok(match &w.source {
            WindowSource::Select(i) => Source::Select(self.select(*i)?, self.looks(*i, frame)),
            WindowSource::Subquery(inner) => Source::Subquery(self.eval_vector(inner)?, inner.grid),
        })
    }

    fn frame(&self, w: &Window, grid: Grid) -> Frame {
        let lookback = self.opts.lookback_ms;
        Frame {
            grid,
            range_ms: w.range_ms,
            offset_ms: w.offset_ms,
            at_ms: w.at_ms,
            back_ms: if w.anchored || w.smoothed { lookback } else { 0 },
            ahead_ms: if w.smoothed { lookback } else { 0 },
        }
    }

    pub(crate) fn range_call(&'e self, c: &'e RangeCall, plan: &'e Plan) -> Result<Stream<'e>, QueryError> {
        let grid = plan.grid;
        let frame = self.frame(&c.window, grid);
        let mut source = self.source(&c.window, frame)?;
        let scalars = c.scalars.iter().map(|p| self.eval_scalar(p)).collect::<Result<Vec<_>, _>>();
        let scalars = match source {
            Source::Subquery(inner, grid) => {
                let (inner, scalars) = self.then(inner, scalars)?;
                source = Source::Subquery(inner, grid);
                scalars
            }
            Source::Select(..) => scalars?,
        };
        if c.window.anchored {
            check_modifier("anchored", &ANCHORED, c.function)?;
        } else if c.window.smoothed {
            check_modifier("smoothed", &SMOOTHED, c.function)?;
        }
        let mut inputs = source.heads(self)?;
        let stays_distinct = share_metadata(inputs.iter().map(|h| &h.labels), &|| self.check())?;
        // To find series that are equal but for their names takes all labels.
        if let WindowSource::Select(i) = &c.window.source
            && !stays_distinct
            && let Some(whole) = self.select_whole(*i)?
        {
            source = Source::Select(whole, self.looks(*i, frame));
            inputs = source.heads(self)?;
        }
        let keeps_name = matches!(c.function, Function::LastOverTime | Function::FirstOverTime);
        let heads = inputs
            .iter()
            .map(|h| if keeps_name && !h.drop_name { h.clone() } else { self.renamed(h) })
            .collect();
        let with_st = self.opts.use_start_timestamps && uses_start_timestamps(c.function);
        let read = move |i: usize, scratch: &mut Scratch| {
            source.read(self, i, with_st, scratch)?;
            let (max, last) = self.count_windows(c, frame, plan, scratch)?;
            let row = self.range_row(c, frame, &scalars, &inputs[i].labels, scratch)?;
            self.meter_slide(plan, (i, inputs.len()), max, last, &row)?;
            if matches!(c.function, Function::Rate | Function::Increase) && row.has_floats() {
                self.check_is_counter(&inputs[i].labels, c);
            }
            Ok(row)
        };
        let rows = Stream::Lazy { heads, read: Box::new(read) };
        if c.function == Function::AbsentOverTime {
            return self.absent_from(rows, c.absent.clone(), grid, true);
        }
        if stays_distinct { Ok(rows) } else { self.distinct_if_renamed(rows) }
    }

    /// Counts the windows of the series in `scratch.samples`: the largest and that of the last step.
    pub(super) fn count_windows(
        &self,
        c: &RangeCall,
        frame: Frame,
        plan: &Plan,
        scratch: &mut Scratch,
    ) -> Result<(u64, u64), QueryError> {
        let tally = self.plan.tallies[plan.id];
        let is_select = matches!(c.window.source, WindowSource::Select(_));
        let mut each = (is_select && tally.steps).then(|| Consumed::new(frame.grid.steps));
        let windows = if each.is_none() && find_edges(c, frame, scratch) {
            scratch.edges.census()
        } else {
            census(&scratch.samples, frame, tally.bucketless, each.as_mut(), &|| self.check())?
        };
        // What a subquery consumed is counted there.
        if !is_select {
            return Ok((windows.max, windows.last));
        }
        if let Some(each) = each {
            self.meters.of(plan).consumed().add(&each);
        }
        self.meter_consumed(plan, windows.total, windows.read)?;
        Ok((windows.max, windows.last))
    }

    fn check_is_counter(&self, labels: &Labels, c: &RangeCall) {
        let name = labels.metric_name();
        if name.is_empty() {
            return;
        }
        if self.opts.type_and_unit_labels {
            let t = labels.get("__type__").unwrap_or("");
            if t != "counter" && t != "histogram" {
                self.annotate(Annotation::possible_non_counter_label(name, t, c.span));
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|s| name.ends_with(s)) {
            self.annotate(Annotation::possible_non_counter(name, c.span));
        }
    }

    /// The samples of a range vector at the only step of its grid: what a query that is a range
    /// vector answers with.
    pub(crate) fn matrix(&'e self, w: &'e Window, plan: &Plan) -> Result<Vec<Series>, QueryError> {
        let frame = self.frame(w, plan.grid);
        let source = self.source(w, frame)?;
        let heads = source.heads(self)?;
        let is_subquery = matches!(w.source, WindowSource::Subquery(_));
        let mut out = Vec::new();
        let mut scratch = Scratch::default();
        for (i, head) in heads.iter().enumerate() {
            self.check()?;
            source.read(
                self,
                i,
                self.opts.use_start_timestamps && (w.anchored || w.smoothed),
                &mut scratch,
            )?;
            let mut series = Series { labels: head.labels.clone(), ..Series::default() };
            if is_subquery {
                // All that was evaluated, which begins after the range's start.
                take_all(&scratch, &mut series);
            } else {
                self.take_window(w, frame, &scratch, &mut series)?;
            }
            let n = series.t.len() + series.h.len();
            if !is_subquery {
                let bucketless = self.plan.tallies[plan.id].bucketless;
                let windows = census(&scratch.samples, frame, bucketless, None, &|| self.check())?;
                self.meter_points(plan, windows.total)?;
                // What anchored and smoothed add and leave out counts as read.
                let points =
                    series.h.iter().map(|(_, h)| point_weight(h)).sum::<u64>() + series.t.len() as u64;
                let read = if self.opts.query_cost { windows.total } else { points };
                self.meter_consumed(plan, points, read)?;
                if self.plan.tallies[plan.id].steps {
                    let only = Consumed { total: vec![points], read: vec![read] };
                    self.meters.of(plan).consumed().add(&only);
                }
            }
            self.budget.take(n)?;
            if n > 0 {
                out.push((head.drop_name, series));
            }
        }
        let rename = self.opts.delayed_name_removal;
        let mut out: Vec<Series> = out
            .into_iter()
            .map(|(drop, mut s)| {
                if drop && rename {
                    s.labels = crate::labels::drop_metadata(&s.labels);
                }
                s
            })
            .collect();
        self.stop.sort_by(&mut out, |a, b| a.labels.cmp(&b.labels))?;
        Ok(out)
    }

    fn take_window(
        &self,
        w: &Window,
        frame: Frame,
        scratch: &Scratch,
        out: &mut Series,
    ) -> Result<(), QueryError> {
        let s = &scratch.samples;
        super::window::for_each(s, frame, &|| self.check(), |v| {
            if w.anchored || w.smoothed {
                if v.histograms() > 0 {
                    let which = if w.anchored { "anchored" } else { "smoothed" };
                    return Err(QueryError::Execution(format!(
                        "{which} modifier is not supported with histograms"
                    )));
                }
                let extension = crate::functions::extended::Extension {
                    smoothed: w.smoothed,
                    is_counter: false,
                    lookback_start_ms: v.start_ms.saturating_sub(self.opts.lookback_ms),
                };
                crate::functions::extended::extend(
                    super::dispatch::samples(s, &v),
                    extension,
                    &mut out.t,
                    &mut out.v,
                );
                return Ok(());
            }
            out.t.extend_from_slice(&s.t[v.lo..v.hi]);
            out.v.extend_from_slice(&s.v[v.lo..v.hi]);
            out.h.extend(s.ht[v.hlo..v.hhi].iter().copied().zip(s.h[v.hlo..v.hhi].iter().cloned()));
            Ok(())
        })
    }
}

fn take_all(scratch: &Scratch, out: &mut Series) {
    let s = &scratch.samples;
    out.t.extend_from_slice(&s.t);
    out.v.extend_from_slice(&s.v);
    out.h.extend(s.ht.iter().copied().zip(s.h.iter().cloned()));
}
