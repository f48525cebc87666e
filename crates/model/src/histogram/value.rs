//! The two ways to count: integers, whose buckets are differences, and floats.

use std::fmt;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u64 {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
}

/// A number of observations: `u64` or `f64`.
pub trait BucketCount: sealed::Sealed + Copy + Default + PartialEq + PartialOrd + fmt::Debug {
    /// Appends the number as Go's `%v` and `%g` write it.
    fn append(self, out: &mut Vec<u8>);

    /// Whether two counts are the same data: floats to the bit.
    fn same(self, other: Self) -> bool;
}

impl BucketCount for u64 {
    fn append(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }

    fn same(self, other: Self) -> bool {
        self == other
    }
}

impl BucketCount for f64 {
    fn append(self, out: &mut Vec<u8>) {
        crate::float::append_g(self, out);
    }

    fn same(self, other: Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}

/// What stands in a bucket: a difference to the bucket before (`i64`) or a count (`f64`).
pub trait BucketValue: sealed::Sealed + Copy + Default + PartialEq + PartialOrd {
    /// The count that such buckets add up to.
    type Count: BucketCount;

    /// The count in this bucket where the one before has the count `before`.
    fn after(self, before: Self) -> Self;

    /// What to store for a count of `self` where the bucket before has the count `before`.
    fn store(self, before: Self) -> Self;

    /// The sum of two counts.
    fn plus(self, other: Self) -> Self;

    /// A count, once differences are resolved.
    fn count(self) -> Self::Count;

    /// Whether two buckets are the same data: floats to the bit.
    fn same(self, other: Self) -> bool;

    /// The number as Go's `%v` writes it.
    fn text(self) -> String;
}

impl BucketValue for i64 {
    type Count = u64;

    fn after(self, before: Self) -> Self {
        before.wrapping_add(self)
    }

    fn store(self, before: Self) -> Self {
        self.wrapping_sub(before)
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn count(self) -> u64 {
        self as u64
    }

    fn same(self, other: Self) -> bool {
        self == other
    }

    fn text(self) -> String {
        self.to_string()
    }
}

impl BucketValue for f64 {
    type Count = f64;

    fn after(self, _before: Self) -> Self {
        self
    }

    fn store(self, _before: Self) -> Self {
        self
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn count(self) -> f64 {
        self
    }

    fn same(self, other: Self) -> bool {
        self.to_bits() == other.to_bits()
    }

    fn text(self) -> String {
        crate::float::to_string_g(self)
    }
}
