//! Native histograms, in the float form that queries work on.

/// The schema of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// What is known about a counter reset between a histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    /// Nothing is known.
    #[default]
    Unknown,
    /// A reset happened.
    Reset,
    /// No reset happened.
    NotReset,
    /// A gauge histogram, for which resets have no meaning.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the end of the span before; for the first span, the index of its first bucket.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// A native histogram with float counts (Prometheus `histogram.FloatHistogram`).
///
/// Bucket counts are absolute. Exponential schemas −4…8: bucket `i` covers
/// (2^((i−1)·2^−schema), 2^(i·2^−schema)]. Schema −53: bucket `i` ends at `custom_values[i]`, the
/// last at +Inf.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    /// What is known about a reset before this histogram.
    pub counter_reset_hint: CounterResetHint,
    /// −4…8 exponential, [`CUSTOM_BUCKETS_SCHEMA`] custom bounds.
    pub schema: i32,
    /// Half width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observed values.
    pub sum: f64,
    /// Spans of the positive buckets.
    pub positive_spans: Vec<Span>,
    /// Spans of the negative buckets.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets, as many as the spans have.
    pub positive_buckets: Vec<f64>,
    /// Counts of the negative buckets, as many as the spans have.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds for schema −53, without +Inf.
    pub custom_values: Vec<f64>,
}

impl FloatHistogram {
    /// Whether the bounds are custom ones.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }
}
