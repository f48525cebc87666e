//! Functions of native histograms, over slices of them: no rows, no labels, no storage. What has
//! to be told to the user is collected in [`Notes`].

mod extended;
mod quantile;
mod rate;
mod total;

pub(crate) use extended::{between, extended};
pub(crate) use quantile::{fraction, quantile, variance};
pub(crate) use rate::{Window, changes, extrapolated, instant, resets, unless_mixed};
pub(crate) use total::Total;

/// What there is to remark on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes(u16);

impl Notes {
    pub(crate) const NOT_COUNTER: Self = Self(1);
    pub(crate) const NOT_GAUGE: Self = Self(1 << 1);
    /// Exponential and custom buckets.
    pub(crate) const MIXED_SCHEMAS: Self = Self(1 << 2);
    /// Different custom bounds in a sum, a difference, an aggregation.
    pub(crate) const BOUNDS_IN_ADDITION: Self = Self(1 << 3);
    pub(crate) const BOUNDS_IN_SUBTRACTION: Self = Self(1 << 4);
    pub(crate) const BOUNDS_IN_AGGREGATION: Self = Self(1 << 5);
    /// Contradicting counter reset hints in a sum, a difference, an aggregation.
    pub(crate) const COLLISION_IN_ADDITION: Self = Self(1 << 6);
    pub(crate) const COLLISION_IN_SUBTRACTION: Self = Self(1 << 7);
    pub(crate) const COLLISION_IN_AGGREGATION: Self = Self(1 << 8);
    pub(crate) const START_TIME_OVERLAP: Self = Self(1 << 9);
    /// Observations that are NaN, in quantiles and fractions.
    pub(crate) const NAN_RESULT: Self = Self(1 << 10);
    pub(crate) const NAN_SKEW: Self = Self(1 << 11);
    pub(crate) const NAN_FRACTION: Self = Self(1 << 12);

    pub(crate) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) fn add_if(&mut self, when: bool, other: Self) {
        if when {
            self.add(other);
        }
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}
