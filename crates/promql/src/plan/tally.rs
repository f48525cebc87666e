//! What has to be counted of each node, so that limits and statistics are Prometheus'.

use promql_syntax::{AggregateOp, BinaryOp, Function};

use super::{Node, Plan, Window, WindowSource};

/// What is counted of a node's output beside its total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Elements at each step: operators that go step by step hold one step of their operands more.
    pub(crate) profile: bool,
    /// Samples consumed at each step: for statistics per step, and for subqueries, of which each
    /// step of the query consumes a part.
    pub(crate) steps: bool,
    /// Native histograms come without buckets, because nothing above looks at them.
    pub(crate) bucketless: bool,
}

/// One [`Tally`] for each of `nodes`, found by [`Plan::id`].
pub(super) fn tallies(root: &Plan, nodes: usize, per_step: bool) -> Vec<Tally> {
    let mut out = vec![Tally::default(); nodes];
    mark(root, Above { profile: false, steps: per_step, whole: false, counts: false }, &mut out);
    out
}

/// What the nodes above ask for.
#[derive(Clone, Copy)]
struct Above {
    profile: bool,
    steps: bool,
    /// Something looks at buckets.
    whole: bool,
    /// Something looks at histograms without their buckets.
    counts: bool,
}

/// Whether Prometheus evaluates the node step by step, holding a vector of each operand.
pub(crate) fn goes_by_step(node: &Node) -> bool {
    match node {
        Node::Call(c) => !matches!(c.function, Function::LabelReplace | Function::LabelJoin),
        Node::Aggregate(a) => a.op == AggregateOp::CountValues,
        Node::Binary(_) | Node::TimestampOf { .. } | Node::Info(_) => true,
        _ => false,
    }
}

fn looks_at_buckets(node: &Node) -> bool {
    use Function as F;
    match node {
        Node::Call(c) => matches!(
            c.function,
            F::HistogramQuantile
                | F::HistogramQuantiles
                | F::HistogramFraction
                | F::HistogramStddev
                | F::HistogramStdvar
        ),
        Node::Range(c) => c.function == F::Changes || matches!(c.window.source, WindowSource::Subquery(_)),
        Node::Matrix(w) => matches!(w.source, WindowSource::Subquery(_)),
        Node::Aggregate(a) => a.op == AggregateOp::CountValues,
        Node::Binary(b) => {
            matches!(b.op, BinaryOp::TrimLower | BinaryOp::TrimUpper | BinaryOp::Eql | BinaryOp::Neq)
        }
        _ => false,
    }
}

fn looks_at_counts(node: &Node) -> bool {
    use Function as F;
    match node {
        Node::Call(c) => matches!(
            c.function,
            F::HistogramCount
                | F::HistogramSum
                | F::HistogramAvg
                | F::Timestamp
                | F::StartTimestamp
                | F::Absent
        ),
        Node::TimestampOf { .. } => true,
        _ => false,
    }
}

/// Marks a node and those below it; whether its histograms come without buckets, none where it
/// has no selector.
fn mark(p: &Plan, above: Above, out: &mut [Tally]) -> Option<bool> {
    let by_step = goes_by_step(&p.node);
    let here = Above {
        profile: by_step,
        steps: above.steps,
        whole: above.whole || looks_at_buckets(&p.node),
        counts: above.counts || looks_at_counts(&p.node),
    };
    let own = here.counts && !here.whole;
    let mut bucketless: Option<bool> = None;
    let mut see = |b: Option<bool>| {
        if let Some(b) = b {
            bucketless = Some(bucketless.unwrap_or(true) && b);
        }
    };
    match &p.node {
        Node::Number(_) | Node::String(_) | Node::Time => {}
        Node::Selector(_) | Node::TimestampOf { .. } => see(Some(own)),
        Node::Range(c) => {
            see(window(&c.window, p, here, own, out));
            for s in &c.scalars {
                mark(s, here, out);
            }
        }
        Node::Matrix(w) => see(window(w, p, here, own, out)),
        Node::Invariant(inner) => see(mark(inner, Above { steps: false, ..here }, out)),
        node => node.for_each_operand(&mut |o| see(mark(o, here, out))),
    }
    let bucketless = bucketless.unwrap_or(false);
    out[p.id] = Tally { profile: by_step || above.profile, steps: above.steps, bucketless };
    Some(bucketless)
}

fn window(w: &Window, p: &Plan, here: Above, own: bool, out: &mut [Tally]) -> Option<bool> {
    match &w.source {
        WindowSource::Select(_) => Some(own),
        // Each step of this node consumes some steps of the subquery; a single one all of them.
        WindowSource::Subquery(inner) => mark(inner, Above { steps: p.grid.steps > 1, ..here }, out),
    }
}
