//! Sums up deltas: the feature `otlp-deltatocumulative`.
//!
//! Reference: the collector's deltatocumulativeprocessor, as Prometheus runs it: a stream that sends nothing for five
//! minutes is forgotten, a point that is late or older than its stream is dropped. What is known of the streams is lost
//! with the process, so their sums begin anew then.

use std::collections::HashMap;

use wire::otlp::{ExponentialBuckets, ExponentialPoint, HistogramPoint, Number, PointHead};

use crate::series_cache::KeyHash;

/// How long a stream is remembered.
const STALE_MS: i64 = 5 * 60 * 1000;
/// How often it is looked for such streams.
const SWEEP_MS: i64 = 60 * 1000;
/// Memory of all streams together; a stream that begins beyond it is dropped.
const BYTES_MAX: usize = 256 << 20;
/// About what a stream takes beside its buckets.
const STREAM_BYTES: usize = 256;
/// Buckets of a sign of an exponential histogram; a coarser scale is taken where there would be more.
const BUCKETS_MAX: i64 = 160;

/// What a stream has added up to.
#[derive(Debug)]
struct Stream {
    start_ns: u64,
    time_ns: u64,
    flags: u32,
    seen_ms: i64,
    sum: Sum,
}

#[derive(Debug)]
enum Sum {
    Number(Number),
    Histogram(HistogramPoint),
    Exponential(ExponentialPoint),
}

impl Sum {
    fn bytes(&self) -> usize {
        STREAM_BYTES
            + 8 * match self {
                Self::Number(_) => 0,
                Self::Histogram(h) => h.bounds.len() + h.counts.len(),
                Self::Exponential(h) => h.positive.counts.len() + h.negative.counts.len(),
            }
    }
}

/// All streams of deltas.
#[derive(Debug, Default)]
pub(super) struct Cumulative {
    streams: HashMap<[u8; 16], Stream>,
    bytes: usize,
    now_ms: i64,
    swept_ms: i64,
}

impl Cumulative {
    /// Begins a request at `now_ms`; streams that have gone are forgotten.
    pub(super) fn begin(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        if now_ms - self.swept_ms >= SWEEP_MS {
            self.swept_ms = now_ms;
            self.streams.retain(|_, stream| now_ms - stream.seen_ms <= STALE_MS);
            self.bytes = self.streams.values().map(|s| s.sum.bytes()).sum();
        }
    }

    /// Adds a number and puts the sum in its place; whether there is one.
    pub(super) fn number(&mut self, key: KeyHash, head: &mut PointHead<'_>, value: &mut Number) -> bool {
        let begin = || Sum::Number(*value);
        let Some(stream) = self.stream(key, head, begin) else { return false };
        if let (Sum::Number(sum), false) = (&mut stream.sum, stream.time_ns == head.time_ns) {
            *sum = match (*sum, *value) {
                (sum, Number::None) => sum,
                (Number::Int(a), Number::Int(b)) => Number::Int(a.wrapping_add(b)),
                (Number::Double(a), Number::Double(b)) => Number::Double(a + b),
                // The sum is as its newest part; of another kind there is none yet.
                (_, part) => part,
            };
        }
        if let Sum::Number(sum) = stream.sum {
            *value = sum;
        }
        stream.advance(head);
        true
    }

    /// [`Self::number`] for histograms. Other bounds than before begin a new sum.
    pub(super) fn histogram(
        &mut self,
        key: KeyHash,
        head: &mut PointHead<'_>,
        point: &mut HistogramPoint,
    ) -> bool {
        let Some(stream) = self.stream(key, head, || Sum::Histogram(point.clone())) else { return false };
        if let (Sum::Histogram(sum), false) = (&mut stream.sum, stream.time_ns == head.time_ns) {
            if sum.bounds != point.bounds {
                sum.clone_from(point);
                (stream.start_ns, stream.flags) = (head.start_ns, head.flags);
            } else {
                sum.counts.iter_mut().zip(&point.counts).for_each(|(a, b)| *a = a.wrapping_add(*b));
                sum.count = sum.count.wrapping_add(point.count);
                sum.sum = add(sum.sum, point.sum);
            }
        }
        if let Sum::Histogram(sum) = &stream.sum {
            point.clone_from(sum);
        }
        stream.advance(head);
        true
    }

    /// [`Self::number`] for exponential histograms.
    pub(super) fn exponential(
        &mut self,
        key: KeyHash,
        head: &mut PointHead<'_>,
        point: &mut ExponentialPoint,
    ) -> bool {
        let Some(stream) = self.stream(key, head, || Sum::Exponential(point.clone())) else { return false };
        if let (Sum::Exponential(sum), false) = (&mut stream.sum, stream.time_ns == head.time_ns) {
            merge(sum, point);
        }
        if let Sum::Exponential(sum) = &stream.sum {
            point.clone_from(sum);
        }
        stream.advance(head);
        true
    }

    /// The stream of a point, begun with it where there is none, so that its time is the point's; `None` where the
    /// point is to be dropped.
    fn stream(
        &mut self,
        key: KeyHash,
        head: &PointHead<'_>,
        begin: impl FnOnce() -> Sum,
    ) -> Option<&mut Stream> {
        let now_ms = self.now_ms;
        let key = key.to_bytes();
        let is_new = self.streams.get(&key).is_none_or(|s| s.time_ns == 0);
        if is_new {
            let sum = begin();
            if self.bytes + sum.bytes() > BYTES_MAX {
                return None;
            }
            self.bytes += sum.bytes();
            let PointHead { start_ns, time_ns, flags, .. } = *head;
            self.streams.insert(key, Stream { start_ns, time_ns, flags, seen_ms: now_ms, sum });
            return self.streams.get_mut(&key);
        }
        let stream = self.streams.get_mut(&key)?;
        stream.seen_ms = now_ms;
        (head.start_ns >= stream.start_ns && head.time_ns > stream.time_ns).then_some(stream)
    }
}

impl Stream {
    /// The stream is at the time of a point, which stands for the stream from now on.
    fn advance(&mut self, head: &mut PointHead<'_>) {
        self.time_ns = head.time_ns;
        (head.start_ns, head.flags) = (self.start_ns, self.flags);
    }
}

/// A sum is known only where all parts are.
fn add(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? + b?)
}

fn merge(sum: &mut ExponentialPoint, point: &mut ExponentialPoint) {
    let scale = sum.scale.min(point.scale);
    for h in [&mut *sum, &mut *point] {
        downscale(h, i64::from(h.scale) - i64::from(scale));
        h.scale = scale;
    }
    let down = excess(&sum.positive, &point.positive).max(excess(&sum.negative, &point.negative));
    for h in [&mut *sum, &mut *point] {
        downscale(h, i64::from(down));
        h.scale = h.scale.saturating_sub_unsigned(down);
    }
    if sum.zero_threshold != point.zero_threshold {
        let width = sum.zero_threshold.max(point.zero_threshold);
        let narrow = if sum.zero_threshold < point.zero_threshold { &mut *sum } else { &mut *point };
        widen_zero(narrow, width);
    }
    merge_buckets(&mut sum.positive, &point.positive);
    merge_buckets(&mut sum.negative, &point.negative);
    sum.count = sum.count.wrapping_add(point.count);
    sum.zero_count = sum.zero_count.wrapping_add(point.zero_count);
    sum.sum = add(sum.sum, point.sum);
}

/// Merges 2^`by` buckets into one.
fn downscale(h: &mut ExponentialPoint, by: i64) {
    if by <= 0 {
        return;
    }
    let by = by.min(31);
    for buckets in [&mut h.positive, &mut h.negative] {
        let first = i64::from(buckets.offset) >> by;
        let mut coarse: Vec<u64> = Vec::new();
        for (i, count) in buckets.counts.iter().enumerate() {
            let index = ((i64::from(buckets.offset) + i as i64) >> by) - first;
            let index = usize::try_from(index).unwrap_or(0);
            if coarse.len() <= index {
                coarse.resize(index + 1, 0);
            }
            coarse[index] = coarse[index].wrapping_add(*count);
        }
        buckets.offset = first as i32;
        buckets.counts = coarse;
    }
}

/// Where buckets that are not empty begin and end.
fn occupied(b: &ExponentialBuckets) -> Option<(i64, i64)> {
    let first = b.counts.iter().position(|c| *c != 0)? as i64;
    let last = b.counts.iter().rposition(|c| *c != 0)? as i64;
    Some((i64::from(b.offset) + first, i64::from(b.offset) + last + 1))
}

fn united(a: &ExponentialBuckets, b: &ExponentialBuckets) -> Option<(i64, i64)> {
    match (occupied(a), occupied(b)) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (a, b) => a.or(b),
    }
}

/// By how much the scale is to be lowered, so that both together have no more buckets than they may.
fn excess(a: &ExponentialBuckets, b: &ExponentialBuckets) -> u32 {
    let Some((mut low, mut high)) = united(a, b) else { return 0 };
    let mut down = 0;
    while high - low > BUCKETS_MAX {
        (low, high) = (low >> 1, (high + 1) >> 1);
        down += 1;
    }
    down
}

fn merge_buckets(sum: &mut ExponentialBuckets, part: &ExponentialBuckets) {
    let Some((low, high)) = united(sum, part) else { return };
    let mut counts = vec![0u64; usize::try_from(high - low).unwrap_or(0)];
    for b in [&*sum, part] {
        for (i, count) in b.counts.iter().enumerate().filter(|(_, c)| **c != 0) {
            if let Some(place) =
                usize::try_from(i64::from(b.offset) + i as i64 - low).ok().and_then(|i| counts.get_mut(i))
            {
                *place = place.wrapping_add(*count);
            }
        }
    }
    sum.offset = low as i32;
    sum.counts = counts;
}

/// Widens the zero bucket to `width`, or to the end of the bucket in which that lies.
fn widen_zero(h: &mut ExponentialPoint, width: f64) {
    let zero = index_of(width, h.scale);
    for buckets in [&mut h.positive, &mut h.negative] {
        let inside = (zero + 1 - i64::from(buckets.offset)).clamp(0, buckets.counts.len() as i64) as usize;
        let swallowed = buckets.counts.drain(..inside).fold(0u64, u64::wrapping_add);
        h.zero_count = h.zero_count.wrapping_add(swallowed);
        buckets.offset = (i64::from(buckets.offset) + inside as i64) as i32;
    }
    h.zero_threshold = ((zero + 1) as f64 * std::f64::consts::LN_2 * (-f64::from(h.scale)).exp2()).exp();
}

/// The bucket of a value ("All scales: use the logarithm function" in OpenTelemetry's data model).
fn index_of(v: f64, scale: i32) -> i64 {
    let factor = f64::from(scale).exp2();
    let is_power = v.is_normal() && v.to_bits() << 12 == 0;
    if is_power {
        let exponent = (v.to_bits() >> 52 & 0x7ff) as i64 - 1023;
        return (exponent as f64 * factor).ceil() as i64 - 1;
    }
    (v.ln() * std::f64::consts::LOG2_E * factor).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series_cache::SeriesCache;

    fn head(start: u64, time: u64) -> PointHead<'static> {
        PointHead { start_ns: start, time_ns: time, ..PointHead::default() }
    }

    fn add_number(c: &mut Cumulative, start: u64, time: u64, v: Number) -> Option<(u64, Number)> {
        let key = SeriesCache::new(1).hash(b"a");
        let (mut head, mut v) = (head(start, time), v);
        c.number(key, &mut head, &mut v).then_some((head.start_ns, v))
    }

    #[test]
    fn numbers_add_up() {
        use Number::{Double, Int};
        let mut c = Cumulative::default();
        c.begin(0);
        assert_eq!(add_number(&mut c, 1, 10, Int(5)), Some((1, Int(5))));
        assert_eq!(add_number(&mut c, 10, 20, Int(7)), Some((1, Int(12))));
        assert_eq!(add_number(&mut c, 10, 20, Int(7)), None, "out of order");
        assert_eq!(add_number(&mut c, 0, 30, Int(7)), None, "older than the stream");
        assert_eq!(add_number(&mut c, 20, 40, Int(1)), Some((1, Int(13))));
        assert_eq!(add_number(&mut c, 20, 50, Double(1.5)), Some((1, Double(1.5))));
        c.begin(STALE_MS);
        assert_eq!(add_number(&mut c, 50, 60, Double(1.0)), Some((1, Double(2.5))));
        c.begin(3 * STALE_MS);
        assert_eq!(add_number(&mut c, 60, 70, Double(1.0)), Some((60, Double(1.0))));
    }

    fn buckets(offset: i32, counts: &[u64]) -> ExponentialBuckets {
        ExponentialBuckets { offset, counts: counts.to_vec() }
    }

    #[test]
    fn exponential_histograms_meet_at_the_coarser_scale() {
        let mut sum = ExponentialPoint {
            count: 10,
            sum: Some(1.0),
            scale: 1,
            positive: buckets(-1, &[1, 2, 3, 4]),
            ..ExponentialPoint::default()
        };
        let mut part = ExponentialPoint {
            count: 3,
            sum: Some(2.0),
            scale: 0,
            positive: buckets(1, &[1, 2]),
            ..ExponentialPoint::default()
        };
        merge(&mut sum, &mut part);
        assert_eq!((sum.scale, sum.count, sum.sum), (0, 13, Some(3.0)));
        assert_eq!(sum.positive, buckets(-1, &[1, 5, 5, 2]));
        // Far apart: one scale that holds both.
        let mut far = ExponentialPoint {
            scale: 0,
            positive: buckets(i32::MAX - 1, &[9]),
            ..ExponentialPoint::default()
        };
        merge(&mut sum, &mut far);
        assert!(sum.positive.counts.len() as i64 <= BUCKETS_MAX);
        assert_eq!(sum.positive.counts.iter().sum::<u64>(), 22);
    }

    #[test]
    fn zero_buckets_grow_by_whole_buckets() {
        let mut h = ExponentialPoint {
            scale: 0,
            zero_count: 1,
            positive: buckets(0, &[1, 2, 3]),
            negative: buckets(1, &[5]),
            ..ExponentialPoint::default()
        };
        widen_zero(&mut h, 3.0);
        assert_eq!((h.zero_count, h.zero_threshold), (1 + 1 + 2 + 5, 4.0));
        assert_eq!((h.positive, h.negative), (buckets(2, &[3]), buckets(2, &[])));
        assert_eq!(
            (index_of(4.0, 0), index_of(4.1, 0), index_of(1.0, 3), index_of(0.0, 0)),
            (1, 2, -1, i64::MIN)
        );
    }
}
