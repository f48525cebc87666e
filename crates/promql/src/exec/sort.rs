//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`. Only instant queries show an order.

use std::cmp::Ordering;

use promql_syntax::Function;

use super::{Exec, SeriesRow, Stream};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::natural;
use crate::functions::stretch::{LABELS, Pulse};
use crate::plan::{Call, Node, Plan};
use crate::row::Cell;

fn value(r: &SeriesRow) -> f64 {
    match r.row.get(0) {
        Some(Cell::Float(v)) => v,
        _ => f64::NAN,
    }
}

/// By value, NaN last in either direction.
fn by_value(a: &SeriesRow, b: &SeriesRow, descending: bool) -> Ordering {
    let (a, b) = (value(a), value(b));
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
    }
}

fn by_labels(a: &SeriesRow, b: &SeriesRow, names: &[&str]) -> Ordering {
    for name in names {
        let (x, y) = (a.head.labels.get(name).unwrap_or(""), b.head.labels.get(name).unwrap_or(""));
        match if x == y { Ordering::Equal } else { natural::compare(x, y) } {
            Ordering::Equal => {}
            order => return order,
        }
    }
    a.head.labels.cmp(&b.head.labels)
}

impl<'e> Exec<'e> {
    pub(super) fn sort(&'e self, c: &'e Call, plan: &Plan) -> Result<Stream<'e>, QueryError> {
        if plan.grid.is_range {
            self.annotate(Annotation::sort_in_range_query(plan.span));
        }
        let descending = matches!(c.function, Function::SortDesc | Function::SortByLabelDesc);
        let input = self.eval_vector(&c.args[0])?;
        let mut rows = self.collect(input)?;
        if matches!(c.function, Function::Sort | Function::SortDesc) {
            let go_on = || self.check();
            let mut pulse = Pulse::new(&go_on);
            for r in &mut rows {
                pulse.beat(LABELS)?;
                r.row = std::mem::take(&mut r.row).without_histograms(&go_on)?;
            }
            rows.retain(|r| !r.row.is_empty());
            self.stop.sort_by(&mut rows, |a, b| by_value(a, b, descending))?;
        } else {
            let names: Vec<&str> = c.args[1..]
                .iter()
                .filter_map(|a| match &a.node {
                    Node::String(s) => Some(s.value.as_str()),
                    _ => None,
                })
                .collect();
            self.stop.sort_by(&mut rows, |a, b| {
                let order = by_labels(a, b, &names);
                if descending { order.reverse() } else { order }
            })?;
        }
        Ok(Stream::Ready(rows))
    }
}
