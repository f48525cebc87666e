//! `absent` and `absent_over_time`: the steps at which no series has a cell.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use model::Labels;

use super::{Exec, Head, Scratch, SeriesRow, Stream};
use crate::error::QueryError;
use crate::functions::stretch::Pulse;
use crate::grid::Grid;
use crate::row::Row;

impl<'e> Exec<'e> {
    pub(crate) fn absent_from(
        &self,
        s: Stream<'e>,
        labels: Labels,
        grid: Grid,
        drop_name: bool,
    ) -> Result<Stream<'e>, QueryError> {
        let seen = Mutex::new(vec![false; grid.steps]);
        let go_on = || self.check();
        let mark = |row: &Row| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let mut pulse = Pulse::new(&go_on);
            for (step, _) in row.iter() {
                pulse.beat(1)?;
                seen[step] = true;
            }
            Ok::<(), QueryError>(())
        };
        match s {
            Stream::Ready(rows) => {
                for r in &rows {
                    mark(&r.row)?;
                }
                self.release(&rows);
            }
            Stream::Lazy { heads, read } => {
                let work = |range: Range<usize>, scratch: &mut Scratch| {
                    for i in range {
                        self.check()?;
                        mark(&read(i, scratch)?)?;
                    }
                    Ok(())
                };
                self.partitions(heads.len(), &work, |()| {})?;
            }
        }
        let mut row = Row::new();
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut pulse = Pulse::new(&go_on);
        for (step, seen) in seen.iter().enumerate() {
            pulse.beat(1)?;
            if !seen {
                row.push(step, 1.0);
            }
        }
        if row.is_empty() {
            return Ok(Stream::empty());
        }
        self.budget.take(row.count())?;
        Ok(Stream::Ready(vec![SeriesRow { head: Head { labels, drop_name }, row }]))
    }
}
