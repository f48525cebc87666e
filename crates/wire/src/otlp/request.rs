//! The levels of a request above its data points.

use crate::error::WireError;
use crate::labels::LabelFields;
use crate::otlp::attributes::Attributes;
use crate::otlp::points::time_of;
use crate::series::next_message;
use protobuf::Reader;

/// Field 1000, which old senders use for scopes.
const DEPRECATED_SCOPES: u32 = 1000 << 3 | 2;

/// Walks the resources of a decompressed body. An error on any level means that the body is no such message: whatever
/// came of it before must be discarded.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a>(Reader<'a>);

impl<'a> Request<'a> {
    /// Begins a walk.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self(Reader::new(body, 0))
    }

    /// The next resource.
    ///
    /// # Errors
    /// Bytes that are no request.
    pub fn next_resource(&mut self) -> Result<Option<ResourceMetrics<'a>>, WireError> {
        match next_known(&mut self.0, 0b10)? {
            Some(message) => ResourceMetrics::decode(message).map(Some),
            None => Ok(None),
        }
    }
}

/// The next field 1, a message. Bit `n` of `known` says that there is a field `n`.
fn next_known<'a>(reader: &mut Reader<'a>, known: u64) -> Result<Option<Reader<'a>>, WireError> {
    while let Some(tag) = reader.tag()? {
        if tag.raw() == 0x0a {
            return Ok(Some(reader.message()?));
        }
        reader.skip(tag, known)?;
    }
    Ok(None)
}

/// A resource and its metrics.
#[derive(Clone, Debug)]
pub struct ResourceMetrics<'a> {
    /// The resource's attributes.
    pub attributes: Attributes<'a>,
    rest: Reader<'a>,
    scope_tag: u32,
}

impl<'a> ResourceMetrics<'a> {
    fn decode(message: Reader<'a>) -> Result<Self, WireError> {
        let mut rest = message;
        let mut attributes = Attributes::default();
        let mut scope_tag = DEPRECATED_SCOPES;
        while let Some(tag) = rest.tag()? {
            match tag.raw() {
                0x0a => attributes.merge(attributes_of(rest.message()?, 1)?),
                0x12 => {
                    rest.bytes()?;
                    scope_tag = 0x12;
                }
                0x1a => drop(rest.bytes()?),
                _ => rest.skip(tag, 0b1110)?,
            }
        }
        Ok(Self { attributes, rest: message, scope_tag })
    }

    /// The next scope.
    ///
    /// # Errors
    /// Bytes that are no request.
    pub fn next_scope(&mut self) -> Result<Option<ScopeMetrics<'a>>, WireError> {
        match next_message(&mut self.rest, self.scope_tag)? {
            Some(message) => ScopeMetrics::decode(message).map(Some),
            None => Ok(None),
        }
    }
}

/// The fields `number` of a message, which are attributes.
fn attributes_of(mut message: Reader<'_>, number: u32) -> Result<Attributes<'_>, WireError> {
    let mut fields = LabelFields::new(&message);
    let mut start = message.offset();
    while let Some(tag) = message.tag()? {
        if tag.raw() == number << 3 | 2 {
            message.bytes()?;
            fields.add(start, message.offset());
        } else {
            // What else a resource holds is of no use here.
            message.skip(tag, 1 << number)?;
        }
        start = message.offset();
    }
    Ok(Attributes::of(fields))
}

/// An instrumentation scope and its metrics. Texts may be no UTF-8.
#[derive(Clone, Debug)]
pub struct ScopeMetrics<'a> {
    /// Its name, empty where there is none.
    pub name: &'a [u8],
    /// Its version.
    pub version: &'a [u8],
    /// The URL of the schema of its metrics.
    pub schema_url: &'a [u8],
    /// Its attributes.
    pub attributes: Attributes<'a>,
    rest: Reader<'a>,
}

impl<'a> ScopeMetrics<'a> {
    fn decode(message: Reader<'a>) -> Result<Self, WireError> {
        let mut rest = message;
        let mut out = Self {
            name: b"",
            version: b"",
            schema_url: b"",
            attributes: Attributes::default(),
            rest: message,
        };
        while let Some(tag) = rest.tag()? {
            match tag.raw() {
                0x0a => out.scope(rest.message()?)?,
                0x12 => drop(rest.bytes()?),
                0x1a => out.schema_url = rest.bytes()?,
                _ => rest.skip(tag, 0b1110)?,
            }
        }
        Ok(out)
    }

    fn scope(&mut self, message: Reader<'a>) -> Result<(), WireError> {
        self.attributes.merge(attributes_of(message, 3)?);
        let mut rest = message;
        while let Some(tag) = rest.tag()? {
            match tag.raw() {
                0x0a => self.name = rest.bytes()?,
                0x12 => self.version = rest.bytes()?,
                0x1a => drop(rest.bytes()?),
                0x20 => drop(rest.varint()?),
                _ => rest.skip(tag, 0b1_1110)?,
            }
        }
        Ok(())
    }

    /// The next metric.
    ///
    /// # Errors
    /// Bytes that are no request.
    pub fn next_metric(&mut self) -> Result<Option<Metric<'a>>, WireError> {
        match next_message(&mut self.rest, 0x12)? {
            Some(message) => Metric::decode(message).map(Some),
            None => Ok(None),
        }
    }
}

/// A metric and its data points. Texts may be no UTF-8.
#[derive(Clone, Debug)]
pub struct Metric<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What it means.
    pub description: &'a [u8],
    /// Its unit.
    pub unit: &'a [u8],
    /// Its kind.
    pub data: MetricData,
    /// Its data points.
    pub points: Points<'a>,
}

/// What kind of data a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricData {
    /// None.
    None,
    /// Values that go up and down.
    Gauge,
    /// Sums.
    Sum {
        /// What a value counts from.
        temporality: Temporality,
        /// Whether it only rises.
        is_monotonic: bool,
    },
    /// Histograms with explicit bounds.
    Histogram(Temporality),
    /// Exponential histograms.
    Exponential(Temporality),
    /// Summaries.
    Summary,
}

impl MetricData {
    /// What values count from; `None` for kinds that do not count.
    #[must_use]
    pub fn temporality(self) -> Option<Temporality> {
        match self {
            Self::None | Self::Gauge | Self::Summary => None,
            Self::Sum { temporality, .. } | Self::Histogram(temporality) | Self::Exponential(temporality) => {
                Some(temporality)
            }
        }
    }
}

/// What a value counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// Nothing that is known.
    Unspecified,
    /// The value before.
    Delta,
    /// The start timestamp.
    Cumulative,
}

impl<'a> Metric<'a> {
    fn decode(mut message: Reader<'a>) -> Result<Self, WireError> {
        let mut out = Self {
            name: b"",
            description: b"",
            unit: b"",
            data: MetricData::None,
            points: Points { rest: Reader::new(&[], 0), left: 0 },
        };
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x0a => out.name = message.bytes()?,
                0x12 => out.description = message.bytes()?,
                0x1a => out.unit = message.bytes()?,
                0x2a | 0x3a | 0x4a | 0x52 | 0x5a => out.data(tag.field(), message.message()?)?,
                0x62 => drop(message.bytes()?),
                _ => message.skip(tag, 0b1_1110_1010_1110)?,
            }
        }
        Ok(out)
    }

    fn data(&mut self, field: u32, message: Reader<'a>) -> Result<(), WireError> {
        let mut rest = message;
        let (mut temporality, mut is_monotonic, mut left) = (Temporality::Unspecified, false, 0);
        let counts = matches!(field, 7 | 9 | 10);
        while let Some(tag) = rest.tag()? {
            match tag.raw() {
                0x0a => {
                    rest.bytes()?;
                    left += 1;
                }
                0x10 if counts => {
                    temporality = match rest.uint32()? {
                        1 => Temporality::Delta,
                        2 => Temporality::Cumulative,
                        _ => Temporality::Unspecified,
                    };
                }
                0x18 if field == 7 => is_monotonic = rest.varint()? != 0,
                _ => rest.skip(tag, if field == 7 { 0b1110 } else { 0b10 | u64::from(counts) << 2 })?,
            }
        }
        self.data = match field {
            5 => MetricData::Gauge,
            7 => MetricData::Sum { temporality, is_monotonic },
            9 => MetricData::Histogram(temporality),
            10 => MetricData::Exponential(temporality),
            _ => MetricData::Summary,
        };
        self.points = Points { rest: message, left };
        Ok(())
    }
}

/// The data points of a metric, to be decoded by their kind.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    rest: Reader<'a>,
    left: usize,
}

impl<'a> Points<'a> {
    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The next one.
    ///
    /// # Errors
    /// Bytes that are no request.
    #[inline]
    pub fn next_point(&mut self) -> Result<Option<Reader<'a>>, WireError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        next_message(&mut self.rest, 0x0a)
    }

    /// The time of the next one, nanoseconds.
    ///
    /// # Errors
    /// Bytes that are no request.
    pub fn next_time(&mut self) -> Result<Option<u64>, WireError> {
        self.next_point()?.map(time_of).transpose()
    }
}
