//! Functions of range vectors over what nearly all series are: floats alone, without start
//! timestamps, in windows that end where their steps are. All windows of a series are computed at once; anything else goes
//! window by window ([`super::dispatch`]), with the same results.

use promql_syntax::Function;

use super::window::Frame;
use super::{Column, Exec, Scratch};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::{rate, sliding};
use crate::plan::RangeCall;
use crate::row::Row;

/// The fewest samples of a window that give a value; none for functions that go window by window.
fn least(f: Function) -> Option<usize> {
    use Function as F;
    match f {
        F::Rate | F::Increase | F::Delta | F::Irate | F::Idelta | F::DoubleExponentialSmoothing => Some(2),
        F::Changes
        | F::Resets
        | F::CountOverTime
        | F::PresentOverTime
        | F::AbsentOverTime
        | F::LastOverTime
        | F::FirstOverTime
        | F::TsOfLastOverTime
        | F::TsOfFirstOverTime
        | F::SumOverTime
        | F::AvgOverTime
        | F::MaxOverTime
        | F::MinOverTime
        | F::StdvarOverTime
        | F::StddevOverTime
        | F::QuantileOverTime => Some(1),
        _ => None,
    }
}

/// Finds the windows of `scratch.samples`, if `c` can be computed of all of them at once.
pub(super) fn find_edges(c: &RangeCall, frame: Frame, scratch: &mut Scratch) -> bool {
    let Scratch { samples: s, edges, .. } = scratch;
    let is_plain = s.ht.is_empty() && s.st.is_empty() && !c.window.anchored && !c.window.smoothed;
    least(c.function).is_some_and(|least| is_plain && edges.find(&s.t, frame, least))
}

impl Exec<'_> {
    /// The row of `c` for the series in `scratch.samples`; none where it has to be computed window
    /// by window.
    pub(super) fn plain_row(
        &self,
        c: &RangeCall,
        frame: Frame,
        scalars: &[Column<'_>],
        scratch: &mut Scratch,
    ) -> Result<Option<Row>, QueryError> {
        use Function as F;
        if !find_edges(c, frame, scratch) {
            return Ok(None);
        }
        let Scratch { samples: s, edges, resets, .. } = scratch;
        let go_on = || self.check();
        let (t, v) = (&s.t[..], &s.v[..]);
        let w = edges.windows();
        let mut values = Vec::with_capacity(w.len());
        let out = &mut values;
        match c.function {
            F::Rate | F::Increase | F::Delta => {
                let is_counter = c.function != F::Delta;
                resets.clear();
                if is_counter {
                    rate::find_resets(t, v, &[], resets);
                }
                let per = if c.function == F::Rate { frame.range_ms as f64 / 1000.0 } else { 1.0 };
                let (w, spans) = edges.spans();
                rate::slide(v, w, spans, resets, is_counter, per, out);
            }
            F::Irate | F::Idelta => {
                let is_rate = c.function == F::Irate;
                for (_, hi) in w.iter() {
                    let last = hi - 2..hi;
                    let two =
                        rate::Samples { t: &t[last.clone()], v: &v[last], st: &[], start_ms: 0, end_ms: 0 };
                    match rate::instant(two, is_rate) {
                        Some(r) => out.push(r),
                        // Two samples of one time: such a series goes window by window.
                        None => return Ok(None),
                    }
                }
            }
            F::Changes => {
                sliding::count(v, w, |a, b| a != b && !(a.is_nan() && b.is_nan()), resets, out);
            }
            F::Resets => sliding::count(v, w, |a, b| b < a, resets, out),
            F::CountOverTime => out.extend(w.iter().map(|(lo, hi)| (hi - lo) as f64)),
            F::PresentOverTime | F::AbsentOverTime => out.resize(w.len(), 1.0),
            F::LastOverTime => out.extend(w.iter().map(|(_, hi)| v[hi - 1])),
            F::FirstOverTime => out.extend(w.iter().map(|(lo, _)| v[lo])),
            F::TsOfLastOverTime => out.extend(w.iter().map(|(_, hi)| t[hi - 1] as f64 / 1000.0)),
            F::TsOfFirstOverTime => out.extend(w.iter().map(|(lo, _)| t[lo] as f64 / 1000.0)),
            F::SumOverTime => sliding::sum(v, w, &go_on, out)?,
            F::AvgOverTime => sliding::avg(v, w, &go_on, out)?,
            F::MaxOverTime => sliding::max(v, w, out),
            F::MinOverTime => sliding::min(v, w, out),
            F::StdvarOverTime => sliding::stdvar(v, w, &go_on, out)?,
            F::StddevOverTime => {
                sliding::stdvar(v, w, &go_on, out)?;
                out.iter_mut().for_each(|v| *v = v.sqrt());
            }
            F::DoubleExponentialSmoothing => {
                // Factors that are refused are so at each step by itself.
                let factor = |s: &[f64]| {
                    s.first().copied().filter(|f| *f > 0.0 && *f < 1.0 && s.iter().all(|other| other == f))
                };
                let (Some(sf), Some(tf)) = (factor(&scalars[0]), factor(&scalars[1])) else {
                    return Ok(None);
                };
                sliding::double_exponential_smoothing(v, w, (sf, tf), &go_on, out)?;
            }
            F::QuantileOverTime => {
                let q = |i: usize| scalars[0][edges.step(i)];
                if !sliding::quantile(v, w, q, &go_on, out)? {
                    return Ok(None);
                }
                let mut warned = None;
                for q in (0..w.len()).map(q).filter(|q| !(0.0..=1.0).contains(q)) {
                    if warned != Some(q.to_bits()) {
                        warned = Some(q.to_bits());
                        self.annotate(Annotation::invalid_quantile(q, c.span));
                    }
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(edges.row(values)))
    }
}
