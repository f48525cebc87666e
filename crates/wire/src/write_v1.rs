//! Remote write 1.0: `prometheus.WriteRequest`.

use model::{FloatHistogram, Histogram, MetricType, TimestampMs};

use crate::error::WireError;
use crate::histogram::{put_float_histogram, put_histogram};
use crate::labels::put_labels;
use crate::metadata::{metric_type, metric_type_number};
use crate::samples::{SampleColumns, put_sample};
use crate::series::{TimeSeries, next_message};
use protobuf::Reader;
use protobuf::writer::{put_double, put_int, put_message, put_string, put_uint};

const SERIES: u32 = 0x0a;
const METADATA: u32 = 0x1a;
const KNOWN: u64 = 0b1010;

/// Walks the series of a decompressed body. An error means that the body is no such message:
/// whatever came of it before must be discarded, as Prometheus stores nothing of such a request.
#[derive(Clone, Debug)]
pub struct WriteRequest<'a> {
    body: Reader<'a>,
    rest: Reader<'a>,
}

impl<'a> WriteRequest<'a> {
    /// Begins a walk.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        let body = Reader::new(body, 0);
        Self { body, rest: body }
    }

    /// The next series; its samples are appended to `columns`, which the caller clears when it likes.
    ///
    /// # Errors
    /// Bytes that are no request.
    #[inline]
    pub fn next_series(&mut self, columns: &mut SampleColumns) -> Result<Option<TimeSeries<'a>>, WireError> {
        while let Some(tag) = self.rest.tag()? {
            if tag.raw() == SERIES {
                return TimeSeries::decode(self.rest.message()?, columns).map(Some);
            }
            if tag.raw() == METADATA {
                self.rest.bytes()?;
            } else {
                self.rest.skip(tag, KNOWN)?;
            }
        }
        Ok(None)
    }

    /// The metadata, in the order of the body, wherever the walk over the series stands; an
    /// error is the last item.
    pub fn metadata(&self) -> impl Iterator<Item = Result<Metadata<'a>, WireError>> + use<'a> {
        let mut body = self.body;
        std::iter::from_fn(move || {
            let message = next_message(&mut body, METADATA).transpose()?;
            let metadata = message.and_then(Metadata::decode);
            if metadata.is_err() {
                body = Reader::new(&[], body.offset());
            }
            Some(metadata)
        })
    }
}

/// Metadata of a metric family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// The type; a number that is none is [`MetricType::Unknown`].
    pub kind: MetricType,
    /// Name of the metric family.
    pub family: &'a str,
    /// The help text; may be empty.
    pub help: &'a str,
    /// The unit; may be empty.
    pub unit: &'a str,
}

impl<'a> Metadata<'a> {
    fn decode(mut message: Reader<'a>) -> Result<Self, WireError> {
        let mut out = Self::default();
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x08 => out.kind = metric_type(message.uint32()?),
                0x12 => out.family = message.string()?,
                0x22 => out.help = message.string()?,
                0x2a => out.unit = message.string()?,
                _ => message.skip(tag, 0b11_0110)?,
            }
        }
        Ok(out)
    }
}

/// Appends a series to a request. `body` adds samples, then exemplars, then histograms: this order
/// makes the bytes those of Prometheus. Labels are to be sorted by name.
pub fn put_series<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    out: &mut Vec<u8>,
    labels: impl IntoIterator<Item = (N, V)>,
    body: impl FnOnce(&mut SeriesWriter<'_>),
) {
    put_message(out, 1, |out| {
        put_labels(out, labels);
        body(&mut SeriesWriter { out });
    });
}

/// Appends metadata to a request; it follows the series.
pub fn put_metadata(out: &mut Vec<u8>, metadata: &Metadata<'_>) {
    put_message(out, 3, |out| {
        put_uint(out, 1, metric_type_number(metadata.kind));
        put_string(out, 2, metadata.family);
        put_string(out, 4, metadata.help);
        put_string(out, 5, metadata.unit);
    });
}

/// Adds to one series of a request or of a remote-read answer.
#[derive(Debug)]
pub struct SeriesWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl SeriesWriter<'_> {
    /// Adds a float sample.
    #[inline]
    pub fn sample(&mut self, t: TimestampMs, v: f64) {
        put_sample(self.out, t, v, 0);
    }

    /// Adds an exemplar; `t` is 0 if unknown.
    pub fn exemplar<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        labels: impl IntoIterator<Item = (N, V)>,
        value: f64,
        t: TimestampMs,
    ) {
        put_message(self.out, 3, |out| {
            put_labels(out, labels);
            put_double(out, 2, value);
            put_int(out, 3, t);
        });
    }

    /// Adds an integer histogram.
    pub fn histogram(&mut self, t: TimestampMs, h: &Histogram) {
        put_histogram(self.out, 4, t, 0, h);
    }

    /// Adds a float histogram.
    pub fn float_histogram(&mut self, t: TimestampMs, h: &FloatHistogram) {
        put_float_histogram(self.out, 4, t, 0, h);
    }
}
