//! What all histograms of a chunk share: schema, zero threshold, spans, custom bounds.

use model::histogram::{
    HistogramError, NativeHistogram, Span, bounds_match, is_custom_buckets_schema, is_known_schema,
};

use crate::ChunkError;
use crate::bit_writer::BitWriter;
use crate::bits::BitReader;
use crate::varbit::{put_int, put_uint, read_int, read_uint};

/// The common part of a chunk's histograms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive_spans: Vec<Span>,
    pub(super) negative_spans: Vec<Span>,
    pub(super) custom_values: Vec<f64>,
}

impl Layout {
    pub(super) fn of<C, B>(h: &NativeHistogram<C, B>) -> Self {
        Self {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            positive_spans: h.positive_spans.clone(),
            negative_spans: h.negative_spans.clone(),
            custom_values: if is_custom_buckets_schema(h.schema) {
                h.custom_values.clone()
            } else {
                Vec::new()
            },
        }
    }

    /// Spans and custom bounds.
    pub(super) fn parts(&self) -> usize {
        self.positive_spans.len() + self.negative_spans.len() + self.custom_values.len()
    }

    /// Whether `h` has the same custom bounds, if any.
    pub(super) fn bounds_match<C, B>(&self, h: &NativeHistogram<C, B>) -> bool {
        !is_custom_buckets_schema(h.schema) || bounds_match(&h.custom_values, &self.custom_values)
    }

    pub(super) fn write(&self, out: &mut BitWriter) {
        put_zero_threshold(out, self.zero_threshold);
        put_int(out, i64::from(self.schema));
        for spans in [&self.positive_spans, &self.negative_spans] {
            put_uint(out, spans.len() as u64);
            for span in spans {
                put_uint(out, u64::from(span.length));
                put_int(out, i64::from(span.offset));
            }
        }
        if is_custom_buckets_schema(self.schema) {
            put_uint(out, self.custom_values.len() as u64);
            for bound in &self.custom_values {
                put_custom_bound(out, *bound);
            }
        }
    }

    /// Reads a layout of which `bits` bits of data, all there are, must say everything: neither
    /// spans nor buckets are more than these.
    pub(super) fn read(from: &mut BitReader<'_>, bits: usize) -> Result<Self, ChunkError> {
        let zero_threshold = read_zero_threshold(from);
        let schema = i32::try_from(read_int(from)).map_err(|_| ChunkError::BadLayout)?;
        if from.overrun() {
            return Err(ChunkError::Truncated);
        }
        if !is_known_schema(schema) {
            return Err(ChunkError::UnknownSchema(schema));
        }
        let positive_spans = read_spans(from, bits)?;
        let negative_spans = read_spans(from, bits)?;
        let mut custom_values = Vec::new();
        if is_custom_buckets_schema(schema) {
            for _ in 0..bounded(read_uint(from), bits)? {
                custom_values.push(read_custom_bound(from));
                if from.overrun() {
                    return Err(ChunkError::Truncated);
                }
            }
        }
        Ok(Self { schema, zero_threshold, positive_spans, negative_spans, custom_values })
    }
}

fn bounded(n: u64, bits: usize) -> Result<usize, ChunkError> {
    usize::try_from(n).ok().filter(|n| *n <= bits).ok_or(ChunkError::Truncated)
}

fn read_spans(from: &mut BitReader<'_>, bits: usize) -> Result<Vec<Span>, ChunkError> {
    let mut spans = Vec::new();
    let (mut buckets, mut end) = (0u64, 0i64);
    for i in 0..bounded(read_uint(from), bits)? {
        let length = u32::try_from(read_uint(from)).map_err(|_| ChunkError::BadLayout)?;
        let offset = i32::try_from(read_int(from)).map_err(|_| ChunkError::BadLayout)?;
        if from.overrun() {
            return Err(ChunkError::Truncated);
        }
        buckets += u64::from(length);
        end += i64::from(offset) + i64::from(length);
        if i > 0 && offset < 0 || offset == i32::MIN || end > i64::from(i32::MAX) {
            return Err(ChunkError::BadLayout);
        }
        spans.push(Span { offset, length });
    }
    bounded(buckets, bits)?;
    Ok(spans)
}

/// Buckets that spans describe.
pub(super) fn count_buckets(spans: &[Span]) -> usize {
    spans.iter().map(|s| s.length as usize).sum()
}

/// The words of an error of the model; none but wrong layouts can occur here.
impl From<HistogramError> for ChunkError {
    fn from(_: HistogramError) -> Self {
        Self::BadLayout
    }
}

/// A power of two from 2^−243 to 2^10 and zero take a byte, anything else nine.
fn put_zero_threshold(out: &mut BitWriter, threshold: f64) {
    let bits = threshold.to_bits();
    // A half is 2^−1; the exponent is counted as for fractions from a half on.
    let exponent = (bits >> 52) as i64 - 1022;
    if threshold == 0.0 {
        out.put(0, 8);
    } else if bits << 12 == 0 && (-242..=11).contains(&exponent) {
        out.put((exponent + 243) as u64, 8);
    } else {
        out.put(255, 8);
        out.put(bits, 64);
    }
}

fn read_zero_threshold(from: &mut BitReader<'_>) -> f64 {
    let byte = from.peek57() >> 56;
    from.skip(8);
    match byte {
        0 => 0.0,
        255 => read_raw(from),
        power => f64::from_bits((power + 1022 - 243) << 52),
    }
}

/// Multiples of 0.001 up to 33554.430 take up to four bytes, anything else a bit and eight bytes.
fn put_custom_bound(out: &mut BitWriter, bound: f64) {
    let scaled = bound * 1000.0;
    let whole = scaled.round();
    if (0.0..=33_554_430.0).contains(&scaled) && whole / 1000.0 == bound {
        put_uint(out, whole as u64 + 1);
    } else {
        out.put(0, 1);
        out.put(bound.to_bits(), 64);
    }
}

fn read_custom_bound(from: &mut BitReader<'_>) -> f64 {
    match read_uint(from) {
        0 => read_raw(from),
        n => (n - 1) as f64 / 1000.0,
    }
}

/// 64 bits as they are.
pub(super) fn read_raw(from: &mut BitReader<'_>) -> f64 {
    let value = f64::from_bits(from.peek64());
    from.skip(64);
    value
}
