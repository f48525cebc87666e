//! `and`, `or`, `unless`: which elements of one side have, or lack, a partner on the other.

use std::collections::HashMap;

use model::Labels;
use promql_syntax::BinaryOp;
use promql_syntax::ast::VectorMatching;

use super::{Exec, SeriesRow, Stream};
use crate::error::QueryError;
use crate::functions::stretch::{GoOn, LABELS, Pulse};
use crate::labels::match_group;
use crate::row::Row;

/// The steps at which any series of a match group has a cell: bits from the first of them on.
#[derive(Default)]
struct Steps {
    first: usize,
    bits: Vec<u64>,
}

impl Steps {
    /// None of the steps `span.0 .. span.1`.
    fn none_of(span: (usize, usize)) -> Self {
        Self { first: span.0, bits: vec![0; (span.1 - span.0).div_ceil(64)] }
    }

    fn add(&mut self, step: usize) {
        let at = step - self.first;
        self.bits[at / 64] |= 1 << (at % 64);
    }

    fn has(&self, step: usize) -> bool {
        let Some(at) = step.checked_sub(self.first) else { return false };
        self.bits.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

/// For each match group its steps.
struct Presence {
    groups: HashMap<Labels, Steps>,
}

impl Presence {
    fn of(rows: &[SeriesRow], m: &VectorMatching, go_on: GoOn<'_>) -> Result<Self, QueryError> {
        let mut pulse = Pulse::new(go_on);
        let mut spans: HashMap<Labels, (usize, usize)> = HashMap::new();
        for r in rows {
            pulse.beat(LABELS)?;
            let (first, end) = r.row.span();
            let span = spans.entry(group(r, m)).or_insert((first, end));
            *span = (span.0.min(first), span.1.max(end));
        }
        let mut groups: HashMap<Labels, Steps> =
            spans.into_iter().map(|(key, span)| (key, Steps::none_of(span))).collect();
        for r in rows {
            pulse.beat(LABELS)?;
            let seen = groups.entry(group(r, m)).or_default();
            for (step, _) in r.row.iter() {
                pulse.beat(1)?;
                seen.add(step);
            }
        }
        Ok(Self { groups })
    }

    /// The row's cells at steps where its group is present, or is not.
    fn filter(
        &self,
        r: SeriesRow,
        m: &VectorMatching,
        present: bool,
        go_on: GoOn<'_>,
    ) -> Result<SeriesRow, QueryError> {
        let Some(seen) = self.groups.get(&group(&r, m)) else {
            return Ok(SeriesRow { row: if present { Row::new() } else { r.row }, head: r.head });
        };
        let mut row = Row::new();
        let mut pulse = Pulse::new(go_on);
        for (step, cell) in r.row.iter() {
            pulse.beat(1)?;
            if seen.has(step) == present {
                row.push_cell(step, cell);
            }
        }
        Ok(SeriesRow { head: r.head, row })
    }
}

fn group(r: &SeriesRow, m: &VectorMatching) -> Labels {
    match_group(&r.head.labels, m.on, &m.matching_labels)
}

impl<'e> Exec<'e> {
    pub(super) fn set_operation(
        &self,
        op: BinaryOp,
        m: &VectorMatching,
        lhs: Stream<'e>,
        rhs: Stream<'e>,
    ) -> Result<Stream<'e>, QueryError> {
        let (lhs, rhs) = (self.collect(lhs)?, self.collect(rhs)?);
        let go_on = || self.check();
        let mut out = Vec::new();
        if op == BinaryOp::Or {
            let left = Presence::of(&lhs, m, &go_on)?;
            out = lhs;
            for r in rhs {
                self.check()?;
                out.push(left.filter(r, m, false, &go_on)?);
            }
        } else {
            let right = Presence::of(&rhs, m, &go_on)?;
            self.release(&rhs);
            for r in lhs {
                self.check()?;
                out.push(right.filter(r, m, op == BinaryOp::And, &go_on)?);
            }
        }
        out.retain(|r| !r.row.is_empty());
        let out = Stream::Ready(out);
        if op == BinaryOp::Or { self.distinct_in_time(out) } else { Ok(out) }
    }
}
