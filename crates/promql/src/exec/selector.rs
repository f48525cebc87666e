//! Instant vector selectors: at each step the newest sample within the lookback.

use std::sync::Arc;

use model::histogram::{CounterResetHint, HistogramError};
use model::{Columns, FloatHistogram, is_stale_nan};

use super::census::census;
use super::edges::Edges;
use super::meter::Consumed;
use super::samples::Samples;
use super::totals::{Looks, keep_totals};
use super::window::Frame;
use super::{Exec, Head, Stream};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::extended::between;
use crate::functions::native::{self, Notes};
use crate::functions::stretch::{GoOn, Pulse};
use crate::grid::Grid;
use crate::plan::{Plan, Selector};
use crate::row::Row;

/// What each step of a selector refers to: `time − offset`, or one time for all.
#[derive(Clone, Copy)]
struct Look {
    grid: Grid,
    offset_ms: i64,
    at_ms: Option<i64>,
    lookback_ms: i64,
}

impl Look {
    #[inline]
    fn time(&self, step: usize) -> i64 {
        self.at_ms.unwrap_or_else(|| self.grid.time(step)).saturating_sub(self.offset_ms)
    }

    /// What is looked at, as windows of a range vector: each step sees the newest sample of its own.
    fn frame(&self) -> Frame {
        Frame {
            grid: self.grid,
            range_ms: self.lookback_ms,
            offset_ms: self.offset_ms,
            at_ms: self.at_ms,
            back_ms: 0,
            ahead_ms: 0,
        }
    }

    /// The first step that a sample at `t` can be seen from.
    fn first_step(&self, t: i64) -> usize {
        match self.at_ms {
            Some(_) => 0,
            None => self.grid.first_at_or_after(t.saturating_add(self.offset_ms)),
        }
    }
}

/// The newest value of each window, where that is no stale marker.
fn newest(v: &[f64], edges: &Edges) -> Row {
    let values: Vec<f64> = edges.windows().iter().map(|(_, hi)| v[hi - 1]).collect();
    if !values.iter().fold(false, |any, v| any | is_stale_nan(*v)) {
        return edges.row(values);
    }
    let mut row = Row::with_capacity(values.len());
    for (i, v) in values.into_iter().enumerate() {
        if !is_stale_nan(v) {
            row.push(edges.step(i), v);
        }
    }
    row
}

/// Calls `found` with each step that sees a sample and the sample's place.
#[inline]
fn look_back(
    c: &Columns,
    look: Look,
    go_on: GoOn<'_>,
    mut found: impl FnMut(usize, usize),
) -> Result<(), QueryError> {
    let Some(first_t) = c.t.first() else { return Ok(()) };
    let mut pulse = Pulse::new(go_on);
    let mut next = 0;
    for step in look.first_step(*first_t)..look.grid.steps {
        pulse.beat(1)?;
        let now = look.time(step);
        while next < c.t.len() && c.t[next] <= now {
            next += 1;
        }
        let Some(i) = next.checked_sub(1) else { continue };
        if c.t[i] > now.saturating_sub(look.lookback_ms) {
            found(step, i);
        } else if next == c.t.len() && look.at_ms.is_none() {
            break;
        }
    }
    Ok(())
}

fn is_stale(c: &Columns, i: usize) -> bool {
    match histogram_at(c, i) {
        Some(h) => is_stale_nan(h.sum),
        None => is_stale_nan(c.v[i]),
    }
}

#[inline]
fn histogram_at(c: &Columns, i: usize) -> Option<&std::sync::Arc<model::FloatHistogram>> {
    if c.h.is_empty() {
        return None;
    }
    c.h.binary_search_by_key(&i, |(at, _)| *at as usize).ok().map(|at| &c.h[at].1)
}

impl<'e> Exec<'e> {
    fn look(&self, s: &Selector, grid: Grid) -> Look {
        Look { grid, offset_ms: s.offset_ms, at_ms: s.at_ms, lookback_ms: self.opts.lookback_ms }
    }

    /// Drops the buckets of histograms that nobody looks at.
    fn drop_buckets(&self, select: usize, look: Look, c: &mut Columns) {
        let select = &self.plan.selects[select];
        if select.totals {
            let Look { grid, offset_ms, at_ms, lookback_ms } = look;
            let from_ms = select.hints.start_ms;
            keep_totals(c, &Looks { from_ms, grid, at_ms, offset_ms, reach_ms: lookback_ms });
        }
    }

    /// A stream over a select, one row for each series.
    fn rows_of(
        &'e self,
        select: usize,
        look: Look,
        row: impl Fn(&Columns, &mut Edges) -> Result<Row, QueryError> + Send + Sync + 'e,
    ) -> Result<Stream<'e>, QueryError> {
        let set = self.select(select)?;
        let heads = self.heads_of(set.as_ref())?;
        let read = move |i: usize, scratch: &mut super::Scratch| {
            let c = &mut scratch.columns;
            c.clear();
            set.read(i, c)?;
            self.drop_buckets(select, look, c);
            self.budget.touch(c.len())?;
            row(c, &mut scratch.edges)
        };
        Ok(Stream::Lazy { heads, read: Box::new(read) })
    }

    pub(crate) fn selector(&'e self, s: &Selector, grid: Grid) -> Result<Stream<'e>, QueryError> {
        let look = self.look(s, grid);
        self.rows_of(s.select, look, move |c, edges| {
            if c.h.is_empty() && edges.find(&c.t, look.frame(), 1) {
                return Ok(newest(&c.v, edges));
            }
            let mut row = Row::with_capacity(if c.is_empty() { 0 } else { grid.steps.min(c.len() * 8) });
            if c.h.is_empty() {
                look_back(c, look, &|| self.check(), |step, i| {
                    if !is_stale_nan(c.v[i]) {
                        row.push(step, c.v[i]);
                    }
                })?;
                return Ok(row);
            }
            look_back(c, look, &|| self.check(), |step, i| {
                if is_stale(c, i) {
                    return;
                }
                match histogram_at(c, i) {
                    Some(h) => row.push_histogram(step, h.clone()),
                    None => row.push(step, c.v[i]),
                }
            })?;
            Ok(row)
        })
    }

    /// The time of the sample that each step sees, milliseconds.
    pub(super) fn sample_times(&self, c: &Columns, s: &Selector, grid: Grid) -> Result<Row, QueryError> {
        let mut row = Row::new();
        look_back(c, self.look(s, grid), &|| self.check(), |step, i| {
            if !is_stale(c, i) {
                row.push(step, c.t[i] as f64);
            }
        })?;
        Ok(row)
    }

    /// The time of each sample that a selector sees, or the time its counting started.
    pub(crate) fn timestamp_of(
        &'e self,
        s: &Selector,
        started: bool,
        grid: Grid,
    ) -> Result<Stream<'e>, QueryError> {
        if started && !self.opts.use_start_timestamps {
            return Ok(Stream::empty());
        }
        let mut look = self.look(s, grid);
        if look.at_ms.is_some() {
            // A quirk of Prometheus: the offset says which samples are loaded, not which of them
            // `@` sees (engine.go, rangeEvalTimestampFunctionOverVectorSelector).
            look.offset_ms = 0;
        }
        let times = self.rows_of(s.select, look, move |c, _| {
            let mut row = Row::new();
            look_back(c, look, &|| self.check(), |step, i| {
                if !is_stale(c, i) {
                    let t = if started { c.st.get(i).copied().unwrap_or(0) } else { c.t[i] };
                    row.push(step, t as f64 / 1000.0);
                }
            })?;
            Ok(row)
        })?;
        self.rename(times, Ok)
    }

    /// A `smoothed` selector: interpolated between the samples around each step.
    pub(crate) fn smoothed_selector(
        &'e self,
        s: &Selector,
        plan: &'e Plan,
    ) -> Result<Stream<'e>, QueryError> {
        let (grid, span) = (plan.grid, plan.span);
        let look = self.look(s, grid);
        let set = self.select(s.select)?;
        let heads = self.heads_of(set.as_ref())?;
        let names: Vec<Head> = heads.clone();
        let select = s.select;
        // Samples as far ahead as behind.
        let ahead = Look {
            offset_ms: look.offset_ms.saturating_sub(look.lookback_ms),
            lookback_ms: look.lookback_ms.saturating_mul(2),
            ..look
        };
        let read = move |i: usize, scratch: &mut super::Scratch| {
            scratch.columns.clear();
            set.read(i, &mut scratch.columns)?;
            self.drop_buckets(select, ahead, &mut scratch.columns);
            scratch.samples.fill(&mut scratch.columns, false);
            let s = &scratch.samples;
            let mut row = Row::new();
            let mut mixed = false;
            let mut notes = Notes::default();
            let go_on = || self.check();
            let mut pulse = Pulse::new(&go_on);
            for step in 0..grid.steps {
                pulse.beat(1)?;
                let now = look.time(step);
                let (from, to) = (now.saturating_sub(look.lookback_ms), now.saturating_add(look.lookback_ms));
                let inside = |t: &[i64]| (t.partition_point(|x| *x <= from), t.partition_point(|x| *x <= to));
                let ((lo, hi), (hlo, hhi)) = (inside(&s.t), inside(&s.ht));
                if hlo < hhi && lo < hi {
                    mixed = true;
                } else if hlo < hhi {
                    let h = smooth_histogram(&s.ht[hlo..hhi], &s.h[hlo..hhi], now, &mut notes);
                    if let Some(h) = h.map_err(QueryError::unsound)? {
                        row.push_histogram(step, Arc::new(h));
                    }
                } else if let Some(v) = smooth(&s.t[lo..hi], &s.v[lo..hi], now) {
                    row.push(step, v);
                }
            }
            let name = names[i].labels.metric_name();
            if mixed {
                self.annotate(Annotation::mixed_floats_histograms(name, span));
            }
            self.annotate_native(notes, name, span);
            let frame = Frame {
                grid,
                range_ms: 0,
                offset_ms: look.offset_ms,
                at_ms: look.at_ms,
                back_ms: look.lookback_ms,
                ahead_ms: look.lookback_ms,
            };
            self.count_smoothed(plan, (i, names.len()), frame, &scratch.samples)?;
            Ok(row)
        };
        Ok(Stream::Lazy { heads, read: Box::new(read) })
    }
}

impl Exec<'_> {
    /// Counts the windows of a smoothed selector: Prometheus holds the last one of each series, but
    /// not what it makes of them, and takes none of it for consumed unless `query-cost` is on.
    fn count_smoothed(
        &self,
        plan: &Plan,
        at: (usize, usize),
        frame: Frame,
        s: &Samples,
    ) -> Result<(), QueryError> {
        let tally = self.plan.tallies[plan.id];
        let mut each = (tally.steps && self.opts.query_cost).then(|| Consumed::new(frame.grid.steps));
        let windows = census(s, frame, tally.bucketless, each.as_mut(), &|| self.check())?;
        if self.opts.query_cost {
            if let Some(mut each) = each {
                each.total.fill(0);
                self.meters.of(plan).consumed().add(&each);
            }
            self.meter_consumed(plan, 0, windows.read)?;
        }
        self.meter_kept_slide(plan, at, windows.max, windows.last)
    }
}

/// As [`smooth`]: what one sample says of the one before it does not hold for a value in between.
fn smooth_histogram(
    t: &[i64],
    h: &[Arc<FloatHistogram>],
    now: i64,
    notes: &mut Notes,
) -> Result<Option<FloatHistogram>, HistogramError> {
    let i = t.partition_point(|x| *x < now);
    match (t.get(i), i.checked_sub(1)) {
        (Some(at), _) if *at == now => Ok(Some(FloatHistogram::clone(&h[i]))),
        (Some(at), Some(p)) => {
            let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
            let is_counter = !is_gauge(&h[p]) || !is_gauge(&h[i]);
            if h[p].uses_custom_buckets() != h[i].uses_custom_buckets() {
                notes.add(Notes::MIXED_SCHEMAS);
                return Ok(None);
            }
            native::between((t[p], &h[p]), (*at, &h[i]), now, is_counter, notes)
        }
        (None, Some(p)) => Ok(Some(FloatHistogram {
            counter_reset_hint: CounterResetHint::Unknown,
            ..FloatHistogram::clone(&h[p])
        })),
        (_, None) => Ok(None),
    }
}

/// The value at `now`: that of a sample there, between its neighbours, or of the one before.
fn smooth(t: &[i64], v: &[f64], now: i64) -> Option<f64> {
    let i = t.partition_point(|x| *x < now);
    match (t.get(i), i.checked_sub(1)) {
        (Some(at), _) if *at == now => Some(v[i]),
        (Some(at), Some(p)) => Some(between(t[p], v[p], *at, v[i], now)),
        (None, Some(p)) => Some(v[p]),
        (_, None) => None,
    }
}
