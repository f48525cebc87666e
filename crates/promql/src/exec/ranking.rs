//! Aggregations that keep some of their elements: topk, bottomk, limitk, limit_ratio.

use promql_syntax::AggregateOp;

use super::aggregate::{Groups, Param, steps};
use super::heap::{Item, by_reverse_value, by_value, push, replace_least, sort_descending};
use super::{Exec, SeriesRow, Stream, sampling};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::stretch::Pulse;
use crate::plan::{Aggregate, Plan};
use crate::row::{Cell, Row};

/// The largest and smallest parameter that Prometheus takes for a count.
const MAX_COUNT: f64 = 9_223_372_036_854_774_784.0;
const MIN_COUNT: f64 = -9_223_372_036_854_775_808.0;

/// Whether any element will be kept at all.
fn check_param(op: AggregateOp, p: &Param<'_>, exec: &Exec<'_>) -> Result<bool, QueryError> {
    let (min, max) = (p.min(), p.max());
    if op == AggregateOp::LimitRatio {
        if max == 0.0 && min == 0.0 {
            return Ok(false);
        }
        if p.any_nan() {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        if max > 1.0 {
            exec.annotate(Annotation::invalid_ratio(max, 1.0, p.span));
        }
        if min < -1.0 {
            exec.annotate(Annotation::invalid_ratio(min, -1.0, p.span));
        }
        return Ok(true);
    }
    if max < 1.0 {
        return Ok(false);
    }
    if p.any_nan() {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    let shown = model::float::to_string_g;
    if min <= MIN_COUNT {
        return Err(QueryError::Execution(format!("Scalar value {} underflows int64", shown(min))));
    }
    if max >= MAX_COUNT {
        return Err(QueryError::Execution(format!("Scalar value {} overflows int64", shown(max))));
    }
    Ok(true)
}

/// The elements kept at one step.
struct Kept {
    op: AggregateOp,
    k: usize,
    ratio: f64,
    groups: Vec<Vec<Item>>,
}

impl Kept {
    fn offer(&mut self, group: usize, item: Item, in_sample: impl FnOnce(f64) -> bool) {
        let heap = &mut self.groups[group];
        let nan_out = heap.first().is_some_and(|least| least.0.is_nan()) && !item.0.is_nan();
        match self.op {
            AggregateOp::Topk if heap.len() < self.k => push(heap, item, by_value),
            AggregateOp::Topk if heap[0].0 < item.0 || nan_out => replace_least(heap, item, by_value),
            AggregateOp::Bottomk if heap.len() < self.k => push(heap, item, by_reverse_value),
            AggregateOp::Bottomk if heap[0].0 > item.0 || nan_out => {
                replace_least(heap, item, by_reverse_value)
            }
            AggregateOp::Limitk if heap.len() < self.k => push(heap, item, by_value),
            AggregateOp::LimitRatio if in_sample(self.ratio) => push(heap, item, by_value),
            _ => {}
        }
    }
}

impl<'e> Exec<'e> {
    pub(super) fn rank(
        &'e self,
        a: &'e Aggregate,
        input: Stream<'e>,
        param: &Param<'_>,
        plan: &Plan,
    ) -> Result<Stream<'e>, QueryError> {
        // The input is read even if nothing will be kept: its errors and remarks count.
        let rows = self.collect(input)?;
        if !check_param(a.op, param, self)? {
            self.release(&rows);
            return Ok(Stream::empty());
        }
        let groups = Groups::find(rows.iter().map(|r| &r.head), &a.grouping, &|| self.check())?;
        let mut kept = Kept { op: a.op, k: 0, ratio: 0.0, groups: vec![Vec::new(); groups.heads.len()] };
        let mut out: Vec<Row> = rows.iter().map(|_| Row::new()).collect();
        let mut order = Vec::new();
        let ranks = matches!(a.op, AggregateOp::Topk | AggregateOp::Bottomk);
        let mut ignored = false;
        let mut buf = Vec::new();
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        for step in steps(plan.grid) {
            pulse.beat(1 + rows.len())?;
            let p = param.values[step];
            kept.ratio = p.clamp(-1.0, 1.0);
            // A count below 1 keeps nothing; a fraction counts as the whole number below it.
            kept.k = (p.max(0.0) as usize).min(rows.len());
            if a.op == AggregateOp::LimitRatio && p == 0.0 || a.op != AggregateOp::LimitRatio && kept.k == 0 {
                continue;
            }
            for (i, r) in rows.iter().enumerate() {
                let value = match r.row.get(step) {
                    None => continue,
                    Some(Cell::Float(v)) => v,
                    Some(Cell::Histogram(_)) if ranks => {
                        ignored = true;
                        continue;
                    }
                    Some(Cell::Histogram(_)) => 0.0,
                };
                let in_sample = |ratio| sampling::keeps(ratio, &r.head.labels, &mut buf);
                kept.offer(groups.of[i] as usize, (value, i), in_sample);
            }
            for heap in &mut kept.groups {
                match a.op {
                    AggregateOp::Topk => sort_descending(heap, by_value),
                    AggregateOp::Bottomk => sort_descending(heap, by_reverse_value),
                    _ => {}
                }
                for (_, i) in heap.drain(..) {
                    if let Some(cell) = rows[i].row.get(step) {
                        out[i].push_cell(step, cell);
                    }
                    if plan.grid.steps == 1 {
                        order.push(i);
                    }
                }
            }
        }
        if ignored {
            self.annotate(Annotation::histogram_ignored_in_aggregation(a.op.as_str(), plan.span));
        }
        if plan.grid.steps != 1 {
            order = (0..rows.len()).collect();
        }
        let kept_cells: usize = out.iter().map(Row::count).sum();
        self.release(&rows);
        self.budget.take(kept_cells)?;
        let out = order
            .into_iter()
            .map(|i| SeriesRow { head: rows[i].head.clone(), row: std::mem::take(&mut out[i]) });
        Ok(Stream::Ready(out.filter(|r| !r.row.is_empty()).collect()))
    }
}
