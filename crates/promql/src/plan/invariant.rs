//! Which parts of a query have the same value at every step.

use promql_syntax::{Expr, Function};

use super::build::QueryRange;
use super::info;

/// Functions whose result may change with the step though their arguments do not. `start()`, `end()`,
/// `step()` and `range()` are numbers by now.
fn depends_on_time(f: Function) -> bool {
    use Function as F;
    matches!(
        f,
        F::DaysInMonth
            | F::DayOfMonth
            | F::DayOfWeek
            | F::DayOfYear
            | F::Hour
            | F::Minute
            | F::Month
            | F::Year
            | F::PredictLinear
            | F::Time
            | F::Timestamp
    )
}

/// Whether `e` has the same value at every step, going by `@`. As in Prometheus an aggregation
/// is judged by its expression alone, not by its parameter.
pub(super) fn is_invariant(e: &Expr, range: &QueryRange) -> bool {
    match e {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(v) => v.at.is_some(),
        Expr::Matrix(m) => m.selector.at.is_some(),
        Expr::Subquery(s) => s.at.is_some(),
        Expr::Aggregate(a) => is_invariant(a.expr.without_parens(), range),
        Expr::Binary(b) => is_invariant(&b.lhs, range) && is_invariant(&b.rhs, range),
        Expr::Unary(u) => is_invariant(&u.expr, range),
        Expr::Paren(p) => is_invariant(&p.expr, range),
        Expr::Call(c) => {
            let args = || c.args.iter().map(Expr::without_parens);
            match c.function {
                Function::Timestamp => args().all(|a| matches!(a, Expr::Vector(_)) && is_invariant(a, range)),
                Function::Info => c.args.first().is_some_and(|a| {
                    let a = a.without_parens();
                    is_invariant(a, range) && info::uniform_reference(a, range).is_some()
                }),
                f => !depends_on_time(f) && args().all(|a| is_invariant(a, range)),
            }
        }
    }
}
