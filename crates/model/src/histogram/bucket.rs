//! One bucket, with its bounds.

use std::fmt;

use super::bounds::bound;
use super::schema::is_custom_buckets_schema;
use super::value::BucketCount;

/// A bucket with absolute bounds and count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bucket<C> {
    /// Where it begins.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Whether `lower` itself belongs to it.
    pub lower_inclusive: bool,
    /// Whether `upper` itself belongs to it.
    pub upper_inclusive: bool,
    /// Observations in it.
    pub count: C,
    /// Its index within schema and sign; 0 for the zero bucket.
    pub index: i32,
}

impl<C> Bucket<C> {
    /// The bucket `index` of one sign.
    pub(super) fn at(index: i32, schema: i32, custom_values: &[f64], positive: bool, count: C) -> Self {
        let far = bound(index, schema, custom_values);
        let near = bound(index.wrapping_sub(1), schema, custom_values);
        let (lower, upper) = if positive { (near, far) } else { (-far, -near) };
        let custom = is_custom_buckets_schema(schema);
        Self {
            lower,
            upper,
            lower_inclusive: if custom { index == 0 } else { lower < 0.0 },
            upper_inclusive: custom || upper > 0.0,
            count,
            index,
        }
    }

    /// The part, 0…1, of the bucket's width that lies at or below `v`, which must be strictly
    /// inside finite bounds. Linear between custom bounds and in the zero bucket, else on a
    /// logarithmic scale.
    #[must_use]
    pub fn fraction_below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, at) = (log2(self.lower.abs()), log2(self.upper.abs()), log2(v.abs()));
        if v > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

impl<C: BucketCount> fmt::Display for Bucket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        out.push(if self.lower_inclusive { b'[' } else { b'(' });
        self.lower.append(&mut out);
        out.push(b',');
        self.upper.append(&mut out);
        out.extend_from_slice(if self.upper_inclusive { b"]:" } else { b"):" });
        self.count.append(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// The binary logarithm, in the steps of Go's `math.Log2` so that interpolation agrees to the bit
/// on every platform (FreeBSD's e_log.c). For x ≥ 0.
fn log2(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    let (fraction, exponent) = frexp(x);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    ln(fraction) * (1.0 / std::f64::consts::LN_2) + f64::from(exponent)
}

/// The natural logarithm of a fraction in (0.5, 1).
fn ln(fraction: f64) -> f64 {
    const LN2_HI: f64 = 6.931_471_803_691_238e-1;
    const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;
    const L1: f64 = 6.666_666_666_666_735e-1;
    const L2: f64 = 3.999_999_999_940_942e-1;
    const L3: f64 = 2.857_142_874_366_239e-1;
    const L4: f64 = 2.222_219_843_214_978_4e-1;
    const L5: f64 = 1.818_357_216_161_805e-1;
    const L6: f64 = 1.531_383_769_920_937_3e-1;
    const L7: f64 = 1.479_819_860_511_658_6e-1;
    let (fraction, k) =
        if fraction < std::f64::consts::FRAC_1_SQRT_2 { (fraction * 2.0, -1.0) } else { (fraction, 0.0) };
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let t1 = s2 * (L1 + s4 * (L3 + s4 * (L5 + s4 * L7)));
    let t2 = s4 * (L2 + s4 * (L4 + s4 * L6));
    let r = t1 + t2;
    let half_square = 0.5 * f * f;
    k * LN2_HI - ((half_square - (s * (half_square + r) + k * LN2_LO)) - f)
}

/// A positive finite number as fraction in [0.5, 1) and power of two.
fn frexp(x: f64) -> (f64, i32) {
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * 2f64.powi(64), 64) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i32 - 1022 - shift;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent)
}
