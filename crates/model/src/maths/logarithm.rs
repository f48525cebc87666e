//! Logarithms.

use std::f64::consts::{FRAC_1_SQRT_2, LOG2_E, LOG10_E};

use super::exponential::{LN_2_HI, LN_2_LO};
use super::parts::{MANTISSA, MANTISSA_BITS, fraction_and_power};

/// The approximation of ln(1 + f) in s = f / (2 + f), divided by s³: factors of s⁰, s², s⁴ …
const SERIES: [f64; 7] = [
    6.666_666_666_666_735e-1,
    3.999_999_999_940_942e-1,
    2.857_142_874_366_239e-1,
    2.222_219_843_214_978_4e-1,
    1.818_357_216_161_805e-1,
    1.531_383_769_920_937_3e-1,
    1.479_819_860_511_658_6e-1,
];

/// The natural logarithm. Of a subnormal number it takes the mantissa for that of a normal one, as Go does on amd64.
#[must_use]
pub fn ln(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x < 0.0 {
        return f64::NAN;
    }
    if !x.is_finite() {
        return x;
    }
    let bits = x.to_bits();
    let fraction = f64::from_bits(bits & MANTISSA | 1022 << MANTISSA_BITS);
    let power = f64::from((bits >> MANTISSA_BITS) as i32 - 1022);
    let (fraction, power) =
        if fraction <= FRAC_1_SQRT_2 { (fraction * 2.0, power - 1.0) } else { (fraction, power) };
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let [l1, l2, l3, l4, l5, l6, l7] = SERIES;
    let odd = s2 * (l1 + s4 * (l3 + s4 * (l5 + s4 * l7)));
    let even = s4 * (l2 + s4 * (l4 + s4 * l6));
    let half_square = 0.5 * f * f;
    power * LN_2_HI - ((half_square - (s * (half_square + (odd + even)) + power * LN_2_LO)) - f)
}

/// The binary logarithm, exact for powers of two.
#[must_use]
pub fn log2(x: f64) -> f64 {
    let (fraction, power) = fraction_and_power(x);
    if fraction == 0.5 {
        return f64::from(power - 1);
    }
    ln(fraction) * LOG2_E + f64::from(power)
}

/// The decimal logarithm.
#[must_use]
pub fn log10(x: f64) -> f64 {
    ln(x) * LOG10_E
}

/// √2 − 1 and √½ − 1: between them 1 + x needs no power of two taken out.
const SQRT_2_LESS_1: f64 = 4.142_135_623_730_950_3e-1;
const SQRT_HALF_LESS_1: f64 = -2.928_932_188_134_525e-1;

/// The mantissa of √2.
const SQRT_2_MANTISSA: u64 = 0x0006_a09e_667f_3bcd;

/// ln(1 + x), close for small x.
#[must_use]
pub fn ln_1p(x: f64) -> f64 {
    const SMALL: f64 = 1.0 / (1u64 << 29) as f64;
    const TINY: f64 = 1.0 / (1u64 << 54) as f64;
    if x < -1.0 || x.is_nan() {
        return f64::NAN;
    }
    if x == -1.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    if x.abs() < TINY {
        return x;
    }
    if x.abs() < SMALL {
        return x - x * x * 0.5;
    }
    if SQRT_HALF_LESS_1 < x && x < SQRT_2_LESS_1 {
        let half_square = 0.5 * x * x;
        let (s, r) = reduced(x);
        return x - (half_square - s * (half_square + r));
    }
    let (f, power, lost, near_power) = without_power(x);
    let half_square = 0.5 * f * f;
    if near_power {
        if f == 0.0 {
            return power * LN_2_HI + (lost + power * LN_2_LO);
        }
        let r = half_square * (1.0 - 0.666_666_666_666_666_6 * f);
        return if power == 0.0 { f - r } else { power * LN_2_HI - ((r - (power * LN_2_LO + lost)) - f) };
    }
    let (s, r) = reduced(f);
    if power == 0.0 {
        return f - (half_square - s * (half_square + r));
    }
    power * LN_2_HI - ((half_square - (s * (half_square + r) + (power * LN_2_LO + lost))) - f)
}

/// f and k of 1 + x = (1 + f) 2ᵏ, what the sum lost relative to it, and whether f is less than an ulp of its mantissa.
fn without_power(x: f64) -> (f64, f64, f64, bool) {
    const TWO_TO_53: f64 = (1u64 << 53) as f64;
    let (sum, lost) = if x.abs() < TWO_TO_53 {
        let sum = 1.0 + x;
        let lost = if power_of(sum) > 0 { 1.0 - (sum - x) } else { x - (sum - 1.0) };
        (sum, lost / sum)
    } else {
        (x, 0.0)
    };
    let (power, mantissa) = (power_of(sum), sum.to_bits() & MANTISSA);
    if mantissa < SQRT_2_MANTISSA {
        let sum = f64::from_bits(mantissa | 1023 << MANTISSA_BITS);
        (sum - 1.0, f64::from(power), lost, mantissa == 0)
    } else {
        let sum = f64::from_bits(mantissa | 1022 << MANTISSA_BITS);
        (sum - 1.0, f64::from(power + 1), lost, (1 << MANTISSA_BITS) - mantissa < 4)
    }
}

fn power_of(x: f64) -> i32 {
    (x.to_bits() >> MANTISSA_BITS) as i32 - 1023
}

/// s = f / (2 + f), and the series in it.
fn reduced(f: f64) -> (f64, f64) {
    let s = f / (2.0 + f);
    let z = s * s;
    let [l1, l2, l3, l4, l5, l6, l7] = SERIES;
    (s, z * (l1 + z * (l2 + z * (l3 + z * (l4 + z * (l5 + z * (l6 + z * l7)))))))
}
