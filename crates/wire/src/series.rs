//! `prometheus.TimeSeries`: a series of a remote-write 1.0 request or of a remote-read answer.

use std::borrow::Cow;
use std::ops::Range;

use model::TimestampMs;

use crate::error::WireError;
use crate::histogram::HistogramSample;
use crate::labels::{EncodedLabels, LabelFields};
use crate::samples::SampleColumns;
use protobuf::Reader;

const LABEL: u32 = 0x0a;
const SAMPLE: u32 = 0x12;
const EXEMPLAR: u32 = 0x1a;
const HISTOGRAM: u32 = 0x22;
const KNOWN: u64 = 0b1_1110;

/// A series as it stands in a body. Samples have been decoded; labels, histograms and exemplars
/// have only been found and are decoded, and refused, when asked for.
#[derive(Clone, Debug)]
pub struct TimeSeries<'a> {
    labels: Cow<'a, [u8]>,
    labels_offset: usize,
    /// Where this series' samples lie in the columns.
    pub samples: Range<usize>,
    /// Number of histograms.
    pub histogram_count: usize,
    /// Number of exemplars.
    pub exemplar_count: usize,
    message: Reader<'a>,
}

impl<'a> TimeSeries<'a> {
    /// Decodes a `TimeSeries` message; samples are appended to `columns`.
    #[inline]
    pub(crate) fn decode(mut message: Reader<'a>, columns: &mut SampleColumns) -> Result<Self, WireError> {
        let whole = message;
        let first = columns.len();
        let mut labels = LabelFields::new(&message);
        let (mut histogram_count, mut exemplar_count) = (0, 0);
        let run = label_run(message.rest());
        if run > 0 {
            labels.add(message.offset(), message.offset() + run);
            message.advance(run);
        }
        let mut start = message.offset();
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                LABEL => {
                    message.bytes()?;
                    labels.add(start, message.offset());
                }
                SAMPLE => columns.decode(message.message()?, false)?,
                EXEMPLAR => {
                    message.bytes()?;
                    exemplar_count += 1;
                }
                HISTOGRAM => {
                    message.bytes()?;
                    histogram_count += 1;
                }
                _ => message.skip(tag, KNOWN)?,
            }
            start = message.offset();
        }
        let (labels, labels_offset) = labels.finish();
        let samples = first..columns.len();
        Ok(Self { labels, labels_offset, samples, histogram_count, exemplar_count, message: whole })
    }

    /// The labels: a cache's key, and what decodes them.
    #[inline]
    #[must_use]
    pub fn labels(&self) -> EncodedLabels<'_> {
        EncodedLabels::new(&self.labels, self.labels_offset)
    }

    /// The histograms, in the order of the body.
    #[must_use]
    pub fn histograms(&self) -> Histograms<'a> {
        Histograms::new(self.message, HISTOGRAM, self.histogram_count, false)
    }

    /// The exemplars, in the order of the body.
    #[must_use]
    pub fn exemplars(&self) -> Exemplars<'a> {
        Exemplars { message: self.message, left: self.exemplar_count }
    }
}

/// Length of the labels of fewer than 128 bytes that a message begins with: nearly always all.
#[inline]
fn label_run(message: &[u8]) -> usize {
    let mut end = 0;
    while let Some([0x0a, length @ 0..0x80]) = message.get(end..).and_then(|rest| rest.first_chunk::<2>()) {
        let next = end + 2 + usize::from(*length);
        if next > message.len() {
            break;
        }
        end = next;
    }
    end
}

/// The histograms of a series, decoded one by one into a buffer.
#[derive(Clone, Debug)]
pub struct Histograms<'a> {
    message: Reader<'a>,
    tag: u32,
    left: usize,
    has_start: bool,
}

impl<'a> Histograms<'a> {
    pub(crate) fn new(message: Reader<'a>, tag: u32, left: usize, has_start: bool) -> Self {
        Self { message, tag, left, has_start }
    }

    /// Decodes the next one into `sample`; `false` if there is none.
    ///
    /// # Errors
    /// Bytes that are no histogram.
    pub fn next_into(&mut self, sample: &mut HistogramSample) -> Result<bool, WireError> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        match next_message(&mut self.message, self.tag)? {
            Some(message) => sample.decode(message, self.has_start).map(|()| true),
            None => Ok(false),
        }
    }
}

/// An exemplar of a series.
#[derive(Clone, Debug)]
pub struct Exemplar<'a> {
    labels: Cow<'a, [u8]>,
    labels_offset: usize,
    /// The value.
    pub value: f64,
    /// Time, milliseconds; 0 is unknown.
    pub t: TimestampMs,
}

impl<'a> Exemplar<'a> {
    fn decode(mut message: Reader<'a>) -> Result<Self, WireError> {
        let mut labels = LabelFields::new(&message);
        let (mut value, mut t) = (0.0, 0);
        let mut start = message.offset();
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                LABEL => {
                    message.bytes()?;
                    labels.add(start, message.offset());
                }
                0x11 => value = message.double()?,
                0x18 => t = message.int64()?,
                _ => message.skip(tag, 0b1110)?,
            }
            start = message.offset();
        }
        let (labels, labels_offset) = labels.finish();
        Ok(Self { labels, labels_offset, value, t })
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> EncodedLabels<'_> {
        EncodedLabels::new(&self.labels, self.labels_offset)
    }
}

/// The exemplars of a series; an error is the last item.
#[derive(Clone, Debug)]
pub struct Exemplars<'a> {
    message: Reader<'a>,
    left: usize,
}

impl<'a> Iterator for Exemplars<'a> {
    type Item = Result<Exemplar<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let message = next_message(&mut self.message, EXEMPLAR).transpose()?;
        let exemplar = message.and_then(Exemplar::decode);
        if exemplar.is_err() {
            self.left = 0;
        }
        Some(exemplar)
    }
}

/// Passes over fields up to one of the tag `wanted`, a message, whose window it gives.
pub(crate) fn next_message<'a>(
    reader: &mut Reader<'a>,
    wanted: u32,
) -> Result<Option<Reader<'a>>, WireError> {
    while let Some(tag) = reader.tag()? {
        if tag.raw() == wanted {
            return Ok(Some(reader.message()?));
        }
        reader.skip(tag, 0)?;
    }
    Ok(None)
}
