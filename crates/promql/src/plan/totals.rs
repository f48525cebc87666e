//! Of which native histograms only the count and the sum are looked at: a selector's then come
//! without buckets, and with the counter resets that their buckets tell of, as in Prometheus
//! (engine.go, detectHistogramStatsDecoding), where it decides which remarks are made.

use promql_syntax::{AggregateOp, BinaryOp, Expr, Function};

/// What the nodes from the root down to some place look at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LookedAt {
    /// A function above wants count and sum, or no value at all.
    totals: bool,
    /// Something above looks at buckets.
    buckets: bool,
}

impl LookedAt {
    /// Below `e`.
    pub(super) fn below(mut self, e: &Expr) -> Self {
        use Function as F;
        match e {
            Expr::Call(c) => match c.function {
                F::HistogramCount
                | F::HistogramSum
                | F::HistogramAvg
                | F::Timestamp
                | F::StartTimestamp
                | F::Absent => self.totals = true,
                F::HistogramQuantile
                | F::HistogramQuantiles
                | F::HistogramFraction
                | F::HistogramStddev
                | F::HistogramStdvar
                | F::Changes => self.buckets = true,
                _ => {}
            },
            Expr::Aggregate(a) => self.buckets |= a.op == AggregateOp::CountValues,
            Expr::Binary(b) => {
                use BinaryOp as Op;
                self.buckets |= matches!(b.op, Op::TrimUpper | Op::TrimLower | Op::Eql | Op::Neq);
            }
            _ => {}
        }
        self
    }

    /// Below a subquery.
    pub(super) fn below_subquery(self) -> Self {
        Self { buckets: true, ..self }
    }

    /// Whether a selector here is asked for count and sum only.
    pub(super) fn totals(self) -> bool {
        self.totals && !self.buckets
    }
}
