//! `xʸ`.

use super::exponential::exp;
use super::logarithm::ln;
use super::parts::{fraction_and_power, scaled};

/// Beyond it every number is even.
const ODD_BELOW: f64 = (1u64 << 53) as f64;

/// From here on a power of anything but ±1 is zero or infinite.
const WHOLE_MAX: f64 = (1u64 << 63) as f64;

/// `x` to the power of `y`; NaN where `x` is negative and `y` not a whole number.
#[must_use]
pub fn pow(x: f64, y: f64) -> f64 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if y == 1.0 {
        return x;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    if x == 0.0 {
        let y_odd = y.abs() < ODD_BELOW && y.trunc() == y && y as i64 & 1 == 1;
        let magnitude = if y < 0.0 { f64::INFINITY } else { 0.0 };
        return if y_odd { magnitude.copysign(x) } else { magnitude };
    }
    if y.is_infinite() {
        return if x == -1.0 { 1.0 } else { extreme(x, y) };
    }
    if x == f64::INFINITY {
        return if y < 0.0 { 0.0 } else { x };
    }
    if x == f64::NEG_INFINITY {
        return pow(-0.0, -y);
    }
    if y == 0.5 {
        return x.sqrt();
    }
    if y == -0.5 {
        return 1.0 / x.sqrt();
    }
    let whole = y.abs().trunc();
    let rest = y.abs() - whole;
    if rest != 0.0 && x < 0.0 {
        return f64::NAN;
    }
    if whole >= WHOLE_MAX {
        return if x == -1.0 { 1.0 } else { extreme(x, y) };
    }
    let (fraction, power) = product(x, whole, rest);
    if y < 0.0 { scaled(1.0 / fraction, -power) } else { scaled(fraction, power) }
}

/// The limit of ever greater powers of a number other than ±1.
fn extreme(x: f64, y: f64) -> f64 {
    if (x.abs() < 1.0) == (y > 0.0) { 0.0 } else { f64::INFINITY }
}

/// x^(`whole` + `rest`) as a fraction and a power of two: a squaring for each bit of the whole part.
fn product(x: f64, mut whole: f64, mut rest: f64) -> (f64, i32) {
    /// Of such a power of two not even the reciprocal is finite.
    const POWER_MAX: i32 = 1 << 12;
    let (mut fraction, mut power) = (1.0, 0);
    if rest != 0.0 {
        if rest > 0.5 {
            rest -= 1.0;
            whole += 1.0;
        }
        fraction = exp(rest * ln(x));
    }
    let (mut square, mut square_power) = fraction_and_power(x);
    let mut bits = whole as u64;
    while bits != 0 {
        if square_power.abs() > POWER_MAX {
            power += square_power;
            break;
        }
        if bits & 1 == 1 {
            fraction *= square;
            power += square_power;
        }
        square *= square;
        square_power *= 2;
        if square < 0.5 {
            square += square;
            square_power -= 1;
        }
        bits >>= 1;
    }
    (fraction, power)
}
