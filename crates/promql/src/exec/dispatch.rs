//! Which kernel computes which function of a range vector.

use std::sync::Arc;

use model::float::to_string_g;
use model::{FloatHistogram, Labels};
use promql_syntax::Function;

use super::samples::Samples;
use super::window::{self, Frame, View};
use super::{Column, Exec, Scratch};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::extended::{self, Extension};
use crate::functions::native::{self, Notes, Total};
use crate::functions::over_time::{self, Quadrature};
use crate::functions::{kahan, rate, regression, start_time};
use crate::plan::RangeCall;
use crate::row::Row;

/// The floats of a window with its bounds.
pub(super) fn samples<'a>(s: &'a Samples, v: &View) -> rate::Samples<'a> {
    rate::Samples {
        t: &s.t[v.lo..v.hi],
        v: &s.v[v.lo..v.hi],
        st: if s.st.is_empty() { &[] } else { &s.st[v.lo..v.hi] },
        start_ms: v.start_ms,
        end_ms: v.end_ms,
    }
}

/// The histograms of a window with its bounds.
fn histograms<'a>(s: &'a Samples, v: &View) -> native::Window<'a> {
    native::Window {
        t: &s.ht[v.hlo..v.hhi],
        h: &s.h[v.hlo..v.hhi],
        st: s.hst.get(v.hlo..v.hhi).unwrap_or(&[]),
        start_ms: v.start_ms,
        end_ms: v.end_ms,
    }
}

impl<'e> Exec<'e> {
    /// The row of `c` for the series in `scratch.samples`.
    pub(super) fn range_row(
        &self,
        c: &RangeCall,
        frame: Frame,
        scalars: &[Column<'_>],
        labels: &Labels,
        scratch: &mut Scratch,
    ) -> Result<Row, QueryError> {
        use Function as F;
        if let Some(row) = self.plain_row(c, frame, scalars, scratch)? {
            return Ok(row);
        }
        let run = Run { exec: self, call: c, frame, labels, s: &scratch.samples };
        let floats = &mut scratch.floats;
        let go_on = || self.check();
        match c.function {
            F::Rate | F::Increase | F::Delta => run.rate(&mut scratch.resets),
            F::Irate => run.instant(true),
            F::Idelta => run.instant(false),
            F::Changes | F::Resets => run.changes_or_resets(),
            F::CountOverTime => run.any(|v| (v.floats() + v.histograms()) as f64),
            F::PresentOverTime | F::AbsentOverTime => run.any(|_| 1.0),
            F::LastOverTime => run.pick(|_, hi, _, hhi| (hi.checked_sub(1), hhi.checked_sub(1)), true),
            F::FirstOverTime => run.pick(|lo, _, hlo, _| (Some(lo), Some(hlo)), false),
            F::TsOfLastOverTime => run.any(|v| {
                let s = &scratch.samples;
                let last = |t: &[i64]| t.last().copied().unwrap_or(i64::MIN);
                last(&s.t[v.lo..v.hi]).max(last(&s.ht[v.hlo..v.hhi])) as f64 / 1000.0
            }),
            F::TsOfFirstOverTime => run.any(|v| {
                let s = &scratch.samples;
                let first = |t: &[i64]| t.first().copied().unwrap_or(i64::MAX);
                first(&s.t[v.lo..v.hi]).min(first(&s.ht[v.hlo..v.hhi])) as f64 / 1000.0
            }),
            F::SumOverTime => run.unmixed(|v| kahan::sum(v, &go_on), false),
            F::AvgOverTime => run.unmixed(|v| over_time::avg(v, &go_on), true),
            F::MaxOverTime => run.floats(1, |_, _, v| Ok(v[over_time::max_at(v, &go_on)?])),
            F::MinOverTime => run.floats(1, |_, _, v| Ok(v[over_time::min_at(v, &go_on)?])),
            F::TsOfMaxOverTime => {
                run.floats(1, |_, t, v| Ok(t[over_time::last_max_at(v, &go_on)?] as f64 / 1000.0))
            }
            F::TsOfMinOverTime => {
                run.floats(1, |_, t, v| Ok(t[over_time::last_min_at(v, &go_on)?] as f64 / 1000.0))
            }
            F::StdvarOverTime => run.floats(1, |_, _, v| over_time::stdvar(v, &go_on)),
            F::StddevOverTime => run.floats(1, |_, _, v| Ok(over_time::stdvar(v, &go_on)?.sqrt())),
            F::MadOverTime => run.floats(1, |_, _, v| over_time::mad(v, floats, &go_on)),
            F::QuantileOverTime => {
                let mut warned = None;
                run.floats(1, |step, _, v| {
                    let q = scalars[0][step];
                    if !(0.0..=1.0).contains(&q) && warned != Some(q.to_bits()) {
                        warned = Some(q.to_bits());
                        self.annotate(Annotation::invalid_quantile(q, c.span));
                    }
                    floats.clear();
                    floats.extend_from_slice(v);
                    over_time::quantile(q, floats, &go_on)
                })
            }
            F::Deriv => run.floats(2, |_, t, v| Ok(regression::linear(t, v, t[0], &go_on)?.0)),
            F::PredictLinear => run.floats(2, |step, t, v| {
                let (slope, intercept) = regression::linear(t, v, frame.grid.time(step), &go_on)?;
                Ok(slope * scalars[0][step] + intercept)
            }),
            F::DoubleExponentialSmoothing => run.floats_where(
                2,
                |step| {
                    for (what, v) in [("smoothing", scalars[0][step]), ("trend", scalars[1][step])] {
                        if v <= 0.0 || v >= 1.0 {
                            let letter = &what[..1];
                            return Err(QueryError::Execution(format!(
                                "invalid {what} factor. Expected: 0 < {letter}f < 1, got: {}",
                                go_fixed(v)
                            )));
                        }
                    }
                    Ok(())
                },
                |step, _, v| {
                    over_time::double_exponential_smoothing(v, scalars[0][step], scalars[1][step], &go_on)
                },
            ),
            F::Integral => run.floats(1, |step, t, v| {
                let rule = match scalars.first().map(|s| s[step]) {
                    None => Quadrature::Trapezoidal,
                    Some(0.0) => Quadrature::Left,
                    Some(1.0) => Quadrature::Right,
                    Some(2.0) => Quadrature::Trapezoidal,
                    Some(other) => {
                        self.annotate(Annotation::invalid_integral_strategy(other, c.second_span));
                        Quadrature::Trapezoidal
                    }
                };
                over_time::integral(t, v, rule, &go_on)
            }),
            other => Err(QueryError::Execution(format!("{other} is no function of a range vector"))),
        }
    }
}

/// Go's `%f`.
fn go_fixed(v: f64) -> String {
    if v.is_finite() { format!("{v:.6}") } else { to_string_g(v) }
}

/// The sum or mean of histograms; none where exponential and custom buckets meet.
fn total(
    h: &[Arc<FloatHistogram>],
    is_mean: bool,
    notes: &mut Notes,
) -> Result<Option<FloatHistogram>, QueryError> {
    let mut own = Notes::default();
    let mut total = Total::start(&h[0]);
    for h in &h[1..] {
        let added = if is_mean { total.add_to_mean(h) } else { total.add_to_sum(h) };
        if native::unless_mixed(added, &mut own).map_err(QueryError::unsound)?.is_none() {
            // Of a sum that ends so, nothing else is told.
            notes.add(own);
            return Ok(None);
        }
    }
    notes.add(total.notes());
    let out = if is_mean { total.mean() } else { total.sum() };
    let out = native::unless_mixed(out, &mut own).map_err(QueryError::unsound)?;
    notes.add(own);
    Ok(out)
}

/// Leaves out what lies before the last sample at or before the range's start, be it a float or a
/// histogram; whether any sample lies after that start.
fn anchor(w: &mut rate::Samples<'_>, h: &mut native::Window<'_>) -> bool {
    let before = |t: &[i64]| t.partition_point(|t| *t <= w.start_ms);
    let (floats, histograms) = (before(w.t), before(h.t));
    if floats == w.t.len() && histograms == h.t.len() {
        return false;
    }
    let newest = |t: &[i64], n: usize| n.checked_sub(1).map(|i| t[i]);
    let float_is_newer = newest(w.t, floats) > newest(h.t, histograms);
    let from = if float_is_newer { floats - 1 } else { floats };
    let hfrom = if float_is_newer { histograms } else { histograms.saturating_sub(1) };
    (w.t, w.v, w.st) = (&w.t[from..], &w.v[from..], w.st.get(from..).unwrap_or(&[]));
    (h.t, h.h, h.st) = (&h.t[hfrom..], &h.h[hfrom..], h.st.get(hfrom..).unwrap_or(&[]));
    true
}

/// One function over one series.
struct Run<'a, 'e> {
    exec: &'a Exec<'e>,
    call: &'a RangeCall,
    frame: Frame,
    labels: &'a Labels,
    s: &'a Samples,
}

impl Run<'_, '_> {
    fn row(&self) -> Row {
        Row::with_capacity(self.frame.grid.steps.min(self.s.len().saturating_mul(64)))
    }

    fn each(&self, mut f: impl FnMut(View) -> Result<(), QueryError>) -> Result<(), QueryError> {
        window::for_each(self.s, self.frame, &|| self.exec.check(), &mut f)
    }

    /// Functions of floats and histograms alike.
    fn any(&self, f: impl Fn(View) -> f64) -> Result<Row, QueryError> {
        let mut row = self.row();
        self.each(|v| {
            row.push(v.step, f(v));
            Ok(())
        })?;
        Ok(row)
    }

    /// Functions of at least `least` floats, which leave out histograms with a remark.
    fn floats(
        &self,
        least: usize,
        f: impl FnMut(usize, &[i64], &[f64]) -> Result<f64, QueryError>,
    ) -> Result<Row, QueryError> {
        self.floats_where(least, |_| Ok(()), f)
    }

    /// As [`Self::floats`], where `check` may refuse the step of any window that is not empty.
    fn floats_where(
        &self,
        least: usize,
        check: impl Fn(usize) -> Result<(), QueryError>,
        mut f: impl FnMut(usize, &[i64], &[f64]) -> Result<f64, QueryError>,
    ) -> Result<Row, QueryError> {
        let mut row = self.row();
        let mut ignored = false;
        self.each(|v| {
            check(v.step)?;
            ignored |= v.histograms() > 0 && v.floats() > 0;
            if v.floats() >= least {
                row.push(v.step, f(v.step, &self.s.t[v.lo..v.hi], &self.s.v[v.lo..v.hi])?);
            }
            Ok(())
        })?;
        if ignored {
            let name = self.labels.metric_name();
            self.exec.annotate(Annotation::histogram_ignored_in_mixed_range(name, self.call.span));
        }
        Ok(row)
    }

    /// Sums, or means, of floats or of histograms; windows that mix them are dropped with a warning.
    fn unmixed(
        &self,
        f: impl Fn(&[f64]) -> Result<f64, QueryError>,
        is_mean: bool,
    ) -> Result<Row, QueryError> {
        let mut row = self.row();
        let mut mixed = false;
        let mut notes = Notes::default();
        self.each(|v| {
            if v.histograms() == 0 {
                row.push(v.step, f(&self.s.v[v.lo..v.hi])?);
            } else if v.floats() > 0 {
                mixed = true;
            } else if let Some(h) = total(&self.s.h[v.hlo..v.hhi], is_mean, &mut notes)? {
                row.push_histogram(v.step, Arc::new(h));
            }
            Ok(())
        })?;
        self.warn_if_mixed(mixed);
        self.note(notes);
        Ok(row)
    }

    fn note(&self, notes: Notes) {
        self.exec.annotate_native(notes, self.labels.metric_name(), self.call.span);
    }

    fn warn_if_mixed(&self, mixed: bool) {
        if mixed {
            let name = self.labels.metric_name();
            self.exec.annotate(Annotation::mixed_floats_histograms(name, self.call.span));
        }
    }

    /// `last_over_time`, `first_over_time`: `ends` gives the places to choose between.
    fn pick(
        &self,
        ends: impl Fn(usize, usize, usize, usize) -> (Option<usize>, Option<usize>),
        newest: bool,
    ) -> Result<Row, QueryError> {
        let mut row = self.row();
        self.each(|v| {
            let (f, h) = ends(v.lo, v.hi, v.hlo, v.hhi);
            let f = f.filter(|_| v.floats() > 0);
            let h = h.filter(|_| v.histograms() > 0);
            match (f, h) {
                (Some(f), Some(h)) if (self.s.ht[h] < self.s.t[f]) == newest => row.push(v.step, self.s.v[f]),
                (_, Some(h)) => row.push_histogram(v.step, self.s.h[h].clone()),
                (Some(f), None) => row.push(v.step, self.s.v[f]),
                (None, None) => {}
            }
            Ok(())
        })?;
        Ok(row)
    }

    fn rate(&self, resets: &mut Vec<u32>) -> Result<Row, QueryError> {
        let is_counter = self.call.function != Function::Delta;
        let per_second = self.call.function == Function::Rate;
        let (s, w) = (self.s, &self.call.window);
        let extended = w.anchored || w.smoothed;
        resets.clear();
        if is_counter && !extended {
            rate::find_resets(&s.t, &s.v, &s.st, resets);
        }
        let mut row = self.row();
        let mut mixed = false;
        let mut notes = Notes::default();
        let mut next_reset = 0;
        self.each(|v| {
            if v.histograms() > 0 {
                mixed |= v.floats() > 0;
                if v.floats() == 0 {
                    let (mut own, view) = (Notes::default(), histograms(s, &v));
                    let rate = if extended {
                        native::extended(&view, w.smoothed, is_counter, per_second, &mut own)
                    } else {
                        native::extrapolated(&view, is_counter, per_second, &mut own)
                    };
                    if let Some(h) = rate.map_err(QueryError::unsound)? {
                        row.push_histogram(v.step, Arc::new(h));
                    }
                    notes.add(own);
                }
                return Ok(());
            }
            let view = samples(s, &v);
            let result = if extended {
                let extension = Extension {
                    smoothed: w.smoothed,
                    is_counter,
                    lookback_start_ms: v.start_ms.saturating_sub(self.exec.opts.lookback_ms),
                };
                extended::extended(view, extension, per_second)
            } else {
                if is_counter {
                    self.warn_if_overlapping(view);
                }
                while resets.get(next_reset).is_some_and(|r| *r as usize <= v.lo) {
                    next_reset += 1;
                }
                let lost = |gain: f64| {
                    resets[next_reset..]
                        .iter()
                        .take_while(|r| (**r as usize) < v.hi)
                        .fold(gain, |gain, r| gain + s.v[*r as usize - 1])
                };
                rate::extrapolated(view, lost, is_counter, per_second)
            };
            if let Some(r) = result {
                row.push(v.step, r);
            }
            Ok(())
        })?;
        self.note(notes);
        self.warn_if_mixed(mixed);
        Ok(row)
    }

    fn warn_if_overlapping(&self, s: rate::Samples<'_>) {
        let overlaps = (1..s.st.len()).any(|i| start_time::overlaps(s.st[i - 1], s.t[i - 1], s.st[i]));
        if overlaps {
            self.exec.annotate(Annotation::start_time_overlap(self.labels.metric_name(), self.call.span));
        }
    }

    fn instant(&self, is_rate: bool) -> Result<Row, QueryError> {
        let mut row = self.row();
        let mut notes = Notes::default();
        let mut mixed = false;
        self.each(|v| {
            if v.histograms() > 0 && v.floats() + v.histograms() >= 2 {
                // Which of the last two samples are histograms?
                let s = self.s;
                let last_float = v.hi.checked_sub(1).filter(|_| v.floats() > 0).map(|i| s.t[i]);
                let second_float = (v.floats() > 1).then(|| s.t[v.hi - 2]);
                let last_histogram = s.ht[v.hhi - 1];
                let second_histogram = (v.histograms() > 1).then(|| s.ht[v.hhi - 2]);
                if second_float.is_none_or(|t| last_histogram > t) {
                    let both = match (second_histogram, last_float) {
                        (Some(h), Some(f)) => h > f,
                        (Some(_), None) => true,
                        (None, _) => false,
                    };
                    if both {
                        let last = View { hlo: v.hhi - 2, ..v };
                        let mut own = Notes::default();
                        let rate = native::instant(&histograms(s, &last), is_rate, &mut own);
                        if let Some(h) = rate.map_err(QueryError::unsound)? {
                            row.push_histogram(v.step, Arc::new(h));
                        }
                        notes.add(own);
                    } else {
                        mixed = true;
                    }
                    return Ok(());
                }
            }
            if let Some(r) = rate::instant(samples(self.s, &v), is_rate) {
                row.push(v.step, r);
            }
            Ok(())
        })?;
        self.note(notes);
        self.warn_if_mixed(mixed);
        Ok(row)
    }

    fn changes_or_resets(&self) -> Result<Row, QueryError> {
        let resets = self.call.function == Function::Resets;
        let anchored = self.call.window.anchored;
        let mut row = self.row();
        self.each(|v| {
            let mut w = samples(self.s, &v);
            if v.histograms() > 0 {
                let mut h = histograms(self.s, &v);
                if anchored && !anchor(&mut w, &mut h) {
                    return Ok(());
                }
                let n =
                    if resets { native::resets(w.t, w.v, w.st, &h) } else { native::changes(w.t, w.v, &h) };
                row.push(v.step, n);
                return Ok(());
            }
            if anchored {
                // From the last sample at or before the range's start.
                let before = w.t.partition_point(|t| *t <= v.start_ms);
                if before == w.t.len() {
                    return Ok(());
                }
                let first = before.saturating_sub(1);
                w.t = &w.t[first..];
                w.v = &w.v[first..];
                w.st = w.st.get(first..).unwrap_or(&[]);
            }
            let n = if resets {
                (1..w.v.len())
                    .filter(|i| {
                        let st = |i| start_time::st_at(w.st, i);
                        w.v[*i] < w.v[i - 1] || start_time::is_reset(st(i - 1), w.t[i - 1], st(*i), w.t[*i])
                    })
                    .count() as f64
            } else {
                over_time::changes(w.v, &|| self.exec.check())?
            };
            row.push(v.step, n);
            Ok(())
        })?;
        Ok(row)
    }
}
