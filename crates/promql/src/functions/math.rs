//! Functions and operators on numbers, with Go's special cases.

use model::maths;
use promql_syntax::{BinaryOp, Function};

/// The function of one float behind `f`, if `f` is one.
pub(crate) fn unary(f: Function) -> Option<fn(f64) -> f64> {
    Some(match f {
        Function::Abs => f64::abs,
        Function::Ceil => f64::ceil,
        Function::Floor => f64::floor,
        Function::Exp => maths::exp,
        Function::Sqrt => f64::sqrt,
        Function::Ln => maths::ln,
        Function::Log2 => maths::log2,
        Function::Log10 => maths::log10,
        Function::Sin => maths::sin,
        Function::Cos => maths::cos,
        Function::Tan => maths::tan,
        Function::Asin => maths::asin,
        Function::Acos => maths::acos,
        Function::Atan => maths::atan,
        Function::Sinh => maths::sinh,
        Function::Cosh => maths::cosh,
        Function::Tanh => maths::tanh,
        Function::Asinh => maths::asinh,
        Function::Acosh => maths::acosh,
        Function::Atanh => maths::atanh,
        Function::Rad => |v| v * (std::f64::consts::PI / 180.0),
        Function::Deg => |v| v * (180.0 / std::f64::consts::PI),
        Function::Sgn => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

/// Go's `math.Max`: NaN if either is, unless the other is +Inf.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`: NaN if either is, unless the other is −Inf.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// Rounds to multiples of 1/`inverse`, halves up.
pub(crate) fn round(v: f64, inverse: f64) -> f64 {
    (v * inverse + 0.5).floor() / inverse
}

/// What an arithmetic operator yields; none for comparisons and the others.
#[inline]
pub(crate) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => maths::pow(a, b),
        BinaryOp::Atan2 => maths::atan2(a, b),
        _ => return None,
    })
}

/// Whether a comparison holds; false for every other operator.
#[inline]
pub(crate) fn compare(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eql => a == b,
        BinaryOp::Neq => a != b,
        BinaryOp::Lss => a < b,
        BinaryOp::Lte => a <= b,
        BinaryOp::Gtr => a > b,
        BinaryOp::Gte => a >= b,
        _ => false,
    }
}

/// An operator between scalars: comparisons yield 0 or 1.
pub(crate) fn scalar(op: BinaryOp, a: f64, b: f64) -> f64 {
    arithmetic(op, a, b).unwrap_or_else(|| f64::from(u8::from(compare(op, a, b))))
}

/// Whether an operator makes another metric of its operands.
pub(crate) fn changes_metric(op: BinaryOp) -> bool {
    arithmetic(op, 1.0, 1.0).is_some()
}
