//! From what was counted to what Prometheus would have counted.
//!
//! Prometheus evaluates one operand after the other, over all steps, and holds each operand's points
//! until the operator above it ends; that number is what `query.max-samples` bounds. We hold rows as
//! long as they are needed and read series in parallel, so the number is worked out afterwards from
//! counts: a walk over the plan in Prometheus' order of evaluation (promql/engine.go, 3.16). While
//! the query runs, the same walk over the counts so far is a lower bound, because counts only grow.

use super::Exec;
use super::meter::{Consumed, Meter, Steps};
use crate::error::QueryError;
use crate::functions::stretch::Pulse;
use crate::grid::Grid;
use crate::plan::{Node, Plan, Window, WindowSource, goes_by_step};

/// A count as a part of what is held, which is signed: a subquery's points are given back by number, and those that
/// were never held with them, so that less than nothing may be held. Prometheus counts so, too.
fn points(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The largest numbers of points held.
#[derive(Debug, Default)]
struct Highest {
    /// At moments when Prometheus compares with the limit.
    checked: u64,
    /// At any moment it takes note of.
    noted: u64,
}

impl Highest {
    fn check(&mut self, held: i64) {
        self.checked = self.checked.max(u64::try_from(held).unwrap_or(0));
        self.note(held);
    }

    fn note(&mut self, held: i64) {
        self.noted = self.noted.max(u64::try_from(held).unwrap_or(0));
    }
}

/// Samples that a node and those below it consumed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Consumption {
    /// Full windows at each step.
    pub(crate) total: u64,
    /// Those not read at the step before.
    pub(crate) read: u64,
    /// The same for each step, where wanted.
    pub(crate) steps: Consumed,
}

impl Consumption {
    fn at_first_step(&mut self, total: u64, read: u64) {
        self.total += total;
        self.read += read;
        if let Some(first) = self.steps.total.first_mut() {
            *first += total;
        }
        if let Some(first) = self.steps.read.first_mut() {
            *first += read;
        }
    }

    fn add(&mut self, o: &Self) {
        self.total += o.total;
        self.read += o.read;
        self.add_steps(&o.steps);
    }

    fn add_steps(&mut self, o: &Consumed) {
        for (to, from) in [(&mut self.steps.total, &o.total), (&mut self.steps.read, &o.read)] {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    }

    fn add_each_step(&mut self, at: usize, total: u64, read: u64) {
        self.total += total;
        self.read += read;
        if let (Some(t), Some(r)) = (self.steps.total.get_mut(at), self.steps.read.get_mut(at)) {
            *t += total;
            *r += read;
        }
    }
}

impl Exec<'_> {
    /// Fails where too many samples are held, going by what has been counted so far.
    pub(crate) fn check_samples(&self) -> Result<(), QueryError> {
        if self.highest()?.checked > self.meters.max() { Err(QueryError::TooManySamples) } else { Ok(()) }
    }

    /// The most samples held.
    pub(crate) fn peak_samples(&self) -> Result<u64, QueryError> {
        Ok(self.highest()?.noted)
    }

    fn highest(&self) -> Result<Highest, QueryError> {
        let mut out = Highest::default();
        self.held(&self.plan.root, 0, &mut out)?;
        Ok(out)
    }

    /// What is held after `p` was evaluated, where `now` was held before.
    fn held(&self, p: &Plan, now: i64, high: &mut Highest) -> Result<i64, QueryError> {
        let meter = self.meters.of(p);
        // What has too many steps for memory is refused before it counts anything.
        if p.grid.steps == 0 || self.budget.check_steps(p.grid.steps).is_err() {
            return Ok(now);
        }
        Ok(match &p.node {
            Node::String(_) => now,
            Node::Number(_) | Node::Time => {
                let then = now.saturating_add(points(meter.weight()));
                high.check(then);
                then
            }
            Node::Selector(s) if s.smoothed => Self::slide(meter, now, high),
            Node::Selector(_) => {
                let then = now.saturating_add(points(meter.weight()));
                high.check(then);
                then
            }
            Node::Matrix(w) => match &w.source {
                WindowSource::Subquery(inner) => self.held(inner, now, high)?,
                WindowSource::Select(_) => {
                    high.check(now.saturating_add(points(meter.weight())));
                    now.saturating_add(points(meter.weight()))
                }
            },
            Node::Range(c) => {
                let mut then = now;
                let mut subquery = 0i64;
                if let WindowSource::Subquery(inner) = &c.window.source {
                    then = self.held(inner, then, high)?;
                    subquery = points(self.meters.of(inner).weight());
                }
                for s in &c.scalars {
                    then = self.held(s, then, high)?;
                }
                // The scalars' points are given back only when the operator above ends.
                Self::slide(meter, then, high).saturating_sub(subquery)
            }
            Node::Invariant(inner) => {
                let then = self.held(inner, now, high)?;
                let copies = self.meters.of(inner).weight().saturating_mul(p.grid.steps as u64 - 1);
                let then = then.saturating_add(points(copies));
                high.check(then);
                then
            }
            Node::Negate(inner) => self.held(inner, now, high)?,
            Node::Call(c) if !goes_by_step(&p.node) => self.held(&c.args[0], now, high)?,
            Node::Info(i) => {
                let then = self.held(&i.base, now, high)?.saturating_add(points(meter.side_weight()));
                high.check(then);
                let operands = [self.meters.of(&i.base).steps(), meter.side_steps()];
                // Neither the base's nor the info series' points are given back.
                self.by_step(p, then, then, &operands, high)?
            }
            Node::TimestampOf { .. } => self.by_step(p, now, now, &[meter.steps()], high)?,
            node if goes_by_step(node) => {
                let mut then = now;
                let mut operands: Vec<Steps> = Vec::new();
                let mut error = None;
                node.for_each_operand(&mut |o| {
                    if matches!(o.node, Node::String(_)) || error.is_some() {
                        return;
                    }
                    match self.held(o, then, high) {
                        Ok(held) => then = held,
                        Err(e) => error = Some(e),
                    }
                    operands.push(self.meters.of(o).steps());
                });
                if let Some(e) = error {
                    return Err(e);
                }
                self.by_step(p, now, then, &operands, high)?
            }
            node => {
                // Aggregations add up row after row: their output is held from the end on.
                let mut then = now;
                let mut error = None;
                node.for_each_operand(&mut |o| match self.held(o, then, high) {
                    Ok(held) => then = held,
                    Err(e) => error = Some(e),
                });
                if let Some(e) = error {
                    return Err(e);
                }
                high.check(then);
                high.note(now.saturating_add(points(meter.weight())));
                now.saturating_add(points(meter.weight()))
            }
        })
    }

    /// An operator that goes step by step: it gathers an element of each operand's series, and
    /// holds the results of all steps so far. `before` is what will be left besides its output.
    fn by_step(
        &self,
        p: &Plan,
        before: i64,
        operands_held: i64,
        operands: &[Steps],
        high: &mut Highest,
    ) -> Result<i64, QueryError> {
        let meter = self.meters.of(p);
        let out = meter.steps();
        let at = |v: &[u64], s: usize| v.get(s).copied().unwrap_or(0);
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        let mut held = operands_held;
        for s in 0..p.grid.steps {
            pulse.beat(1 + operands.len())?;
            let gathered: u64 = operands.iter().map(|o| at(&o.cells, s)).sum();
            held = held.saturating_add(points(at(&out.elements, s)));
            high.check(held.saturating_add(points(gathered)));
        }
        let left = before.saturating_add(points(meter.weight()));
        high.note(left);
        Ok(left)
    }

    /// Windows slid over one series after the other, above what was held before.
    fn slide(meter: &Meter, before: i64, high: &mut Highest) -> i64 {
        let mut then = before;
        for s in meter.slid().iter() {
            // The last window is still there when the series' points are added.
            high.check(then.saturating_add(points(s.max.max(s.last + s.out))));
            then = then.saturating_add(points(s.out));
        }
        then
    }

    /// What the query consumed.
    pub(crate) fn consumption(&self) -> Consumption {
        self.consumed(&self.plan.root)
    }

    fn consumed(&self, p: &Plan) -> Consumption {
        let (meter, wanted) = (self.meters.of(p), self.plan.tallies[p.id].steps);
        let mut out = Consumption::default();
        if wanted {
            out.steps = Consumed { total: vec![0; p.grid.steps], read: vec![0; p.grid.steps] };
        }
        out.total += meter.total();
        out.read += meter.read();
        out.add_steps(&meter.consumed());
        match &p.node {
            Node::Selector(s) if s.smoothed => {}
            Node::Selector(_) | Node::TimestampOf { .. } => {
                out.total += meter.weight();
                out.read += meter.weight();
                let points = meter.steps().points;
                out.add_steps(&Consumed { total: points.clone(), read: points });
            }
            Node::Info(_) => {
                out.total += meter.side_weight();
                out.read += meter.side_weight();
                let points = meter.side_steps().points;
                out.add_steps(&Consumed { total: points.clone(), read: points });
            }
            Node::Range(c) => self.consume_window(&c.window, p.grid, &mut out),
            Node::Matrix(w) => self.consume_window(w, p.grid, &mut out),
            _ => {}
        }
        if let Node::Invariant(inner) = &p.node {
            let once = self.consumed(inner);
            for step in 0..p.grid.steps {
                out.add_each_step(step, once.total, if step == 0 { once.read } else { 0 });
            }
            return out;
        }
        p.node.for_each_operand(&mut |o| out.add(&self.consumed(o)));
        out
    }

    /// Adds what a subquery consumed to the steps that consume it.
    fn consume_window(&self, w: &Window, grid: Grid, out: &mut Consumption) {
        let WindowSource::Subquery(inner) = &w.source else { return };
        let child = self.consumed(inner);
        if grid.steps <= 1 {
            return out.at_first_step(child.total, child.read);
        }
        let time = |k: usize| inner.grid.time(k).saturating_add(w.offset_ms);
        let per_step = &child.steps;
        if let Some(at) = w.at_ms {
            let inside = |k: &usize| time(*k) > at.saturating_sub(w.range_ms) && time(*k) <= at;
            let sum = |v: &[u64]| (0..v.len()).filter(inside).map(|k| v[k]).sum::<u64>();
            let (total, read) = (sum(&per_step.total), sum(&per_step.read));
            for step in 0..grid.steps {
                out.add_each_step(step, total, 0);
            }
            let read = if self.opts.query_cost { child.read } else { read };
            return out.at_first_step(0, read);
        }
        // Each step consumes all of its window.
        let (mut lo, mut hi, mut sum) = (0, 0, 0);
        for step in 0..grid.steps {
            let end = grid.time(step);
            while hi < per_step.total.len() && time(hi) <= end {
                sum += per_step.total[hi];
                hi += 1;
            }
            while lo < hi && time(lo) <= end.saturating_sub(w.range_ms) {
                sum -= per_step.total[lo];
                lo += 1;
            }
            out.add_each_step(step, sum, 0);
        }
        // What was read counts at the first step that consumes it; with query-cost all of it.
        for (k, n) in per_step.read.iter().enumerate().filter(|(_, n)| **n > 0) {
            let step = grid.first_at_or_after(time(k));
            if self.opts.query_cost {
                out.add_each_step(step.min(grid.steps - 1), 0, *n);
            } else if step < grid.steps && time(k) > grid.time(step).saturating_sub(w.range_ms) {
                out.add_each_step(step, 0, *n);
            }
        }
    }
}
