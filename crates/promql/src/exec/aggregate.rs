//! Aggregations: which kind each is, and which series belong to which group.

use std::collections::HashMap;

use model::Labels;
use promql_syntax::AggregateOp;

use super::{Exec, Head, Stream};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::math;
use crate::functions::stretch::{GoOn, LABELS, Pulse};
use crate::grid::Grid;
use crate::labels::{group, is_in_group};
use crate::plan::{Aggregate, Grouping, Node, Place, Plan};

/// The groups of a vector, in the order in which its series name them.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) heads: Vec<Head>,
    /// For each series its group.
    pub(super) of: Vec<u32>,
}

impl Groups {
    pub(super) fn find<'a>(
        inputs: impl Iterator<Item = &'a Head>,
        by: &Grouping,
        go_on: GoOn<'_>,
    ) -> Result<Self, QueryError> {
        let mut pulse = Pulse::new(go_on);
        let mut out = Self::default();
        let mut known: HashMap<Labels, u32> = HashMap::new();
        let mut seen = Seen::default();
        for h in inputs {
            pulse.beat(LABELS)?;
            if let Some(group) = seen.group_of(&h.labels) {
                out.heads[group as usize].drop_name |= h.drop_name;
                out.of.push(group);
                continue;
            }
            // Series come sorted: often the next one is of the same group.
            if let Some(last) = out.of.last().copied() {
                let known = &mut out.heads[last as usize];
                if is_in_group(&h.labels, by, &known.labels) {
                    known.drop_name |= h.drop_name;
                    out.of.push(last);
                    seen.remember(&h.labels, last);
                    continue;
                }
            }
            let labels = group(&h.labels, by);
            let next = u32::try_from(out.heads.len()).expect("a query has fewer than 2^32 groups");
            let at = *known.entry(labels).or_insert_with_key(|labels| {
                out.heads.push(Head::new(labels.clone()));
                next
            });
            out.heads[at as usize].drop_name |= h.drop_name;
            out.of.push(at);
            seen.remember(&h.labels, at);
        }
        Ok(out)
    }
}

/// The groups of some label sets, known by where the sets lie in memory: series whose projected
/// labels are equal mostly share one set. A place is that of one set as long as the inputs live.
struct Seen([(usize, u32); Self::LEN]);

impl Default for Seen {
    fn default() -> Self {
        Self([(0, 0); Self::LEN])
    }
}

impl Seen {
    const LEN: usize = 512;

    fn slot(labels: &Labels) -> (usize, usize) {
        let address = labels.as_bytes().as_ptr() as usize;
        ((address.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize) >> (usize::BITS - 9)) % Self::LEN, address)
    }

    fn group_of(&self, labels: &Labels) -> Option<u32> {
        let (slot, address) = Self::slot(labels);
        let (known, group) = self.0[slot];
        // The empty set may lie at any address, and elsewhere the next time.
        (known == address && !labels.is_empty()).then_some(group)
    }

    fn remember(&mut self, labels: &Labels, group: u32) {
        let (slot, address) = Self::slot(labels);
        self.0[slot] = (address, group);
    }
}

/// The parameter of an aggregation at each step.
pub(super) struct Param<'a> {
    pub(super) values: &'a [f64],
    pub(super) span: Place,
}

impl Param<'_> {
    pub(super) fn max(&self) -> f64 {
        self.values.iter().copied().fold(-f64::MAX, math::max)
    }

    pub(super) fn min(&self) -> f64 {
        self.values.iter().copied().fold(f64::MAX, math::min)
    }

    pub(super) fn any_nan(&self) -> bool {
        self.values.iter().any(|v| v.is_nan())
    }

    /// Warns of a quantile outside of 0…1.
    pub(super) fn warn_quantile(&self, exec: &Exec<'_>) {
        let warn = |q| exec.annotate(Annotation::invalid_quantile(q, self.span));
        if self.any_nan() {
            warn(f64::NAN);
        }
        if self.max() > 1.0 {
            warn(self.max());
        }
        if self.min() < 0.0 {
            warn(self.min());
        }
    }
}

impl<'e> Exec<'e> {
    pub(crate) fn aggregate(&'e self, a: &'e Aggregate, plan: &'e Plan) -> Result<Stream<'e>, QueryError> {
        let grid = plan.grid;
        if let Some(Plan { node: Node::String(label), .. }) = a.param.as_deref() {
            return self.count_values(a, label, grid);
        }
        let values = match &a.param {
            Some(p) => self.eval_scalar(p)?,
            None => self.column(0, |_| 0.0)?,
        };
        let param = Param { values: &values, span: self.param_place(a, plan) };
        let input = self.eval_vector(&a.input)?;
        match a.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                self.rank(a, input, &param, plan)
            }
            AggregateOp::Quantile => self.quantile(a, input, &param, grid),
            _ => self.fold(a, input, grid),
        }
    }
}

impl Exec<'_> {
    /// Where remarks on the parameter point. They are made after those of the input.
    fn param_place(&self, a: &Aggregate, plan: &Plan) -> Place {
        let span = a.param.as_ref().map(|p| p.span.span).unwrap_or_default();
        Place { span, order: plan.span.order }
    }
}

/// Every step of a grid, for loops that go step by step.
pub(super) fn steps(grid: Grid) -> std::ops::Range<usize> {
    0..grid.steps
}
