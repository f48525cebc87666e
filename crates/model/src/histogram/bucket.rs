//! One bucket, with its bounds.

use std::fmt;

use super::bounds::bound;
use super::schema::is_custom_buckets_schema;
use super::value::BucketCount;
use crate::maths::log2;

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
