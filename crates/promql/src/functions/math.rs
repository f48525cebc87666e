//! Functions and operators on numbers, with Go's special cases.

use promql_syntax::{BinaryOp, Function};

/// The function of one float behind `f`, if `f` is one.
pub(crate) fn unary(f: Function) -> Option<fn(f64) -> f64> {
    Some(match f {
        Function::Abs => f64::abs,
        Function::Ceil => f64::ceil,
        Function::Floor => f64::floor,
        Function::Exp => f64::exp,
        Function::Sqrt => f64::sqrt,
        Function::Ln => f64::ln,
        Function::Log2 => f64::log2,
        Function::Log10 => f64::log10,
        Function::Sin => f64::sin,
        Function::Cos => f64::cos,
        Function::Tan => f64::tan,
        Function::Asin => f64::asin,
        Function::Acos => f64::acos,
        Function::Atan => f64::atan,
        Function::Sinh => sinh,
        Function::Cosh => cosh,
        Function::Tanh => f64::tanh,
        Function::Asinh => asinh,
        Function::Acosh => acosh,
        Function::Atanh => f64::atanh,
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

/// From here on `e⁻ˣ` is nothing beside `eˣ`.
const HYPERBOLIC_FAR: f64 = 21.0;

/// From here on 1 is nothing beside `x²`.
const SQUARE_FAR: f64 = (1u64 << 28) as f64;

/// Go's `math.Sinh`, which is infinite as soon as `eˣ` is.
fn sinh(x: f64) -> f64 {
    if x.abs() > HYPERBOLIC_FAR { (x.abs().exp() * 0.5).copysign(x) } else { x.sinh() }
}

/// Go's `math.Cosh`, which is infinite as soon as `eˣ` is.
fn cosh(x: f64) -> f64 {
    if x.abs() > HYPERBOLIC_FAR { x.abs().exp() * 0.5 } else { x.cosh() }
}

/// The inverse hyperbolic sine of any number: `2x` must not overflow.
fn asinh(x: f64) -> f64 {
    if x.is_finite() && x.abs() > SQUARE_FAR {
        (x.abs().ln() + std::f64::consts::LN_2).copysign(x)
    } else {
        x.asinh()
    }
}

/// The inverse hyperbolic cosine of any number: `2x` must not overflow.
fn acosh(x: f64) -> f64 {
    if x.is_finite() && x > SQUARE_FAR { x.ln() + std::f64::consts::LN_2 } else { x.acosh() }
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
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperbolic_functions_reach_as_far_as_in_go() {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-15 * b.abs();
        for sign in [1.0, -1.0] {
            assert!(close(asinh(sign * f64::MAX), sign * 710.475_860_073_943_9));
            assert!(
                close(asinh(sign * 1e9), (sign * 1e9).asinh())
                    && close(asinh(sign * 1e8), (sign * 1e8).asinh())
            );
            assert_eq!(asinh(sign * f64::INFINITY), sign * f64::INFINITY);
            assert_eq!(sinh(sign * 710.0), sign * f64::INFINITY);
            assert!(close(sinh(sign * 22.0), (sign * 22.0).sinh()) && close(cosh(sign * 22.0), 22f64.cosh()));
            assert_eq!(cosh(sign * 710.0), f64::INFINITY);
        }
        assert!(close(acosh(f64::MAX), 710.475_860_073_943_9) && close(acosh(1e9), 1e9f64.acosh()));
        assert_eq!(asinh(-0.0).to_bits(), (-0.0f64).to_bits());
        assert!([sinh, cosh, asinh, acosh].iter().all(|f| f(f64::NAN).is_nan()) && acosh(0.5).is_nan());
    }
}
