//! One metric, decoded into memory that is used again.

use model::histogram::Span;
use protobuf::{Error, Reader, Tag};

use super::exemplar::{exemplar, timestamp};
use crate::entry::Exemplar;

/// A bucket of a classic histogram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket<'a> {
    pub(super) bound: f64,
    /// Observations up to the bound.
    pub(super) count: f64,
    pub(super) exemplar: Option<Exemplar<'a>>,
}

/// A `Metric` without its labels. A message that lacks leaves its fields at zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Metric<'a> {
    /// 0 where there is none.
    pub(super) timestamp_ms: i64,
    pub(super) gauge: f64,
    pub(super) counter: f64,
    pub(super) untyped: f64,
    /// Of the counter.
    pub(super) exemplar: Option<Exemplar<'a>>,
    pub(super) counter_start_ms: i64,
    pub(super) summary_count: u64,
    pub(super) summary_sum: f64,
    pub(super) summary_start_ms: i64,
    /// Quantile and value.
    pub(super) quantiles: Vec<(f64, f64)>,
    pub(super) histogram: Histogram<'a>,
    /// Whether `histogram` holds anything.
    has_histogram: bool,
}

/// A `Histogram`, classic, native or both.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram<'a> {
    pub(super) count: u64,
    pub(super) count_float: f64,
    pub(super) sum: f64,
    pub(super) buckets: Vec<Bucket<'a>>,
    pub(super) start_ms: i64,
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: u64,
    pub(super) zero_count_float: f64,
    pub(super) negative_spans: Vec<Span>,
    pub(super) negative_deltas: Vec<i64>,
    pub(super) negative_counts: Vec<f64>,
    pub(super) positive_spans: Vec<Span>,
    pub(super) positive_deltas: Vec<i64>,
    pub(super) positive_counts: Vec<f64>,
    /// Those of the native histogram.
    pub(super) exemplars: Vec<Exemplar<'a>>,
}

impl<'a> Metric<'a> {
    /// Decodes a metric. Its labels, tags and lengths included, are appended to `labels`.
    pub(super) fn decode(&mut self, mut r: Reader<'a>, labels: &mut Vec<u8>) -> Result<(), Error> {
        self.clear();
        loop {
            let before = r.rest();
            if self.take_value(before) {
                return Ok(());
            }
            let Some(tag) = r.tag()? else { return Ok(()) };
            match tag.raw() {
                0x0a => {
                    r.bytes()?;
                    while r.rest().first() == Some(&0x0a) {
                        r.advance(1);
                        r.bytes()?;
                    }
                    labels.extend_from_slice(&before[..before.len() - r.rest().len()]);
                }
                0x12 => self.gauge = value(r.message()?, self.gauge)?,
                0x1a => self.decode_counter(r.message()?)?,
                0x22 => self.decode_summary(r.message()?)?,
                0x2a => self.untyped = value(r.message()?, self.untyped)?,
                0x30 => self.timestamp_ms = r.int64()?,
                0x3a => {
                    self.has_histogram = true;
                    self.histogram.decode(r.message()?)?;
                }
                _ => r.skip(tag, 0b1111_1110)?,
            }
        }
    }

    /// Whether the rest of the metric is a value and nothing else, as most end; it is then taken.
    #[inline]
    fn take_value(&mut self, rest: &[u8]) -> bool {
        let Ok([tag, 9, 9, value @ ..]) = <&[u8; 11]>::try_from(rest) else { return false };
        let place = match tag {
            0x12 => &mut self.gauge,
            0x1a => &mut self.counter,
            0x2a => &mut self.untyped,
            _ => return false,
        };
        *place = f64::from_le_bytes(*value);
        true
    }

    fn clear(&mut self) {
        self.timestamp_ms = 0;
        (self.gauge, self.counter, self.untyped) = (0.0, 0.0, 0.0);
        self.exemplar = None;
        (self.counter_start_ms, self.summary_start_ms) = (0, 0);
        (self.summary_count, self.summary_sum) = (0, 0.0);
        self.quantiles.clear();
        if std::mem::take(&mut self.has_histogram) {
            self.histogram.clear();
        }
    }

    fn decode_counter(&mut self, mut r: Reader<'a>) -> Result<(), Error> {
        while let Some(tag) = r.tag()? {
            match tag.raw() {
                0x09 => self.counter = r.double()?,
                0x12 => self.exemplar = Some(exemplar(r.message()?)?),
                0x1a => self.counter_start_ms = timestamp(r.message()?)?,
                _ => r.skip(tag, 0b1110)?,
            }
        }
        Ok(())
    }

    fn decode_summary(&mut self, mut r: Reader<'a>) -> Result<(), Error> {
        while let Some(tag) = r.tag()? {
            match tag.raw() {
                0x08 => self.summary_count = r.varint()?,
                0x11 => self.summary_sum = r.double()?,
                0x1a => self.quantiles.push(quantile(r.message()?)?),
                0x22 => self.summary_start_ms = timestamp(r.message()?)?,
                _ => r.skip(tag, 0b1_1110)?,
            }
        }
        Ok(())
    }
}

/// The value of a `Gauge` or `Untyped`.
#[inline]
fn value(mut r: Reader<'_>, mut value: f64) -> Result<f64, Error> {
    while let Some(tag) = r.tag()? {
        match tag.raw() {
            0x09 => value = r.double()?,
            _ => r.skip(tag, 0b10)?,
        }
    }
    Ok(value)
}

fn quantile(mut r: Reader<'_>) -> Result<(f64, f64), Error> {
    let (mut quantile, mut value) = (0.0, 0.0);
    while let Some(tag) = r.tag()? {
        match tag.raw() {
            0x09 => quantile = r.double()?,
            0x11 => value = r.double()?,
            _ => r.skip(tag, 0b110)?,
        }
    }
    Ok((quantile, value))
}

fn bucket(mut r: Reader<'_>) -> Result<Bucket<'_>, Error> {
    let (mut count, mut count_float, mut bound, mut found) = (0, 0.0, 0.0, None);
    while let Some(tag) = r.tag()? {
        match tag.raw() {
            0x08 => count = r.varint()?,
            0x11 => bound = r.double()?,
            0x1a => found = Some(exemplar(r.message()?)?),
            0x21 => count_float = r.double()?,
            _ => r.skip(tag, 0b1_1110)?,
        }
    }
    Ok(Bucket { bound, count: either(count_float, count), exemplar: found })
}

fn span(mut r: Reader<'_>) -> Result<Span, Error> {
    let mut span = Span::default();
    while let Some(tag) = r.tag()? {
        match tag.raw() {
            0x08 => span.offset = r.sint32()?,
            0x10 => span.length = r.uint32()?,
            _ => r.skip(tag, 0b110)?,
        }
    }
    Ok(span)
}

fn deltas(mut packed: Reader<'_>, out: &mut Vec<i64>) -> Result<(), Error> {
    while !packed.is_empty() {
        out.push(packed.sint64().map_err(Error::in_packed)?);
    }
    Ok(())
}

fn doubles(mut packed: Reader<'_>, out: &mut Vec<f64>) -> Result<(), Error> {
    out.reserve(packed.rest().len() / 8);
    while !packed.is_empty() {
        out.push(packed.double().map_err(Error::in_packed)?);
    }
    Ok(())
}

/// A count that is given as a float or as an integer.
fn either(float: f64, integer: u64) -> f64 {
    if float == 0.0 { integer as f64 } else { float }
}

impl<'a> Histogram<'a> {
    fn decode(&mut self, mut r: Reader<'a>) -> Result<(), Error> {
        while let Some(tag) = r.tag()? {
            match tag.raw() {
                0x08 => self.count = r.varint()?,
                0x11 => self.sum = r.double()?,
                0x1a => self.buckets.push(bucket(r.message()?)?),
                0x21 => self.count_float = r.double()?,
                0x28 => self.schema = r.sint32()?,
                0x31 => self.zero_threshold = r.double()?,
                0x38 => self.zero_count = r.varint()?,
                0x41 => self.zero_count_float = r.double()?,
                0x7a => self.start_ms = timestamp(r.message()?)?,
                0x82 => self.exemplars.push(exemplar(r.message()?)?),
                _ => self.decode_side(tag, &mut r)?,
            }
        }
        Ok(())
    }

    /// Reads spans and buckets.
    fn decode_side(&mut self, tag: Tag, r: &mut Reader<'a>) -> Result<(), Error> {
        match tag.raw() {
            0x4a => self.negative_spans.push(span(r.message()?)?),
            0x50 => self.negative_deltas.push(r.sint64()?),
            0x52 => deltas(r.message()?, &mut self.negative_deltas)?,
            0x59 => self.negative_counts.push(r.double()?),
            0x5a => doubles(r.message()?, &mut self.negative_counts)?,
            0x62 => self.positive_spans.push(span(r.message()?)?),
            0x68 => self.positive_deltas.push(r.sint64()?),
            0x6a => deltas(r.message()?, &mut self.positive_deltas)?,
            0x71 => self.positive_counts.push(r.double()?),
            0x72 => doubles(r.message()?, &mut self.positive_counts)?,
            _ => r.skip(tag, 0x1_fffe)?,
        }
        Ok(())
    }

    fn clear(&mut self) {
        (self.count, self.count_float, self.sum) = (0, 0.0, 0.0);
        self.buckets.clear();
        (self.start_ms, self.schema, self.zero_threshold) = (0, 0, 0.0);
        (self.zero_count, self.zero_count_float) = (0, 0.0);
        self.negative_spans.clear();
        self.negative_deltas.clear();
        self.negative_counts.clear();
        self.positive_spans.clear();
        self.positive_deltas.clear();
        self.positive_counts.clear();
        self.exemplars.clear();
    }

    /// All observations.
    pub(super) fn count(&self) -> f64 {
        either(self.count_float, self.count)
    }

    /// Whether there are native parts. A native histogram that has observed nothing says so by an empty span.
    pub(super) fn is_native(&self) -> bool {
        !self.positive_spans.is_empty()
            || !self.negative_spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
    }

    /// Whether the native histogram counts in floats.
    pub(super) fn is_float(&self) -> bool {
        self.count_float > 0.0
            || self.zero_count_float > 0.0
            || !self.positive_counts.is_empty()
            || !self.negative_counts.is_empty()
    }

    /// Checks that there are as many buckets as the spans have.
    pub(super) fn check_spans(&self) -> Result<(), String> {
        let (positive, negative) = match self.is_float() {
            true => (self.positive_counts.len(), self.negative_counts.len()),
            false => (self.positive_deltas.len(), self.negative_deltas.len()),
        };
        check_side("positive", &self.positive_spans, positive)?;
        check_side("negative", &self.negative_spans, negative)
    }
}

fn check_side(side: &str, spans: &[Span], have: usize) -> Result<(), String> {
    let need: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if need == have as u64 {
        return Ok(());
    }
    Err(format!("{side} side: spans require {need} buckets, have {have}"))
}
