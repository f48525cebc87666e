//! Samples of one series as range functions want them: without stale markers, floats and
//! histograms apart.

use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{Columns, FloatHistogram, is_stale_nan};

use crate::error::QueryError;
use crate::functions::stretch::{GoOn, Pulse};
use crate::grid::Grid;
use crate::row::{Cell, Row};

/// The histogram without what it says of the one before it: a subquery leaves samples out, or has
/// them several times.
fn without_hint(h: &Arc<FloatHistogram>) -> Arc<FloatHistogram> {
    match h.counter_reset_hint {
        CounterResetHint::Reset | CounterResetHint::NotReset => Arc::new(FloatHistogram {
            counter_reset_hint: CounterResetHint::Unknown,
            ..FloatHistogram::clone(h)
        }),
        CounterResetHint::Unknown | CounterResetHint::Gauge => h.clone(),
    }
}

/// Samples in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    pub(crate) t: Vec<i64>,
    pub(crate) v: Vec<f64>,
    /// Start timestamps of the floats, or empty.
    pub(crate) st: Vec<i64>,
    pub(crate) ht: Vec<i64>,
    pub(crate) h: Vec<Arc<FloatHistogram>>,
    /// Start timestamps of the histograms, or empty.
    pub(crate) hst: Vec<i64>,
}

impl Samples {
    pub(crate) fn len(&self) -> usize {
        self.t.len() + self.ht.len()
    }

    fn clear(&mut self) {
        self.t.clear();
        self.v.clear();
        self.st.clear();
        self.ht.clear();
        self.h.clear();
        self.hst.clear();
    }

    /// Takes over what a store read; `with_st` keeps start timestamps. Leaves old memory in `c`.
    pub(crate) fn fill(&mut self, c: &mut Columns, with_st: bool) {
        self.clear();
        let with_st = with_st && !c.st.is_empty();
        if c.h.is_empty() && !c.v.iter().any(|v| is_stale_nan(*v)) {
            std::mem::swap(&mut self.t, &mut c.t);
            std::mem::swap(&mut self.v, &mut c.v);
            if with_st {
                std::mem::swap(&mut self.st, &mut c.st);
            }
            return;
        }
        let mut histograms = c.h.iter().peekable();
        for i in 0..c.len() {
            if let Some((_, h)) = histograms.next_if(|(at, _)| *at as usize == i) {
                if !is_stale_nan(h.sum) {
                    self.ht.push(c.t[i]);
                    self.h.push(h.clone());
                    if with_st {
                        self.hst.push(c.st[i]);
                    }
                }
            } else if !is_stale_nan(c.v[i]) {
                self.t.push(c.t[i]);
                self.v.push(c.v[i]);
                if with_st {
                    self.st.push(c.st[i]);
                }
            }
        }
    }

    /// Takes over the cells of a subquery's row.
    pub(crate) fn fill_from_row(&mut self, row: &Row, grid: Grid, go_on: GoOn<'_>) -> Result<(), QueryError> {
        self.clear();
        if let Some((_, values)) = row.as_dense() {
            self.t.reserve(values.len());
            self.v.reserve(values.len());
        }
        let mut pulse = Pulse::new(go_on);
        for (step, cell) in row.iter() {
            pulse.beat(1)?;
            match cell {
                Cell::Float(v) if is_stale_nan(v) => {}
                Cell::Float(v) => {
                    self.t.push(grid.time(step));
                    self.v.push(v);
                }
                Cell::Histogram(h) => {
                    self.ht.push(grid.time(step));
                    self.h.push(without_hint(h));
                }
            }
        }
        Ok(())
    }
}
