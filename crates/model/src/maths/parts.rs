//! A number taken apart and put together: fraction, power of two, polynomial.

/// How many bits of a number are its mantissa's.
pub(super) const MANTISSA_BITS: u32 = 52;

/// The bits of a mantissa.
pub(super) const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;

/// 2⁵², which makes a normal number of any subnormal one.
const TO_NORMAL: f64 = (1u64 << MANTISSA_BITS) as f64;

/// 2⁻⁵³.
const TWO_TO_MINUS_53: f64 = 1.0 / (1u64 << 53) as f64;

/// `x` as a fraction of magnitude in [0.5, 1) and a power of two; zeros, infinities and NaN as they are, with power 0.
pub(super) fn fraction_and_power(x: f64) -> (f64, i32) {
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    let (x, shift) = normal(x);
    let power = biased_power(x) - 1022 + shift;
    (f64::from_bits(x.to_bits() & !(0x7ff << MANTISSA_BITS) | 1022 << MANTISSA_BITS), power)
}

/// `fraction` × 2^`power`, rounded once.
pub(super) fn scaled(fraction: f64, power: i32) -> f64 {
    if fraction == 0.0 || !fraction.is_finite() {
        return fraction;
    }
    let (x, shift) = normal(fraction);
    let power = power.saturating_add(shift + biased_power(x) - 1023);
    if power < -1075 {
        return 0f64.copysign(x);
    }
    if power > 1023 {
        return f64::INFINITY.copysign(x);
    }
    let (power, last) = if power < -1022 { (power + 53, TWO_TO_MINUS_53) } else { (power, 1.0) };
    let bits = x.to_bits() & !(0x7ff << MANTISSA_BITS) | ((power + 1023) as u64) << MANTISSA_BITS;
    last * f64::from_bits(bits)
}

/// `x` × 2^−shift as a normal number, and the shift; `x` is finite.
fn normal(x: f64) -> (f64, i32) {
    if x.abs() < f64::MIN_POSITIVE { (x * TO_NORMAL, -(MANTISSA_BITS as i32)) } else { (x, 0) }
}

fn biased_power(x: f64) -> i32 {
    (x.to_bits() >> MANTISSA_BITS) as i32 & 0x7ff
}

/// A polynomial in `x`, the coefficient of the highest power first (Horner), each step rounded twice.
#[inline(always)]
pub(super) fn polynomial<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let mut sum = coefficients[0];
    for c in &coefficients[1..] {
        sum = sum * x + c;
    }
    sum
}
