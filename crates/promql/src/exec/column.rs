//! A scalar's values, one per step, counted as held in memory as long as they live.

use std::ops::Deref;

use super::{Budget, Exec};
use crate::error::QueryError;
use crate::functions::stretch::stretches;

/// One number for every step of a grid.
pub(crate) struct Column<'e> {
    values: Vec<f64>,
    budget: &'e Budget,
}

impl Column<'_> {
    /// The values, which go on counting as held: whoever takes them gives them back.
    pub(crate) fn into_values(mut self) -> Vec<f64> {
        std::mem::take(&mut self.values)
    }
}

impl Deref for Column<'_> {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        &self.values
    }
}

impl Drop for Column<'_> {
    fn drop(&mut self) {
        self.budget.give(self.values.len());
    }
}

impl Exec<'_> {
    /// The column of `f` of each step, once the budget allows it.
    pub(crate) fn column(
        &self,
        steps: usize,
        mut f: impl FnMut(usize) -> f64,
    ) -> Result<Column<'_>, QueryError> {
        self.budget.take(steps)?;
        let mut out = Column { values: Vec::with_capacity(steps), budget: &self.budget };
        stretches(0..steps, &|| self.check(), |r| out.values.extend(r.map(&mut f)))?;
        Ok(out)
    }
}
