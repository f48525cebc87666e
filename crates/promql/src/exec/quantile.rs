//! The aggregation `quantile`.

use super::aggregate::{Groups, Param, steps};
use super::{Exec, SeriesRow, Stream};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::over_time;
use crate::functions::stretch::Pulse;
use crate::grid::Grid;
use crate::plan::Aggregate;
use crate::row::{Cell, Row};

impl<'e> Exec<'e> {
    pub(super) fn quantile(
        &'e self,
        a: &'e Aggregate,
        input: Stream<'e>,
        param: &Param<'_>,
        grid: Grid,
    ) -> Result<Stream<'e>, QueryError> {
        param.warn_quantile(self);
        let rows = self.collect(input)?;
        let groups = Groups::find(rows.iter().map(|r| &r.head), &a.grouping);
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); groups.heads.len()];
        let mut out: Vec<Row> = groups.heads.iter().map(|_| Row::new()).collect();
        let mut ignored = false;
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        for step in steps(grid) {
            pulse.beat(1 + rows.len())?;
            for (r, group) in rows.iter().zip(&groups.of) {
                match r.row.get(step) {
                    Some(Cell::Float(v)) => values[*group as usize].push(v),
                    Some(Cell::Histogram(_)) => ignored = true,
                    None => {}
                }
            }
            for (values, out) in values.iter_mut().zip(&mut out) {
                if !values.is_empty() {
                    out.push(step, over_time::quantile(param.values[step], values, &go_on)?);
                    values.clear();
                }
            }
        }
        if ignored {
            self.annotate(Annotation::histogram_ignored_in_aggregation("quantile", a.input.span));
        }
        self.release(&rows);
        let out: Vec<SeriesRow> = groups
            .heads
            .into_iter()
            .zip(out)
            .map(|(head, row)| SeriesRow { head, row })
            .filter(|r| !r.row.is_empty())
            .collect();
        self.budget.take(out.iter().map(|r| r.row.weight()).sum())?;
        Ok(Stream::Ready(out))
    }
}
