//! The aggregation `count_values`: one group for each distinct value.

use std::collections::HashMap;

use model::Labels;
use model::float::{go_quoted, to_string_f};
use promql_syntax::ast::StringLiteral;

use super::aggregate::steps;
use super::{Exec, Head, SeriesRow, Stream};
use crate::error::QueryError;
use crate::functions::stretch::{LABELS, Pulse};
use crate::grid::Grid;
use crate::labels::group;
use crate::plan::Aggregate;
use crate::row::{Cell, Row};

/// Whether `name` can be a label's: not empty, and UTF-8.
pub(super) fn is_label_name(name: &StringLiteral) -> bool {
    !name.value.is_empty() && name.invalid_utf8.is_none()
}

impl<'e> Exec<'e> {
    pub(super) fn count_values(
        &'e self,
        a: &'e Aggregate,
        label: &StringLiteral,
        grid: Grid,
    ) -> Result<Stream<'e>, QueryError> {
        if !is_label_name(label) {
            return Err(QueryError::Execution(format!("invalid label name {}", go_quoted(label.as_bytes()))));
        }
        let label = &label.value;
        let input = self.eval_vector(&a.input)?;
        let rows = self.collect(input)?;
        let mut place: HashMap<Labels, usize> = HashMap::new();
        let mut out: Vec<(Labels, Row)> = Vec::new();
        // Per output series the count at this step; and which of them have one.
        let mut counts: Vec<f64> = Vec::new();
        let mut seen: Vec<usize> = Vec::new();
        // The last value of each input series with its output: values often stay.
        let mut last: Vec<Option<(u64, usize)>> = vec![None; rows.len()];
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        for step in steps(grid) {
            pulse.beat(1 + rows.len())?;
            for (i, r) in rows.iter().enumerate() {
                let cell = match r.row.get(step) {
                    None => continue,
                    Some(cell) => cell,
                };
                let bits = if let Cell::Float(v) = cell { Some(v.to_bits()) } else { None };
                let at = match last[i] {
                    Some((last, at)) if bits == Some(last) => at,
                    _ => {
                        pulse.beat(LABELS)?;
                        let text = match cell {
                            // Scaling by NaN made one up; Prometheus does not write it out.
                            Cell::Histogram(h) if h.uses_custom_buckets() && h.zero_count != 0.0 => {
                                return Err(QueryError::execution(
                                    "histograms with custom buckets have no zero bucket",
                                ));
                            }
                            Cell::Float(v) => to_string_f(v),
                            Cell::Histogram(h) => h.to_string(),
                        };
                        let labels = r.head.labels.to_builder().set(label, &text).build();
                        let labels = group(&labels, &a.grouping);
                        *place.entry(labels).or_insert_with_key(|labels| {
                            out.push((labels.clone(), Row::new()));
                            counts.push(0.0);
                            out.len() - 1
                        })
                    }
                };
                last[i] = bits.map(|bits| (bits, at));
                if counts[at] == 0.0 {
                    seen.push(at);
                }
                counts[at] += 1.0;
            }
            self.budget.take(seen.len())?;
            for at in seen.drain(..) {
                out[at].1.push(step, std::mem::take(&mut counts[at]));
            }
        }
        self.release(&rows);
        Ok(Stream::Ready(out.into_iter().map(|(l, row)| SeriesRow { head: Head::new(l), row }).collect()))
    }
}
