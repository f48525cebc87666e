//! Native histograms: what they are, whether they are sound, and arithmetic on them.
//!
//! Reference: Prometheus `model/histogram`. Every sum is taken in the same order as there, so
//! results agree to the bit. Knows nothing of how histograms are stored, exposed or queried.
//!
//! Nothing here panics on a histogram that would not pass [`NativeHistogram::validate`]: surplus
//! buckets and spans are passed over.

mod add;
mod bounds;
mod bucket;
mod classic;
mod compact;
mod custom;
mod equality;
mod error;
mod format;
mod iterate;
mod kahan;
mod merge;
mod reset;
mod resolution;
mod scale;
mod schema;
mod trim;
mod validate;
mod value;
mod zero;

pub use add::Combined;
pub use bounds::{bound, bound_exponential};
pub use bucket::Bucket;
pub use classic::ClassicCounts;
pub use custom::{bounds_match, intersect_bounds};
pub use error::HistogramError;
pub use iterate::{AllBuckets, Buckets, ReverseBuckets};
pub use schema::{
    CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MAX_RESERVED, EXPONENTIAL_SCHEMA_MIN,
    EXPONENTIAL_SCHEMA_MIN_RESERVED, is_custom_buckets_schema, is_exponential_schema, is_known_schema,
    is_valid_schema,
};
pub use value::{BucketCount, BucketValue};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the end of the span before; for the first span, the index of its first bucket.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// A native histogram whose observations are counted in `C` and whose buckets hold `B`: see
/// [`FloatHistogram`] and [`Histogram`].
///
/// Exponential schemas −4…8: bucket `i` covers (2^((i−1)·2^−schema), 2^(i·2^−schema)]. Schema
/// −53: bucket `i` ends at `custom_values[i]`, the last at +Inf; there are then no zero bucket and
/// no negative buckets. A `sum` that is the stale marker makes the whole sample one.
///
/// `==` compares fields as numbers; [`NativeHistogram::same_data`] compares data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeHistogram<C, B> {
    /// What is known about a reset before this histogram.
    pub counter_reset_hint: CounterResetHint,
    /// −4…8 exponential, [`CUSTOM_BUCKETS_SCHEMA`] custom bounds.
    pub schema: i32,
    /// Half width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: C,
    /// All observations.
    pub count: C,
    /// Sum of all observed values.
    pub sum: f64,
    /// Spans of the positive buckets.
    pub positive_spans: Vec<Span>,
    /// Spans of the negative buckets.
    pub negative_spans: Vec<Span>,
    /// The positive buckets, as many as the spans have.
    pub positive_buckets: Vec<B>,
    /// The negative buckets, as many as the spans have.
    pub negative_buckets: Vec<B>,
    /// Upper bounds for schema −53, strictly rising, without +Inf.
    pub custom_values: Vec<f64>,
}

/// A native histogram with float counts (Prometheus `histogram.FloatHistogram`), as queries work
/// on. Bucket counts are absolute.
pub type FloatHistogram = NativeHistogram<f64, f64>;

/// A native histogram with integer counts (Prometheus `histogram.Histogram`), as exposed, sent and
/// stored. The first bucket of each sign is a count, each later one the difference to the bucket
/// before.
pub type Histogram = NativeHistogram<u64, i64>;

impl<C, B> NativeHistogram<C, B> {
    /// Whether the bounds are custom ones.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        is_custom_buckets_schema(self.schema)
    }

    /// Bytes this histogram takes in Prometheus' memory (`FloatHistogram.Size`): what the samples
    /// limit of a query charges.
    #[must_use]
    pub fn size(&self) -> usize {
        const STRUCT: usize = 168;
        let spans = self.positive_spans.len() + self.negative_spans.len();
        let buckets = self.positive_buckets.len() + self.negative_buckets.len();
        STRUCT + 8 * (spans + buckets + self.custom_values.len())
    }
}

impl Histogram {
    /// The same histogram with float counts.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        let absolute = |deltas: &[i64]| {
            let mut count = 0.0;
            let add = |delta: &i64| {
                count += *delta as f64;
                count
            };
            deltas.iter().map(add).collect()
        };
        let mut float = FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            positive_buckets: absolute(&self.positive_buckets),
            ..FloatHistogram::default()
        };
        if self.uses_custom_buckets() {
            float.custom_values.clone_from(&self.custom_values);
        } else {
            float.zero_threshold = self.zero_threshold;
            float.zero_count = self.zero_count as f64;
            float.negative_spans.clone_from(&self.negative_spans);
            float.negative_buckets = absolute(&self.negative_buckets);
        }
        float
    }
}
