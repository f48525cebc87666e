//! Native histograms, decoded into buffers that the caller reuses. The message is the same in
//! remote write 1.0 and 2.0 but for the start timestamp, which only 2.0 has.
//!
//! Nothing is checked beyond the encoding: `validate` of the histogram does that.

use model::histogram::{BucketCount, BucketValue, CounterResetHint, NativeHistogram, Span};
use model::{FloatHistogram, Histogram, TimestampMs};

use crate::error::WireError;
use protobuf::writer::{
    put_double, put_doubles, put_int, put_message, put_uint, put_varint, put_varints, zigzag32, zigzag64,
};
use protobuf::{Reader, Tag};

/// A decoded histogram sample. Which of the two histograms holds it, `is_float` says; what the
/// other one holds means nothing.
#[derive(Clone, Debug, Default)]
pub struct HistogramSample {
    /// Time, milliseconds.
    pub t: TimestampMs,
    /// Start timestamp, milliseconds; 0 is unknown.
    pub st: TimestampMs,
    /// Whether counts are floats: what the count's field says.
    pub is_float: bool,
    /// The histogram unless `is_float`.
    pub int: Histogram,
    /// The histogram if `is_float`.
    pub float: FloatHistogram,
}

impl HistogramSample {
    fn clear(&mut self) {
        (self.t, self.st, self.is_float) = (0, 0, false);
        clear(&mut self.int);
        clear(&mut self.float);
    }

    /// Decodes a `Histogram` message; `has_start` says whether field 17 is known.
    pub(crate) fn decode(&mut self, mut message: Reader<'_>, has_start: bool) -> Result<(), WireError> {
        const KNOWN: u64 = 0x1_fffe;
        self.clear();
        let known = if has_start { KNOWN | 1 << 17 } else { KNOWN };
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x08 => (self.is_float, self.int.count) = (false, message.varint()?),
                0x11 => (self.is_float, self.float.count) = (true, message.double()?),
                0x19 => self.int.sum = message.double()?,
                0x20 => self.int.schema = message.sint32()?,
                0x29 => self.int.zero_threshold = message.double()?,
                0x30 => (self.int.zero_count, self.float.zero_count) = (message.varint()?, 0.0),
                0x39 => (self.int.zero_count, self.float.zero_count) = (0, message.double()?),
                0x70 => self.int.counter_reset_hint = hint(message.uint32()?),
                0x78 => self.t = message.int64()?,
                0x88 if has_start => self.st = message.int64()?,
                _ => {
                    if !self.bucket_field(tag, &mut message)? {
                        message.skip(tag, known)?;
                    }
                }
            }
        }
        if self.is_float {
            self.move_shared_fields();
        }
        Ok(())
    }

    /// Reads a repeated field; whether it was one.
    fn bucket_field(&mut self, tag: Tag, message: &mut Reader<'_>) -> Result<bool, WireError> {
        match tag.raw() {
            0x42 => self.int.negative_spans.push(span(message.message()?)?),
            0x5a => self.int.positive_spans.push(span(message.message()?)?),
            0x4a => deltas(message.message()?, &mut self.int.negative_buckets)?,
            0x48 => self.int.negative_buckets.push(message.sint64()?),
            0x62 => deltas(message.message()?, &mut self.int.positive_buckets)?,
            0x60 => self.int.positive_buckets.push(message.sint64()?),
            0x52 => doubles(message.message()?, &mut self.float.negative_buckets)?,
            0x51 => self.float.negative_buckets.push(message.double()?),
            0x6a => doubles(message.message()?, &mut self.float.positive_buckets)?,
            0x69 => self.float.positive_buckets.push(message.double()?),
            0x82 => doubles(message.message()?, &mut self.int.custom_values)?,
            0x81 => self.int.custom_values.push(message.double()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What does not depend on how observations are counted was read into the integer histogram.
    fn move_shared_fields(&mut self) {
        let Self { int, float, .. } = self;
        float.counter_reset_hint = int.counter_reset_hint;
        float.schema = int.schema;
        float.zero_threshold = int.zero_threshold;
        float.sum = int.sum;
        std::mem::swap(&mut float.positive_spans, &mut int.positive_spans);
        std::mem::swap(&mut float.negative_spans, &mut int.negative_spans);
        std::mem::swap(&mut float.custom_values, &mut int.custom_values);
    }
}

fn clear<B: BucketValue>(h: &mut NativeHistogram<B::Count, B>) {
    h.counter_reset_hint = CounterResetHint::Unknown;
    h.schema = 0;
    (h.zero_threshold, h.sum) = (0.0, 0.0);
    (h.zero_count, h.count) = (B::Count::default(), B::Count::default());
    h.positive_spans.clear();
    h.negative_spans.clear();
    h.positive_buckets.clear();
    h.negative_buckets.clear();
    h.custom_values.clear();
}

fn hint(number: u32) -> CounterResetHint {
    match number {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn hint_number(hint: CounterResetHint) -> u64 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

fn span(mut message: Reader<'_>) -> Result<Span, WireError> {
    let mut span = Span::default();
    while let Some(tag) = message.tag()? {
        match tag.raw() {
            0x08 => span.offset = message.sint32()?,
            0x10 => span.length = message.uint32()?,
            _ => message.skip(tag, 0b110)?,
        }
    }
    Ok(span)
}

fn deltas(mut packed: Reader<'_>, out: &mut Vec<i64>) -> Result<(), WireError> {
    while !packed.is_empty() {
        out.push(packed.sint64().map_err(protobuf::Error::in_packed)?);
    }
    Ok(())
}

fn doubles(mut packed: Reader<'_>, out: &mut Vec<f64>) -> Result<(), WireError> {
    out.reserve(packed.rest().len() / 8);
    while !packed.is_empty() {
        out.push(packed.double().map_err(protobuf::Error::in_packed)?);
    }
    Ok(())
}

/// Appends an integer histogram as `field` of a series. `st` is 0 in 1.0.
pub(crate) fn put_histogram(out: &mut Vec<u8>, field: u32, t: TimestampMs, st: TimestampMs, h: &Histogram) {
    put_message(out, field, |out| {
        // Members of a oneof are written when they are zero, too.
        out.push(0x08);
        put_varint(out, h.count);
        put_common(out, h, |out| {
            out.push(0x30);
            put_varint(out, h.zero_count);
        });
        put_spans(out, 8, &h.negative_spans);
        put_varints(out, 9, h.negative_buckets.iter().map(|d| zigzag64(*d)));
        put_spans(out, 11, &h.positive_spans);
        put_varints(out, 12, h.positive_buckets.iter().map(|d| zigzag64(*d)));
        put_end(out, h, t, st);
    });
}

/// Appends a float histogram as `field` of a series. `st` is 0 in 1.0.
pub(crate) fn put_float_histogram(
    out: &mut Vec<u8>,
    field: u32,
    t: TimestampMs,
    st: TimestampMs,
    h: &FloatHistogram,
) {
    put_message(out, field, |out| {
        out.push(0x11);
        out.extend_from_slice(&h.count.to_le_bytes());
        put_common(out, h, |out| {
            out.push(0x39);
            out.extend_from_slice(&h.zero_count.to_le_bytes());
        });
        put_spans(out, 8, &h.negative_spans);
        put_doubles(out, 10, &h.negative_buckets);
        put_spans(out, 11, &h.positive_spans);
        put_doubles(out, 13, &h.positive_buckets);
        put_end(out, h, t, st);
    });
}

fn put_common<C: BucketCount, B>(
    out: &mut Vec<u8>,
    h: &NativeHistogram<C, B>,
    put_zero_count: impl FnOnce(&mut Vec<u8>),
) {
    put_double(out, 3, h.sum);
    put_uint(out, 4, u64::from(zigzag32(h.schema)));
    put_double(out, 5, h.zero_threshold);
    put_zero_count(out);
}

fn put_spans(out: &mut Vec<u8>, field: u32, spans: &[Span]) {
    for span in spans {
        put_message(out, field, |out| {
            put_uint(out, 1, u64::from(zigzag32(span.offset)));
            put_uint(out, 2, u64::from(span.length));
        });
    }
}

fn put_end<C: BucketCount, B>(out: &mut Vec<u8>, h: &NativeHistogram<C, B>, t: TimestampMs, st: TimestampMs) {
    put_uint(out, 14, hint_number(h.counter_reset_hint));
    put_int(out, 15, t);
    put_doubles(out, 16, &h.custom_values);
    put_int(out, 17, st);
}
