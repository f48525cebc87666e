//! Walking over buckets: one sign, both directions, coarser schemas, all of them.

use super::bounds::{bound_exponential, target_index};
use super::schema::is_exponential_schema;
use super::{Bucket, BucketValue, FloatHistogram, NativeHistogram, Span};

/// The buckets of one sign, away from zero, with absolute counts.
#[derive(Clone, Debug)]
pub struct Buckets<'a, B> {
    cursor: Cursor<'a, B>,
    schema: i32,
    custom_values: &'a [f64],
    positive: bool,
}

impl<B: BucketValue> Iterator for Buckets<'_, B> {
    type Item = Bucket<B::Count>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, count) = self.cursor.next()?;
        Some(Bucket::at(index, self.schema, self.custom_values, self.positive, count.count()))
    }
}

/// Bucket indices and absolute counts; empty spans are nothing special.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a, B> {
    spans: &'a [Span],
    buckets: &'a [B],
    /// What is left of the span in hand, and the index of the bucket that comes next.
    left: u32,
    index: i32,
    count: B,
}

impl<'a, B: BucketValue> Cursor<'a, B> {
    pub(super) fn new(spans: &'a [Span], buckets: &'a [B]) -> Self {
        Self { spans, buckets, left: 0, index: 0, count: B::default() }
    }
}

impl<B: BucketValue> Iterator for Cursor<'_, B> {
    type Item = (i32, B);

    #[inline]
    fn next(&mut self) -> Option<(i32, B)> {
        while self.left == 0 {
            let (span, rest) = self.spans.split_first()?;
            self.spans = rest;
            self.left = span.length;
            self.index = self.index.wrapping_add(span.offset);
        }
        let (bucket, rest) = self.buckets.split_first()?;
        self.buckets = rest;
        self.count = bucket.after(self.count);
        let index = self.index;
        self.index = index.wrapping_add(1);
        self.left -= 1;
        Some((index, self.count))
    }
}

/// The float buckets of one sign merged into those of a coarser schema, without bounds.
pub(super) struct Merged<'a> {
    cursor: Cursor<'a, f64>,
    /// A bucket read and not yet used.
    ahead: Option<(i32, f64)>,
    schema: i32,
    target: i32,
    /// Buckets that end at or below this are skipped; `None` once one was not.
    start: Option<f64>,
}

impl Merged<'_> {
    fn bucket(&mut self) -> Option<(i32, f64)> {
        let read = |cursor: &mut Cursor<'_, f64>, schema, target| {
            cursor.next().map(|(i, n)| (target_index(i, schema, target), n))
        };
        let (index, first) =
            self.ahead.take().or_else(|| read(&mut self.cursor, self.schema, self.target))?;
        // From zero, as a running sum: −0 becomes +0.
        let mut count = 0.0 + first;
        while let Some((i, n)) = read(&mut self.cursor, self.schema, self.target) {
            if i != index {
                self.ahead = Some((i, n));
                break;
            }
            count += n;
        }
        Some((index, count))
    }
}

impl Iterator for Merged<'_> {
    type Item = (i32, f64);

    fn next(&mut self) -> Option<(i32, f64)> {
        loop {
            let bucket = if self.schema == self.target { self.cursor.next() } else { self.bucket() }?;
            match self.start {
                Some(start) if bound_exponential(bucket.0, self.target) <= start => {}
                _ => {
                    self.start = None;
                    return Some(bucket);
                }
            }
        }
    }
}

/// The buckets of one sign, towards zero.
#[derive(Clone, Debug)]
pub struct ReverseBuckets<'a> {
    spans: &'a [Span],
    buckets: &'a [f64],
    /// What is left of the last of `spans`, and the index behind the bucket that comes next.
    left: u32,
    index: i32,
    schema: i32,
    custom_values: &'a [f64],
    positive: bool,
}

impl Iterator for ReverseBuckets<'_> {
    type Item = Bucket<f64>;

    fn next(&mut self) -> Option<Bucket<f64>> {
        let (count, rest) = self.buckets.split_last()?;
        self.buckets = rest;
        while self.left == 0 {
            let (span, rest) = self.spans.split_last()?;
            self.spans = rest;
            self.left = rest.last()?.length;
            self.index = self.index.wrapping_sub(span.offset);
        }
        self.left -= 1;
        self.index = self.index.wrapping_sub(1);
        Some(Bucket::at(self.index, self.schema, self.custom_values, self.positive, *count))
    }
}

/// All buckets in order, the zero bucket among them if it is not empty. A bucket that overlaps the
/// zero bucket is cut at the zero threshold.
#[derive(Clone, Debug)]
pub struct AllBuckets<'a> {
    first: ReverseBuckets<'a>,
    zero: Option<Bucket<f64>>,
    second: Buckets<'a, f64>,
    zero_threshold: f64,
}

impl Iterator for AllBuckets<'_> {
    type Item = Bucket<f64>;

    fn next(&mut self) -> Option<Bucket<f64>> {
        if let Some(bucket) = self.first.next() {
            return Some(cut(bucket, self.zero_threshold));
        }
        self.zero.take().or_else(|| self.second.next().map(|bucket| cut(bucket, self.zero_threshold)))
    }
}

fn cut(mut bucket: Bucket<f64>, zero_threshold: f64) -> Bucket<f64> {
    if bucket.upper < 0.0 && bucket.upper > -zero_threshold {
        bucket.upper = -zero_threshold;
    } else if bucket.lower > 0.0 && bucket.lower < zero_threshold {
        bucket.lower = zero_threshold;
    }
    bucket
}

impl<C, B: BucketValue<Count = C>> NativeHistogram<C, B> {
    /// The positive buckets, or those with custom bounds, upwards.
    #[must_use]
    pub fn positive(&self) -> Buckets<'_, B> {
        Buckets {
            cursor: Cursor::new(&self.positive_spans, &self.positive_buckets),
            schema: self.schema,
            custom_values: &self.custom_values,
            positive: true,
        }
    }

    /// The negative buckets, downwards.
    #[must_use]
    pub fn negative(&self) -> Buckets<'_, B> {
        Buckets {
            cursor: Cursor::new(&self.negative_spans, &self.negative_buckets),
            schema: self.schema,
            custom_values: &[],
            positive: false,
        }
    }
}

impl<C: Copy, B> NativeHistogram<C, B> {
    /// The zero bucket; meaningless with custom bounds.
    #[must_use]
    pub fn zero_bucket(&self) -> Bucket<C> {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: 0,
        }
    }
}

impl FloatHistogram {
    /// The positive buckets, or those with custom bounds, downwards.
    #[must_use]
    pub fn positive_reverse(&self) -> ReverseBuckets<'_> {
        self.reverse(&self.positive_spans, &self.positive_buckets, true)
    }

    /// The negative buckets, upwards.
    #[must_use]
    pub fn negative_reverse(&self) -> ReverseBuckets<'_> {
        self.reverse(&self.negative_spans, &self.negative_buckets, false)
    }

    fn reverse<'a>(&'a self, spans: &'a [Span], buckets: &'a [f64], positive: bool) -> ReverseBuckets<'a> {
        let end = |at: i32, s: &Span| at.wrapping_add(s.offset).wrapping_add(s.length as i32);
        ReverseBuckets {
            spans,
            buckets,
            left: spans.last().map_or(0, |s| s.length),
            index: spans.iter().fold(0, end),
            schema: self.schema,
            custom_values: if positive { &self.custom_values } else { &[] },
            positive,
        }
    }

    /// All buckets, upwards: negative, zero, positive.
    #[must_use]
    pub fn all_buckets(&self) -> AllBuckets<'_> {
        AllBuckets {
            first: self.negative_reverse(),
            zero: self.zero_bucket_if_any(),
            second: self.positive(),
            zero_threshold: self.zero_threshold,
        }
    }

    /// All buckets, downwards: positive, zero, negative.
    #[must_use]
    pub fn all_buckets_reverse(&self) -> AllBuckets<'_> {
        AllBuckets {
            first: self.positive_reverse(),
            zero: self.zero_bucket_if_any(),
            second: self.negative(),
            zero_threshold: self.zero_threshold,
        }
    }

    fn zero_bucket_if_any(&self) -> Option<Bucket<f64>> {
        (self.zero_count > 0.0).then(|| self.zero_bucket())
    }

    /// The buckets of one sign as those of `target` ≤ the schema; without those that end at or
    /// below `start` > 0, which custom bounds ignore.
    pub(super) fn merged(&self, positive: bool, start: f64, target: i32) -> Merged<'_> {
        let (spans, buckets) = if positive {
            (&self.positive_spans, &self.positive_buckets)
        } else {
            (&self.negative_spans, &self.negative_buckets)
        };
        Merged {
            cursor: Cursor::new(spans, buckets),
            ahead: None,
            schema: self.schema,
            target,
            start: (start != 0.0 && is_exponential_schema(target)).then_some(start),
        }
    }
}
