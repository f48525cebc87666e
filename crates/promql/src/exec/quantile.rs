//! The aggregation `quantile`.

use super::aggregate::{Groups, Param, steps};
use super::{Exec, Scratch, SeriesRow, Stream};
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
        let groups = Groups::find(rows.iter().map(|r| &r.head), &a.grouping, &|| self.check())?;
        let mut members: Vec<Vec<&Row>> = vec![Vec::new(); groups.heads.len()];
        for (r, group) in rows.iter().zip(&groups.of) {
            members[*group as usize].push(&r.row);
        }
        let mut out: Vec<Row> = Vec::with_capacity(members.len());
        let mut ignored = false;
        let work = |part: std::ops::Range<usize>, _: &mut Scratch| {
            members[part]
                .iter()
                .map(|rows| self.group_quantile(rows, param, grid))
                .collect::<Result<Vec<_>, _>>()
        };
        self.partitions(members.len(), &work, |part| {
            for (row, left_out) in part {
                out.push(row);
                ignored |= left_out;
            }
        })?;
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

    /// The quantiles of one group, and whether histograms were left out.
    fn group_quantile(
        &self,
        rows: &[&Row],
        param: &Param<'_>,
        grid: Grid,
    ) -> Result<(Row, bool), QueryError> {
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        let (mut out, mut ignored) = (Row::new(), false);
        let mut values = Vec::with_capacity(rows.len());
        for step in steps(grid) {
            pulse.beat(1 + rows.len())?;
            for row in rows {
                match row.get(step) {
                    Some(Cell::Float(v)) => values.push(v),
                    Some(Cell::Histogram(_)) => ignored = true,
                    None => {}
                }
            }
            if !values.is_empty() {
                out.push(step, over_time::quantile(param.values[step], &mut values, &go_on)?);
                values.clear();
            }
        }
        Ok((out, ignored))
    }
}
