//! The inverses of sine, cosine and tangent.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use super::parts::polynomial;

/// The arc sine, in radians.
#[must_use]
pub fn asin(x: f64) -> f64 {
    if x == 0.0 {
        return x;
    }
    let magnitude = x.abs();
    if magnitude > 1.0 {
        return f64::NAN;
    }
    let other = (1.0 - magnitude * magnitude).sqrt();
    let angle = if magnitude > 0.7 {
        FRAC_PI_2 - atan_of_positive(other / magnitude)
    } else {
        atan_of_positive(magnitude / other)
    };
    if x < 0.0 { -angle } else { angle }
}

/// The arc cosine, in radians.
#[must_use]
pub fn acos(x: f64) -> f64 {
    FRAC_PI_2 - asin(x)
}

/// The arc tangent, in radians.
#[must_use]
pub fn atan(x: f64) -> f64 {
    if x == 0.0 {
        x
    } else if x > 0.0 {
        atan_of_positive(x)
    } else {
        -atan_of_positive(-x)
    }
}

/// The angle of the point (`x`, `y`), in radians.
#[must_use]
pub fn atan2(y: f64, x: f64) -> f64 {
    if y.is_nan() || x.is_nan() {
        return f64::NAN;
    }
    let magnitude = if y == 0.0 {
        if x.is_sign_positive() { 0.0 } else { PI }
    } else if x == 0.0 {
        FRAC_PI_2
    } else if x.is_infinite() {
        match (x > 0.0, y.is_infinite()) {
            (true, true) => FRAC_PI_4,
            (true, false) => 0.0,
            (false, true) => 3.0 * FRAC_PI_4,
            (false, false) => PI,
        }
    } else if y.is_infinite() {
        FRAC_PI_2
    } else {
        let q = atan(y / x);
        return match (x < 0.0, q <= 0.0) {
            (false, _) => q,
            (true, true) => q + PI,
            (true, false) => q - PI,
        };
    };
    magnitude.copysign(y)
}

/// What π/2 as a number lacks.
const FRAC_PI_2_REST: f64 = 6.123_233_995_736_766e-17;

/// tan 3π/8.
const TAN_3_PI_8: f64 = 2.414_213_562_373_095;

/// The arc tangent of a positive number or NaN, brought below tan π/8 or so.
fn atan_of_positive(x: f64) -> f64 {
    if x <= 0.66 {
        atan_near(x)
    } else if x > TAN_3_PI_8 {
        FRAC_PI_2 - atan_near(1.0 / x) + FRAC_PI_2_REST
    } else {
        FRAC_PI_4 + atan_near((x - 1.0) / (x + 1.0)) + 0.5 * FRAC_PI_2_REST
    }
}

/// The arc tangent of a magnitude up to 0.66.
fn atan_near(x: f64) -> f64 {
    const OVER: [f64; 5] = [
        -8.750_608_600_031_904e-1,
        -1.615_753_718_733_365_2e1,
        -7.500_855_792_314_705e1,
        -1.228_866_684_490_136_1e2,
        -6.485_021_904_942_025e1,
    ];
    const UNDER: [f64; 6] = [
        1.0,
        2.485_846_490_142_306_2e1,
        1.650_270_098_316_988_5e2,
        4.328_810_604_912_902_7e2,
        4.853_903_996_359_137e2,
        1.945_506_571_482_614e2,
    ];
    let z = x * x;
    x * (z * polynomial(z, OVER) / polynomial(z, UNDER)) + x
}
