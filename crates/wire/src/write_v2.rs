//! Remote write 2.0: `io.prometheus.write.v2.Request`.

use std::borrow::Cow;
use std::ops::Range;

use model::MetricType;
use model::{FloatHistogram, Histogram, TimestampMs};

use crate::error::WireError;
use crate::histogram::{put_float_histogram, put_histogram};
use crate::metadata::{metric_type, metric_type_number};
use crate::samples::{SampleColumns, put_sample};
use crate::series::{Histograms, next_message};
use crate::symbols::{SymbolSpans, SymbolTable, Symbols};
use protobuf::Reader;
use protobuf::writer::{put_double, put_int, put_message, put_uint, put_varints};

const SYMBOL: u32 = 0x22;
const SERIES: u32 = 0x2a;
const REQUEST_KNOWN: u64 = 0b11_0000;

const LABEL_REFS: u32 = 0x0a;
const LABEL_REF: u32 = 0x08;
const SAMPLE: u32 = 0x12;
const HISTOGRAM: u32 = 0x1a;
const EXEMPLAR: u32 = 0x22;
const METADATA: u32 = 0x2a;
const SERIES_KNOWN: u64 = 0b11_1110;

/// Walks the series of a decompressed body. An error means that the body is no such message:
/// whatever came of it before must be discarded.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    symbols: Symbols<'a>,
    rest: Reader<'a>,
}

impl<'a> Request<'a> {
    /// Finds the symbols, into `spans`, and begins a walk.
    ///
    /// # Errors
    /// Bytes that are no request; a body of 4 GiB or more.
    pub fn new(body: &'a [u8], spans: &'a mut SymbolSpans) -> Result<Self, WireError> {
        spans.find(body)?;
        Ok(Self { symbols: Symbols::new(body, spans), rest: Reader::new(body, 0) })
    }

    /// The symbols, against which references are resolved.
    #[must_use]
    pub fn symbols(&self) -> Symbols<'a> {
        self.symbols
    }

    /// The next series. `refs` is cleared and takes the references of its labels, to be resolved by
    /// [`Symbols::resolve`]; its samples are appended to `columns`, which the caller clears when it
    /// likes.
    ///
    /// # Errors
    /// Bytes that are no request.
    #[inline]
    pub fn next_series(
        &mut self,
        refs: &mut Vec<u32>,
        columns: &mut SampleColumns,
    ) -> Result<Option<TimeSeries<'a>>, WireError> {
        while let Some(tag) = self.rest.tag()? {
            if tag.raw() == SERIES {
                return TimeSeries::decode(self.rest.message()?, refs, columns).map(Some);
            }
            if tag.raw() == SYMBOL {
                self.rest.bytes()?;
            } else {
                self.rest.skip(tag, REQUEST_KNOWN)?;
            }
        }
        Ok(None)
    }
}

/// A series as it stands in a body. Samples have been decoded; histograms and exemplars have only
/// been found and are decoded, and refused, when asked for.
#[derive(Clone, Debug)]
pub struct TimeSeries<'a> {
    /// Where this series' samples lie in the columns.
    pub samples: Range<usize>,
    /// Number of histograms.
    pub histogram_count: usize,
    /// Number of exemplars.
    pub exemplar_count: usize,
    /// Its metadata.
    pub metadata: MetadataRefs,
    message: Reader<'a>,
}

impl<'a> TimeSeries<'a> {
    #[inline]
    fn decode(
        message: Reader<'a>,
        refs: &mut Vec<u32>,
        columns: &mut SampleColumns,
    ) -> Result<Self, WireError> {
        refs.clear();
        let first = columns.len();
        let mut rest = message;
        let (mut histogram_count, mut exemplar_count) = (0, 0);
        let mut metadata = MetadataRefs::default();
        while let Some(tag) = rest.tag()? {
            match tag.raw() {
                LABEL_REFS => read_refs(rest.message()?, refs)?,
                LABEL_REF => refs.push(rest.uint32()?),
                SAMPLE => columns.decode(rest.message()?, true)?,
                HISTOGRAM => {
                    rest.bytes()?;
                    histogram_count += 1;
                }
                EXEMPLAR => {
                    rest.bytes()?;
                    exemplar_count += 1;
                }
                METADATA => metadata.decode(rest.message()?)?,
                _ => rest.skip(tag, SERIES_KNOWN)?,
            }
        }
        Ok(Self { samples: first..columns.len(), histogram_count, exemplar_count, metadata, message })
    }

    /// The histograms, in the order of the body.
    #[must_use]
    pub fn histograms(&self) -> Histograms<'a> {
        Histograms::new(self.message, HISTOGRAM, self.histogram_count, true)
    }

    /// The exemplars, in the order of the body.
    #[must_use]
    pub fn exemplars(&self) -> Exemplars<'a> {
        Exemplars { message: self.message, left: self.exemplar_count }
    }
}

#[inline]
fn read_refs(mut packed: Reader<'_>, refs: &mut Vec<u32>) -> Result<(), WireError> {
    while !packed.is_empty() {
        refs.push(packed.uint32().map_err(protobuf::Error::in_packed)?);
    }
    Ok(())
}

/// Value and time of an exemplar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExemplarValue {
    /// The value.
    pub value: f64,
    /// Time, milliseconds; 0 is unknown.
    pub t: TimestampMs,
}

/// The exemplars of a series, decoded one by one.
#[derive(Clone, Debug)]
pub struct Exemplars<'a> {
    message: Reader<'a>,
    left: usize,
}

impl Exemplars<'_> {
    /// Decodes the next one; `refs` is cleared and takes the references of its labels.
    ///
    /// # Errors
    /// Bytes that are no exemplar.
    pub fn next_into(&mut self, refs: &mut Vec<u32>) -> Result<Option<ExemplarValue>, WireError> {
        refs.clear();
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let Some(mut message) = next_message(&mut self.message, EXEMPLAR)? else {
            return Ok(None);
        };
        let mut out = ExemplarValue::default();
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                LABEL_REFS => read_refs(message.message()?, refs)?,
                LABEL_REF => refs.push(message.uint32()?),
                0x11 => out.value = message.double()?,
                0x18 => out.t = message.int64()?,
                _ => message.skip(tag, 0b1110)?,
            }
        }
        Ok(Some(out))
    }
}

/// A series' metadata before its references are resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataRefs {
    /// The type; a number that is none is [`MetricType::Unknown`].
    pub kind: MetricType,
    /// The symbol of the help text.
    pub help: u32,
    /// The symbol of the unit.
    pub unit: u32,
}

impl MetadataRefs {
    fn decode(&mut self, mut message: Reader<'_>) -> Result<(), WireError> {
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x08 => self.kind = metric_type(message.uint32()?),
                0x18 => self.help = message.uint32()?,
                0x20 => self.unit = message.uint32()?,
                _ => message.skip(tag, 0b1_1010)?,
            }
        }
        Ok(())
    }

    /// The metadata; what is no UTF-8 is replaced.
    ///
    /// # Errors
    /// A reference to no symbol, which fails the series, not the request.
    pub fn resolve<'a>(&self, symbols: &Symbols<'a>) -> Result<Metadata<'a>, WireError> {
        let get = |field, reference| match symbols.get(reference) {
            Some(text) => Ok(String::from_utf8_lossy(text)),
            None => Err(WireError::MetadataRefOutside { field, reference, size: symbols.len() }),
        };
        Ok(Metadata { kind: self.kind, unit: get("unit_ref", self.unit)?, help: get("help_ref", self.help)? })
    }
}

/// A series' metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// The type.
    pub kind: MetricType,
    /// The help text; may be empty.
    pub help: Cow<'a, str>,
    /// The unit; may be empty.
    pub unit: Cow<'a, str>,
}

/// Writes requests. Symbols precede the series that use them, so both are gathered first.
#[derive(Clone, Debug, Default)]
pub struct RequestWriter {
    symbols: SymbolTable,
    series: Vec<u8>,
    refs: Vec<u32>,
}

impl RequestWriter {
    /// Adds a series. `body` adds samples, then histograms, then exemplars: this order makes the
    /// bytes those of Prometheus. Labels are to be sorted by name.
    pub fn put_series<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        labels: impl IntoIterator<Item = (N, V)>,
        metadata: &Metadata<'_>,
        body: impl FnOnce(&mut SeriesWriter<'_>),
    ) {
        let Self { symbols, series, refs } = self;
        put_message(series, 5, |out| {
            put_refs(out, symbols, refs, labels);
            body(&mut SeriesWriter { out, symbols, refs });
            put_message(out, 5, |out| {
                put_uint(out, 1, metric_type_number(metadata.kind));
                put_uint(out, 3, u64::from(symbols.symbolize(metadata.help.as_bytes())));
                put_uint(out, 4, u64::from(symbols.symbolize(metadata.unit.as_bytes())));
            });
        });
    }

    /// About the length of the request so far, bytes: symbols count without their frame.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.series.len() + self.symbols.text_bytes()
    }

    /// Appends the request to `out` and begins the next.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.symbols.put(out);
        out.extend_from_slice(&self.series);
        self.symbols.clear();
        self.series.clear();
    }
}

fn put_refs<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    out: &mut Vec<u8>,
    symbols: &mut SymbolTable,
    refs: &mut Vec<u32>,
    labels: impl IntoIterator<Item = (N, V)>,
) {
    refs.clear();
    for (name, value) in labels {
        refs.push(symbols.symbolize(name.as_ref()));
        refs.push(symbols.symbolize(value.as_ref()));
    }
    put_varints(out, 1, refs.iter().map(|r| u64::from(*r)));
}

/// Adds to one series of a request.
#[derive(Debug)]
pub struct SeriesWriter<'w> {
    out: &'w mut Vec<u8>,
    symbols: &'w mut SymbolTable,
    refs: &'w mut Vec<u32>,
}

impl SeriesWriter<'_> {
    /// Adds a float sample; `st` is 0 if unknown.
    #[inline]
    pub fn sample(&mut self, t: TimestampMs, v: f64, st: TimestampMs) {
        put_sample(self.out, t, v, st);
    }

    /// Adds an integer histogram; `st` is 0 if unknown.
    pub fn histogram(&mut self, t: TimestampMs, st: TimestampMs, h: &Histogram) {
        put_histogram(self.out, 3, t, st, h);
    }

    /// Adds a float histogram; `st` is 0 if unknown.
    pub fn float_histogram(&mut self, t: TimestampMs, st: TimestampMs, h: &FloatHistogram) {
        put_float_histogram(self.out, 3, t, st, h);
    }

    /// Adds an exemplar; `t` is 0 if unknown.
    pub fn exemplar<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        labels: impl IntoIterator<Item = (N, V)>,
        value: f64,
        t: TimestampMs,
    ) {
        let Self { out, symbols, refs } = self;
        put_message(out, 4, |out| {
            put_refs(out, symbols, refs, labels);
            put_double(out, 2, value);
            put_int(out, 3, t);
        });
    }
}
