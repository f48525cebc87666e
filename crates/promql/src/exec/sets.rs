//! `and`, `or`, `unless`: which elements of one side have, or lack, a partner on the other.

use std::collections::HashMap;

use model::Labels;
use promql_syntax::BinaryOp;
use promql_syntax::ast::VectorMatching;

use super::{Exec, SeriesRow, Stream};
use crate::error::QueryError;
use crate::grid::Grid;
use crate::labels::match_group;
use crate::row::Row;

/// For each match group the steps at which any of its series has a cell.
struct Presence {
    groups: HashMap<Labels, Vec<bool>>,
}

impl Presence {
    fn of(rows: &[SeriesRow], m: &VectorMatching, grid: Grid) -> Self {
        let mut groups: HashMap<Labels, Vec<bool>> = HashMap::new();
        for r in rows {
            let key = match_group(&r.head.labels, m.on, &m.matching_labels);
            let seen = groups.entry(key).or_insert_with(|| vec![false; grid.steps]);
            for (step, _) in r.row.iter() {
                seen[step] = true;
            }
        }
        Self { groups }
    }

    /// The row's cells at steps where its group is present, or is not.
    fn filter(&self, r: SeriesRow, m: &VectorMatching, present: bool) -> SeriesRow {
        let key = match_group(&r.head.labels, m.on, &m.matching_labels);
        let Some(seen) = self.groups.get(&key) else {
            return SeriesRow { row: if present { Row::new() } else { r.row }, head: r.head };
        };
        if r.row.iter().all(|(step, _)| seen[step] == present) {
            return r;
        }
        let mut row = Row::new();
        for (step, cell) in r.row.iter().filter(|(step, _)| seen[*step] == present) {
            row.push_cell(step, cell);
        }
        SeriesRow { head: r.head, row }
    }
}

impl<'e> Exec<'e> {
    pub(super) fn set_operation(
        &self,
        op: BinaryOp,
        m: &VectorMatching,
        lhs: Stream<'e>,
        rhs: Stream<'e>,
        grid: Grid,
    ) -> Result<Stream<'e>, QueryError> {
        let (lhs, rhs) = (self.collect(lhs)?, self.collect(rhs)?);
        self.check()?;
        let mut out = Vec::new();
        if op == BinaryOp::Or {
            let left = Presence::of(&lhs, m, grid);
            out = lhs;
            out.extend(rhs.into_iter().map(|r| left.filter(r, m, false)));
        } else {
            let right = Presence::of(&rhs, m, grid);
            self.release(&rhs);
            out.extend(lhs.into_iter().map(|r| right.filter(r, m, op == BinaryOp::And)));
        }
        out.retain(|r| !r.row.is_empty());
        let out = Stream::Ready(out);
        if op == BinaryOp::Or { self.distinct(out) } else { Ok(out) }
    }
}
