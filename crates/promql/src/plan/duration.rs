//! Duration expressions, once the query's range and step are known.

use promql_syntax::ast::{DurationExpr, DurationKind, DurationValue};
use promql_syntax::{BinaryOp, UnaryOp};

use super::build::QueryRange;
use crate::error::QueryError;
use crate::functions::math;

/// The duration in milliseconds.
pub(super) fn resolve(
    d: &DurationValue,
    range: &QueryRange,
    may_be_negative: bool,
) -> Result<i64, QueryError> {
    match d {
        DurationValue::Fixed { ns } => Ok(ns / 1_000_000),
        DurationValue::Expr(e) => {
            let seconds = evaluate(e, range)?;
            if !seconds.is_finite() {
                return Err(failed(e, "duration is NaN or infinite"));
            }
            if seconds <= 0.0 && !may_be_negative {
                return Err(failed(e, "duration must be greater than 0"));
            }
            if seconds.abs() > i64::MAX as f64 / 1e9 {
                return Err(failed(e, "duration is out of range"));
            }
            Ok((seconds * 1000.0) as i64)
        }
    }
}

fn failed(e: &DurationExpr, what: &str) -> QueryError {
    QueryError::Invalid(format!("{}:{}: {what}", e.span.start, e.span.end))
}

fn evaluate(e: &DurationExpr, range: &QueryRange) -> Result<f64, QueryError> {
    Ok(match &e.kind {
        DurationKind::Literal(n) => n.value,
        DurationKind::Step => range.step_ms as f64 / 1000.0,
        DurationKind::Range => range.span_seconds(),
        DurationKind::MinOf(a, b) => math::min(evaluate(a, range)?, evaluate(b, range)?),
        DurationKind::MaxOf(a, b) => math::max(evaluate(a, range)?, evaluate(b, range)?),
        DurationKind::Unary(UnaryOp::Add, a) => evaluate(a, range)?,
        DurationKind::Unary(UnaryOp::Sub, a) => -evaluate(a, range)?,
        DurationKind::Binary(op, a, b) => {
            let (a, b) = (evaluate(a, range)?, evaluate(b, range)?);
            match op {
                BinaryOp::Div if b == 0.0 => return Err(failed(e, "division by zero")),
                BinaryOp::Mod if b == 0.0 => return Err(failed(e, "modulo by zero")),
                _ => math::scalar(*op, a, b),
            }
        }
    })
}
