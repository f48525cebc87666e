//! `absent` and `absent_over_time`: the steps at which no series has a cell.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use model::Labels;

use super::{Exec, Head, Scratch, SeriesRow, Stream};
use crate::error::QueryError;
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
        let mark = |row: &Row| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            for (step, _) in row.iter() {
                seen[step] = true;
            }
        };
        match s {
            Stream::Ready(rows) => rows.iter().for_each(|r| mark(&r.row)),
            Stream::Lazy { heads, read } => {
                let work = |range: Range<usize>, scratch: &mut Scratch| {
                    for i in range {
                        self.check()?;
                        mark(&read(i, scratch)?);
                    }
                    Ok(())
                };
                self.partitions(heads.len(), &work, |()| {})?;
            }
        }
        let mut row = Row::new();
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (step, seen) in seen.iter().enumerate() {
            if !seen {
                row.push(step, 1.0);
            }
        }
        if row.is_empty() {
            return Ok(Stream::empty());
        }
        Ok(Stream::Ready(vec![SeriesRow { head: Head { labels, drop_name }, row }]))
    }
}
