//! Hyperbolic functions and their inverses.

use std::f64::consts::LN_2;

use super::exponential::exp;
use super::logarithm::{ln, ln_1p};
use super::parts::polynomial;

/// From here on `e⁻ˣ` is nothing beside `eˣ`.
const FAR: f64 = 21.0;

/// From here on 1 is nothing beside `x²`, and below its inverse `x²` nothing beside 1.
const SQUARE_FAR: f64 = (1u64 << 28) as f64;
const SQUARE_NEAR: f64 = 1.0 / SQUARE_FAR;

/// The hyperbolic sine; infinite as soon as `eˣ` is.
#[must_use]
pub fn sinh(x: f64) -> f64 {
    const OVER: [f64; 4] = [
        -2.630_563_213_397_497e1,
        -2.894_211_355_989_564e3,
        -8.991_272_022_039_509e4,
        -6.307_673_640_497_717e5,
    ];
    const UNDER: [f64; 4] =
        [1.0, -1.736_789_535_582_337e2, 1.521_517_378_790_019e4, -6.307_673_640_497_717e5];
    let magnitude = x.abs();
    let y = if magnitude > FAR {
        exp(magnitude) * 0.5
    } else if magnitude > 0.5 {
        let e = exp(magnitude);
        (e - 1.0 / e) * 0.5
    } else {
        let square = magnitude * magnitude;
        polynomial(square, OVER) * magnitude / polynomial(square, UNDER)
    };
    y.copysign(x)
}

/// The hyperbolic cosine; infinite as soon as `eˣ` is.
#[must_use]
pub fn cosh(x: f64) -> f64 {
    let e = exp(x.abs());
    if x.abs() > FAR { e * 0.5 } else { (e + 1.0 / e) * 0.5 }
}

/// The hyperbolic tangent.
#[must_use]
pub fn tanh(x: f64) -> f64 {
    /// Half of ln 2¹²⁷: from here on it is 1.
    const ONE_FROM: f64 = 0.5 * 8.802_969_193_111_305e1;
    const OVER: [f64; 3] = [-9.643_991_794_250_523e-1, -9.928_772_310_019_185e1, -1.614_687_684_417_084_5e3];
    const UNDER: [f64; 4] =
        [1.0, 1.128_116_784_916_329_3e2, 2.235_488_390_601_004_5e3, 4.844_063_053_251_255e3];
    let magnitude = x.abs();
    if magnitude > ONE_FROM {
        return 1f64.copysign(x);
    }
    if magnitude >= 0.625 {
        return (1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0)).copysign(x);
    }
    if x == 0.0 {
        return x;
    }
    let square = x * x;
    x + x * square * polynomial(square, OVER) / polynomial(square, UNDER)
}

/// The inverse hyperbolic sine.
#[must_use]
pub fn asinh(x: f64) -> f64 {
    if !x.is_finite() {
        return x;
    }
    let magnitude = x.abs();
    let y = if magnitude > SQUARE_FAR {
        ln(magnitude) + LN_2
    } else if magnitude > 2.0 {
        ln(2.0 * magnitude + 1.0 / ((magnitude * magnitude + 1.0).sqrt() + magnitude))
    } else if magnitude < SQUARE_NEAR {
        magnitude
    } else {
        let square = magnitude * magnitude;
        ln_1p(magnitude + square / (1.0 + (1.0 + square).sqrt()))
    };
    y.copysign(x)
}

/// The inverse hyperbolic cosine.
#[must_use]
pub fn acosh(x: f64) -> f64 {
    if x < 1.0 || x.is_nan() {
        return f64::NAN;
    }
    if x == 1.0 {
        return 0.0;
    }
    if x >= SQUARE_FAR {
        return ln(x) + LN_2;
    }
    if x > 2.0 {
        return ln(2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt()));
    }
    let over = x - 1.0;
    ln_1p(over + (2.0 * over + over * over).sqrt())
}

/// The inverse hyperbolic tangent.
#[must_use]
pub fn atanh(x: f64) -> f64 {
    let magnitude = x.abs();
    if magnitude > 1.0 || x.is_nan() {
        return f64::NAN;
    }
    let y = if magnitude == 1.0 {
        f64::INFINITY
    } else if magnitude < SQUARE_NEAR {
        magnitude
    } else if magnitude < 0.5 {
        let double = magnitude + magnitude;
        0.5 * ln_1p(double + double * magnitude / (1.0 - magnitude))
    } else {
        0.5 * ln_1p((magnitude + magnitude) / (1.0 - magnitude))
    };
    y.copysign(x)
}
