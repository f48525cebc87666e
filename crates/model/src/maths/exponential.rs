//! `eˣ` and `2ˣ`.

use std::f64::consts::LOG2_E;

use super::parts::{MANTISSA_BITS, scaled};

/// ln 2, its first 42 bits, and the rest.
const LN_2_HIGH: f64 = 0.693_147_180_559_663;
const LN_2_LOW: f64 = 2.823_529_056_303_157_7e-13;

/// Above it `exp` is infinite.
const EXP_MAX: f64 = 7.097_827_128_933_84e2;

/// Below it `exp` is zero, whatever the last bit.
const EXP_MIN: f64 = -1000.0;

/// The factors of the Taylor series from x⁸ down to x².
const TAYLOR: [f64; 7] = [
    2.480_158_730_158_73e-5,
    1.984_126_984_126_984e-4,
    1.388_888_888_888_889e-3,
    8.333_333_333_333_333e-3,
    4.166_666_666_666_666_4e-2,
    1.666_666_666_666_666_6e-1,
    0.5,
];

/// 1.5 × 2⁵²: what is added to a small number and taken away again rounds it to a whole one, halves to even.
const ROUNDER: f64 = 6.755_399_441_055_744e15;

/// `eˣ`. As in Go on amd64 it is infinite from about 709.44 on, where x / ln 2 rounds to 1024.
#[must_use]
pub fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > EXP_MAX {
        return f64::INFINITY;
    }
    if x < EXP_MIN {
        return 0.0;
    }
    let power = (x * LOG2_E + ROUNDER) - ROUNDER;
    let rest = power.mul_add(-LN_2_LOW, power.mul_add(-LN_2_HIGH, x));
    // The series yields e^(rest/16) − 1; four times squared, without the 1 until the end, it is e^rest.
    let part = rest * 0.0625;
    let mut sum = TAYLOR[0];
    for factor in &TAYLOR[1..] {
        sum = part.mul_add(sum, *factor);
    }
    let mut less_one = part * part.mul_add(sum, 1.0);
    for _ in 0..3 {
        less_one *= less_one + 2.0;
    }
    scaled_exp((less_one + 2.0).mul_add(less_one, 1.0), power as i32)
}

/// `fraction` × 2^`power`, where a result is infinite as soon as the power is 1024, and zero below 2⁻¹⁰⁷⁵.
fn scaled_exp(fraction: f64, power: i32) -> f64 {
    let two_to = |biased: i32| f64::from_bits((biased as u64) << MANTISSA_BITS);
    match power + 1023 {
        0x7ff.. => f64::INFINITY,
        biased @ 1.. => fraction * two_to(biased),
        biased @ -52.. => fraction * two_to(biased + 1022) * f64::MIN_POSITIVE,
        _ => 0.0,
    }
}

/// From here on `exp2` is infinite, and below it zero.
const EXP2_MAX: f64 = 1.023_999_999_999_999_9e3;
const EXP2_MIN: f64 = -1074.0;

/// ln 2, its first 33 bits, and the rest.
pub(super) const LN_2_HI: f64 = 6.931_471_803_691_238e-1;
pub(super) const LN_2_LO: f64 = 1.908_214_929_270_587_7e-10;

/// `2ˣ`.
#[must_use]
pub fn exp2(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > EXP2_MAX {
        return f64::INFINITY;
    }
    if x < EXP2_MIN {
        return 0.0;
    }
    let power = if x > 0.0 { (x + 0.5) as i32 } else { (x - 0.5) as i32 };
    let rest = x - f64::from(power);
    let (high, low) = (rest * LN_2_HI, -rest * LN_2_LO);
    scaled(exp_of_rest(high, low), power)
}

/// `e^(high − low)` for small differences: a rational approximation of Remez.
fn exp_of_rest(high: f64, low: f64) -> f64 {
    const P1: f64 = 1.666_666_666_666_666_6e-1;
    const P2: f64 = -2.777_777_777_701_559_3e-3;
    const P3: f64 = 6.613_756_321_437_934e-5;
    const P4: f64 = -1.653_390_220_546_525_2e-6;
    const P5: f64 = 4.138_136_797_057_238_5e-8;
    let r = high - low;
    let t = r * r;
    let c = r - t * (P1 + t * (P2 + t * (P3 + t * (P4 + t * P5))));
    1.0 - ((low - (r * c) / (2.0 - c)) - high)
}
