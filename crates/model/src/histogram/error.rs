//! Why a histogram is not sound, or an operation on it impossible; Prometheus' words.

/// Why a histogram was refused (Prometheus `histogram.Error` and what wraps it).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HistogramError {
    /// An integer histogram whose buckets hold more than its count, where some observations were NaN.
    #[error(
        "{buckets} observations found in buckets, but the Count field is {count}: histogram's observation count should be at least the number of observations found in the buckets"
    )]
    CountNotBigEnough {
        /// Observations in the buckets.
        buckets: u64,
        /// Observations according to the count.
        count: u64,
    },
    /// An integer histogram whose buckets do not add up to its count.
    #[error(
        "{buckets} observations found in buckets, but the Count field is {count}: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)"
    )]
    CountMismatch {
        /// Observations in the buckets.
        buckets: u64,
        /// Observations according to the count.
        count: u64,
    },
    /// A count below zero.
    #[error("observation count is  {}: histogram's observation count is negative", g(*.0))]
    NegativeCount(f64),
    /// A zero bucket below zero.
    #[error(
        "zero bucket has observation count of {}: histogram has a bucket whose observation count is negative",
        g(*.0)
    )]
    NegativeZeroCount(f64),
    /// A bucket below zero; the count as Go prints it.
    #[error(
        "bucket number {number} has observation count of {count}: histogram has a bucket whose observation count is negative"
    )]
    NegativeBucketCount {
        /// The bucket, from 1.
        number: usize,
        /// Its count.
        count: String,
    },
    /// A span that starts before the one in front of it ends.
    #[error("span number {number} with offset {offset}: histogram has a span whose offset is negative")]
    SpanNegativeOffset {
        /// The span, from 1.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// A first span before the first bucket there can be.
    #[error(
        "span number {number} starts at bucket index {index}: histogram has a span whose bucket index is out of range"
    )]
    SpanStartOutOfRange {
        /// The span, from 1.
        number: usize,
        /// Where it starts.
        index: i32,
    },
    /// A span behind the last bucket there can be.
    #[error(
        "span number {number} ends at bucket index {index}: histogram has a span whose bucket index is out of range"
    )]
    SpanEndOutOfRange {
        /// The span, from 1.
        number: usize,
        /// Where it ends.
        index: i64,
    },
    /// Spans and buckets of different number.
    #[error(
        "spans need {need} buckets, have {have} buckets: histogram spans specify different number of buckets than provided"
    )]
    SpansBucketsMismatch {
        /// Buckets that the spans describe.
        need: u64,
        /// Buckets there are.
        have: usize,
    },
    /// Fewer buckets than spans describe, found on the way.
    #[error(
        "have {have} buckets but spans need more: histogram spans specify different number of buckets than provided"
    )]
    BucketsMissing {
        /// Buckets there are.
        have: usize,
    },
    /// Spans that reach behind the custom bounds.
    #[error(
        "only {bounds} custom bounds defined which is insufficient to cover total span length of {length}: histogram custom bounds are too few"
    )]
    CustomBoundsTooFew {
        /// Bounds there are.
        bounds: usize,
        /// Buckets from the first to the last.
        length: u64,
    },
    /// Custom bounds that do not rise.
    #[error(
        "previous bound is {} and current is {}: histogram custom bounds must be in strictly increasing order",
        f(*previous),
        f(*current)
    )]
    CustomBoundsInvalid {
        /// A bound.
        previous: f64,
        /// The bound behind it.
        current: f64,
    },
    /// An explicit +Inf bound.
    #[error("last +Inf bound must not be explicitly defined: histogram custom bounds must be finite")]
    CustomBoundsInfinite,
    /// A bound that is not a number.
    #[error("histogram custom bounds must not be NaN")]
    CustomBoundsNaN,
    /// An exponential and a custom schema in one operation.
    #[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
    IncompatibleSchema,
    /// A zero bucket beside custom bounds.
    #[error("custom buckets: must have zero count of 0")]
    CustomZeroCount,
    /// A zero threshold beside custom bounds.
    #[error("custom buckets: must have zero threshold of 0")]
    CustomZeroThreshold,
    /// Negative spans beside custom bounds.
    #[error("custom buckets: must not have negative spans")]
    CustomNegativeSpans,
    /// Negative buckets beside custom bounds.
    #[error("custom buckets: must not have negative buckets")]
    CustomNegativeBuckets,
    /// Custom bounds beside an exponential schema.
    #[error("histogram with exponential schema must not have custom bounds")]
    ExponentialCustomBounds,
    /// A schema that is not supported.
    #[error(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema {0}"
    )]
    InvalidSchema(i32),
    /// A schema that nobody knows.
    #[error(
        "histogram has an unknown schema, which must be between -9 and 52 for exponential buckets, or -53 for custom buckets, got schema {0}"
    )]
    UnknownSchema(i32),
    /// Custom buckets have one resolution.
    #[error("cannot reduce resolution when there are custom buckets")]
    ReduceCustom,
    /// Exponential buckets cannot become custom ones.
    #[error("cannot reduce resolution to custom buckets schema")]
    ReduceToCustom,
    /// The resolution would rise.
    #[error("cannot reduce resolution from schema {from} to {to}")]
    ReduceUpwards {
        /// The schema.
        from: i32,
        /// The schema asked for.
        to: i32,
    },
    /// Only custom buckets can become classic ones.
    #[error("unsupported histogram schema, not a NHCB")]
    NotCustom,
    /// Any of the above, in the positive or negative buckets or the custom ones.
    #[error("{part}: {error}")]
    In {
        /// `positive side`, `negative side` or `custom buckets`.
        part: &'static str,
        /// What is wrong there.
        error: Box<HistogramError>,
    },
}

impl HistogramError {
    pub(super) fn within(self, part: &'static str) -> Self {
        Self::In { part, error: Box::new(self) }
    }
}

/// As Go's `%v`.
fn g(v: f64) -> String {
    crate::float::to_string_g(v)
}

/// As Go's `%f`.
fn f(v: f64) -> String {
    if v.is_finite() { format!("{v:.6}") } else { g(v) }
}
