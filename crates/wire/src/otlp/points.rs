//! Data points. What all kinds have is a [`PointHead`]; lists are decoded into vectors that the caller reuses.

use crate::error::WireError;
use crate::labels::LabelFields;
use crate::otlp::BUCKETS_MAX;
use crate::otlp::attributes::Attributes;
use crate::otlp::exemplar::Exemplars;
use protobuf::{Fault, Reader, Tag};

const NO_RECORDED_VALUE: u32 = 1;
const NS_PER_MS: i64 = 1_000_000;

/// A number as it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Number {
    /// Not at all.
    #[default]
    None,
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
}

impl Number {
    /// The value; 0 where there is none.
    #[inline]
    #[must_use]
    pub fn value(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Int(n) => n as f64,
            Self::Double(v) => v,
        }
    }
}

/// What data points of all kinds have.
#[derive(Clone, Debug, Default)]
pub struct PointHead<'a> {
    /// The attributes.
    pub attributes: Attributes<'a>,
    /// Since when it counts, nanoseconds; 0 is unknown.
    pub start_ns: u64,
    /// Time, nanoseconds.
    pub time_ns: u64,
    /// Flags.
    pub flags: u32,
    /// The exemplars.
    pub exemplars: Exemplars<'a>,
}

impl PointHead<'_> {
    /// Time, milliseconds, cut as Prometheus cuts it.
    #[inline]
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        self.time_ns as i64 / NS_PER_MS
    }

    /// Start timestamp, milliseconds; 0 is unknown.
    #[inline]
    #[must_use]
    pub fn start_ms(&self) -> i64 {
        self.start_ns as i64 / NS_PER_MS
    }

    /// Whether the point says that there is no value any more.
    #[inline]
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.flags & NO_RECORDED_VALUE != 0
    }
}

/// Numbers of the fields that differ from kind to kind.
struct Layout {
    attributes: u32,
    exemplars: u32,
    flags: u32,
}

/// Walks a data point: what is in the head goes there, the rest to `field`, which says whether it knew the field.
#[inline]
fn walk<'a>(
    mut message: Reader<'a>,
    layout: &Layout,
    known: u64,
    mut field: impl FnMut(Tag, &mut Reader<'a>) -> Result<bool, WireError>,
) -> Result<PointHead<'a>, WireError> {
    let mut head = PointHead {
        exemplars: Exemplars { message, tag: layout.exemplars << 3 | 2, left: 0 },
        ..PointHead::default()
    };
    let mut attributes = LabelFields::new(&message);
    let mut start = message.offset();
    while let Some(tag) = message.tag()? {
        let raw = tag.raw();
        if raw == layout.attributes << 3 | 2 {
            message.bytes()?;
            attributes.add(start, message.offset());
        } else if raw == 0x11 {
            head.start_ns = message.fixed64()?;
        } else if raw == 0x19 {
            head.time_ns = message.fixed64()?;
        } else if raw == layout.exemplars << 3 | 2 && layout.exemplars != 0 {
            message.bytes()?;
            head.exemplars.left += 1;
        } else if raw == layout.flags << 3 {
            head.flags = message.uint32()?;
        } else if !field(tag, &mut message)? {
            message.skip(tag, known)?;
        }
        start = message.offset();
    }
    head.attributes = Attributes::of(attributes);
    Ok(head)
}

/// A point of a gauge or sum.
#[derive(Clone, Debug, Default)]
pub struct NumberPoint<'a> {
    /// What all points have.
    pub head: PointHead<'a>,
    /// The value.
    pub value: Number,
}

impl<'a> NumberPoint<'a> {
    /// Decodes a point.
    ///
    /// # Errors
    /// Bytes that are none.
    #[inline]
    pub fn decode(message: Reader<'a>) -> Result<Self, WireError> {
        let mut value = Number::None;
        let layout = Layout { attributes: 7, exemplars: 5, flags: 8 };
        let head = walk(message, &layout, 0b1_1111_1100, |tag, message| {
            value = match tag.raw() {
                0x21 => Number::Double(message.double()?),
                0x31 => Number::Int(message.fixed64()? as i64),
                _ => return Ok(false),
            };
            Ok(true)
        })?;
        Ok(Self { head, value })
    }
}

/// A point of a histogram with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramPoint {
    /// All observations.
    pub count: u64,
    /// Their sum, where it is known.
    pub sum: Option<f64>,
    /// Counts of the buckets, not cumulative.
    pub counts: Vec<u64>,
    /// Upper bounds of all but the last bucket.
    pub bounds: Vec<f64>,
}

impl HistogramPoint {
    /// Decodes a point, replacing what was here.
    ///
    /// # Errors
    /// Bytes that are none; more than [`BUCKETS_MAX`] buckets.
    pub fn decode<'a>(&mut self, message: Reader<'a>) -> Result<PointHead<'a>, WireError> {
        (self.count, self.sum) = (0, None);
        self.counts.clear();
        self.bounds.clear();
        let layout = Layout { attributes: 9, exemplars: 8, flags: 10 };
        walk(message, &layout, 0b1_1111_1111_1100, |tag, message| {
            match tag.raw() {
                0x21 => self.count = message.fixed64()?,
                0x29 => self.sum = Some(message.double()?),
                0x31 => push_bucket(&mut self.counts, message.fixed64()?)?,
                0x32 => {
                    let mut packed = message.message()?;
                    while !packed.is_empty() {
                        push_bucket(&mut self.counts, packed.fixed64().map_err(protobuf::Error::in_packed)?)?;
                    }
                }
                0x39 => push_bucket(&mut self.bounds, message.double()?)?,
                0x3a => {
                    let mut packed = message.message()?;
                    while !packed.is_empty() {
                        push_bucket(&mut self.bounds, packed.double().map_err(protobuf::Error::in_packed)?)?;
                    }
                }
                // The least and greatest observation have no place in Prometheus.
                0x59 | 0x61 => drop(message.fixed64()?),
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}

fn push_bucket<T>(list: &mut Vec<T>, value: T) -> Result<(), WireError> {
    if list.len() >= BUCKETS_MAX {
        return Err(WireError::TooMany { what: "buckets of a data point", limit: BUCKETS_MAX });
    }
    list.push(value);
    Ok(())
}

/// The buckets of one sign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialBuckets {
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts of this bucket and those that follow.
    pub counts: Vec<u64>,
}

impl ExponentialBuckets {
    fn clear(&mut self) {
        self.offset = 0;
        self.counts.clear();
    }

    fn decode(&mut self, mut message: Reader<'_>) -> Result<(), WireError> {
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x08 => self.offset = message.sint32()?,
                0x10 => push_bucket(&mut self.counts, message.varint()?)?,
                0x12 => {
                    let mut packed = message.message()?;
                    while !packed.is_empty() {
                        push_bucket(&mut self.counts, packed.varint().map_err(protobuf::Error::in_packed)?)?;
                    }
                }
                _ => message.skip(tag, 0b110)?,
            }
        }
        Ok(())
    }
}

/// A point of an exponential histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialPoint {
    /// All observations.
    pub count: u64,
    /// Their sum, where it is known.
    pub sum: Option<f64>,
    /// Bucket `i` covers (2^(i·2^−scale), 2^((i+1)·2^−scale)].
    pub scale: i32,
    /// Observations near 0.
    pub zero_count: u64,
    /// How near.
    pub zero_threshold: f64,
    /// Positive observations.
    pub positive: ExponentialBuckets,
    /// Negative observations.
    pub negative: ExponentialBuckets,
}

impl ExponentialPoint {
    /// Decodes a point, replacing what was here.
    ///
    /// # Errors
    /// Bytes that are none; more than [`BUCKETS_MAX`] buckets.
    pub fn decode<'a>(&mut self, message: Reader<'a>) -> Result<PointHead<'a>, WireError> {
        (self.count, self.sum, self.scale) = (0, None, 0);
        (self.zero_count, self.zero_threshold) = (0, 0.0);
        self.positive.clear();
        self.negative.clear();
        let layout = Layout { attributes: 1, exemplars: 11, flags: 10 };
        walk(message, &layout, 0b111_1111_1111_1110, |tag, message| {
            match tag.raw() {
                0x21 => self.count = message.fixed64()?,
                0x29 => self.sum = Some(message.double()?),
                0x30 => self.scale = message.sint32()?,
                0x39 => self.zero_count = message.fixed64()?,
                0x42 => self.positive.decode(message.message()?)?,
                0x4a => self.negative.decode(message.message()?)?,
                0x61 | 0x69 => drop(message.fixed64()?),
                0x71 => self.zero_threshold = message.double()?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}

/// A point of a summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryPoint {
    /// All observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Quantiles, 0 to 1, and their values.
    pub quantiles: Vec<(f64, f64)>,
}

impl SummaryPoint {
    /// Decodes a point, replacing what was here.
    ///
    /// # Errors
    /// Bytes that are none; more than [`BUCKETS_MAX`] quantiles.
    pub fn decode<'a>(&mut self, message: Reader<'a>) -> Result<PointHead<'a>, WireError> {
        (self.count, self.sum) = (0, 0.0);
        self.quantiles.clear();
        let layout = Layout { attributes: 7, exemplars: 0, flags: 8 };
        walk(message, &layout, 0b1_1111_1100, |tag, message| {
            match tag.raw() {
                0x21 => self.count = message.fixed64()?,
                0x29 => self.sum = message.double()?,
                0x32 => {
                    let mut value = message.message()?;
                    let mut pair = (0.0, 0.0);
                    while let Some(tag) = value.tag()? {
                        match tag.raw() {
                            0x09 => pair.0 = value.double()?,
                            0x11 => pair.1 = value.double()?,
                            _ => value.skip(tag, 0b110)?,
                        }
                    }
                    push_bucket(&mut self.quantiles, pair)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}

/// The time of a data point of any kind, nanoseconds, and nothing else of it.
///
/// # Errors
/// Bytes that are no message.
pub(crate) fn time_of(mut message: Reader<'_>) -> Result<u64, WireError> {
    let mut time_ns = 0;
    while let Some(tag) = message.tag()? {
        match tag.raw() {
            0x19 => time_ns = message.fixed64()?,
            _ if tag.field() == 3 => return Err(message.fault(Fault::WrongWireType).into()),
            _ => message.skip(tag, 0)?,
        }
    }
    Ok(time_ns)
}
