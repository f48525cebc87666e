//! Samples: time, value, and the reference of the series they belong to.

/// Milliseconds since the Unix epoch; may be negative.
pub type TimestampMs = i64;

/// A series' number in one database. References rise, are never reused, and 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub u64);

impl SeriesRef {
    /// The reference that belongs to no series: "not known yet".
    pub const NONE: Self = Self(0);

    /// Whether this is [`Self::NONE`].
    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// The bits of the NaN that marks a series as ended (Prometheus `value.StaleNaN`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The bits of the NaN that arithmetic yields in Prometheus (`value.NormalNaN`).
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The stale marker.
#[must_use]
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `v` is the stale marker, as opposed to any other NaN or number.
#[must_use]
#[inline]
pub fn is_stale_nan(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}
