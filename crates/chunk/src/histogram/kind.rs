//! The two kinds of histograms, as far as chunks tell them apart.

use model::histogram::{BucketCount, BucketValue};

use super::field::{CountField, DeltaField, Field, FloatField};
use super::header::CounterReset;
use crate::Encoding;

/// Integer or float counts.
pub(super) trait Kind: std::fmt::Debug + Clone + Copy {
    type Count: BucketCount;
    type Bucket: BucketValue<Count = Self::Count>;
    type CountField: Field<Value = Self::Count>;
    type BucketField: Field<Value = Self::Bucket>;

    /// Without start timestamps, and with.
    const ENCODINGS: [Encoding; 2];
    /// Fewest bits that a bucket of the first sample takes.
    const BUCKET_BITS_MIN: usize;

    fn count(value: Self::Count) -> f64;
    /// A bucket's count, once differences are resolved.
    fn bucket(count: Self::Bucket) -> f64;

    /// What the header of a chunk says that was begun because of `found`.
    fn cut(found: CounterReset) -> CounterReset;
    /// What the header of a chunk says whose first histogram compares so with the chunk before.
    fn follow(found: CounterReset) -> CounterReset;
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Integer;

impl Kind for Integer {
    type Count = u64;
    type Bucket = i64;
    type CountField = CountField;
    type BucketField = DeltaField;

    const ENCODINGS: [Encoding; 2] = [Encoding::Histogram, Encoding::HistogramSt];
    const BUCKET_BITS_MIN: usize = 1;

    fn count(value: u64) -> f64 {
        value as f64
    }

    fn bucket(count: i64) -> f64 {
        count as f64
    }

    fn cut(found: CounterReset) -> CounterReset {
        found
    }

    fn follow(found: CounterReset) -> CounterReset {
        found
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Float;

impl Kind for Float {
    type Count = f64;
    type Bucket = f64;
    type CountField = FloatField;
    type BucketField = FloatField;

    const ENCODINGS: [Encoding; 2] = [Encoding::FloatHistogram, Encoding::FloatHistogramSt];
    const BUCKET_BITS_MIN: usize = 64;

    fn count(value: f64) -> f64 {
        value
    }

    fn bucket(count: f64) -> f64 {
        count
    }

    fn cut(found: CounterReset) -> CounterReset {
        if found == CounterReset::Reset { found } else { CounterReset::Unknown }
    }

    fn follow(found: CounterReset) -> CounterReset {
        if found == CounterReset::Reset { found } else { CounterReset::NotReset }
    }
}
