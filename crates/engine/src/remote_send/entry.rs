//! What waits to be sent, and the request bodies it becomes.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use model::{Labels, Metadata, TimestampMs};
use tsdb::tail::OwnedHistogram;
use wire::snappy::Compressor;
use wire::{WireError, write_v1, write_v2};

use super::tally::Place;

/// Which protocol a queue speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Remote write 1.0, `prometheus.WriteRequest`.
    #[default]
    V1,
    /// Remote write 2.0, `io.prometheus.write.v2.Request`.
    V2,
}

/// One sample, histogram or exemplar on its way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The series' reference in the log.
    pub(super) series: u64,
    /// Where it was read.
    pub(super) place: Place,
    pub(super) labels: Labels,
    pub(super) metadata: Option<Arc<Metadata>>,
    pub(super) t: TimestampMs,
    /// Start timestamp, 0 if unknown.
    pub(super) st: TimestampMs,
    pub(super) value: Value,
    /// Exemplars that go with it.
    #[allow(clippy::box_collection, reason = "most have none, and many entries wait")]
    pub(super) exemplars: Option<Box<Vec<Attached>>>,
}

/// An exemplar that goes with a sample of its series: by 2.0 none may come alone.
#[derive(Clone, Debug)]
pub(super) struct Attached {
    /// Where it was read.
    pub(super) place: Place,
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) t: TimestampMs,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Float(f64),
    Histogram(OwnedHistogram),
    /// Its own labels and value.
    Exemplar(Box<(Labels, f64)>),
}

/// What an entry counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sample,
    Histogram,
    Exemplar,
}

impl Value {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Float(_) => Kind::Sample,
            Self::Histogram(_) => Kind::Histogram,
            Self::Exemplar(_) => Kind::Exemplar,
        }
    }
}

impl Entry {
    pub(super) fn kind(&self) -> Kind {
        self.value.kind()
    }

    /// Those that go with it.
    pub(super) fn attached(&self) -> &[Attached] {
        self.exemplars.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// A number for each kind of entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Floats.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

impl Counts {
    pub(super) fn of(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Sample => &mut self.samples,
            Kind::Histogram => &mut self.histograms,
            Kind::Exemplar => &mut self.exemplars,
        }
    }

    /// Of all kinds together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.samples + self.histograms + self.exemplars
    }
}

/// A finished request.
#[derive(Clone, Debug, Default)]
pub struct RequestBody {
    /// The message as one block of snappy; empty where nothing is left to be sent.
    pub bytes: Vec<u8>,
    /// What is in it.
    pub counts: Counts,
    /// The lowest and the highest time in it, milliseconds.
    pub span_ms: (TimestampMs, TimestampMs),
}

/// Makes request bodies, with memory that is used again.
#[derive(Default)]
pub(super) struct BodyWriter {
    raw: Vec<u8>,
    v2: write_v2::RequestWriter,
    compressor: Compressor,
}

impl BodyWriter {
    /// The body of `entries` but for those before `from_ms`, which `too_old` counts.
    pub(super) fn write(
        &mut self,
        protocol: Protocol,
        entries: &[Entry],
        from_ms: TimestampMs,
        too_old: &mut Counts,
    ) -> Result<RequestBody, WireError> {
        let mut body =
            RequestBody { span_ms: (TimestampMs::MAX, TimestampMs::MIN), ..RequestBody::default() };
        self.raw.clear();
        for e in entries {
            if e.t < from_ms {
                *too_old.of(e.kind()) += 1;
                too_old.exemplars += e.attached().len() as u64;
                continue;
            }
            *body.counts.of(e.kind()) += 1;
            body.counts.exemplars += e.attached().len() as u64;
            body.span_ms = (body.span_ms.0.min(e.t), body.span_ms.1.max(e.t));
            match protocol {
                Protocol::V1 => put_v1(&mut self.raw, e),
                Protocol::V2 => put_v2(&mut self.v2, e),
            }
        }
        if body.counts.total() == 0 {
            return Ok(body);
        }
        if protocol == Protocol::V2 {
            self.v2.finish(&mut self.raw);
        }
        self.compressor.compress(&self.raw, &mut body.bytes)?;
        body.bytes.shrink_to_fit();
        // A single huge batch does not keep its memory for ever.
        self.raw.shrink_to(4 << 20);
        Ok(body)
    }
}

fn put_v1(out: &mut Vec<u8>, e: &Entry) {
    write_v1::put_series(out, e.labels.pairs(), |w| match &e.value {
        Value::Float(v) => w.sample(e.t, *v),
        Value::Histogram(OwnedHistogram::Integer(h)) => w.histogram(e.t, h),
        Value::Histogram(OwnedHistogram::Float(h)) => w.float_histogram(e.t, h),
        Value::Exemplar(x) => w.exemplar(x.0.pairs(), x.1, e.t),
    });
}

fn put_v2(out: &mut write_v2::RequestWriter, e: &Entry) {
    let metadata = e.metadata.as_deref().map_or_else(write_v2::Metadata::default, |m| write_v2::Metadata {
        kind: m.kind,
        help: Cow::Borrowed(&m.help),
        unit: Cow::Borrowed(&m.unit),
    });
    out.put_series(e.labels.pairs(), &metadata, |w| {
        match &e.value {
            Value::Float(v) => w.sample(e.t, *v, e.st),
            Value::Histogram(OwnedHistogram::Integer(h)) => w.histogram(e.t, e.st, h),
            Value::Histogram(OwnedHistogram::Float(h)) => w.float_histogram(e.t, e.st, h),
            Value::Exemplar(x) => w.exemplar(x.0.pairs(), x.1, e.t),
        }
        for x in e.attached() {
            w.exemplar(x.labels.pairs(), x.value, x.t);
        }
    });
}

/// A description is cut behind so many bytes.
const DESCRIPTION_BYTES_MAX: usize = 64 << 10;

/// What a request has, one sample after another: series, value, time, start time where there is one.
pub(super) fn describe(entries: &[Entry]) -> String {
    let mut text = String::new();
    for (i, e) in entries.iter().enumerate() {
        if text.len() >= DESCRIPTION_BYTES_MAX {
            let _ = write!(text, " and {} more", entries.len() - i);
            break;
        }
        let _ = write!(text, "{}{} ", if i > 0 { ", " } else { "" }, e.labels);
        let _ = match &e.value {
            Value::Float(v) => write!(text, "{v}"),
            Value::Histogram(OwnedHistogram::Integer(h)) => write!(text, "{h}"),
            Value::Histogram(OwnedHistogram::Float(h)) => write!(text, "{h}"),
            Value::Exemplar(x) => write!(text, "exemplar {} {}", x.0, x.1),
        };
        let _ = write!(text, " @{}", e.t);
        if e.st != 0 {
            let _ = write!(text, " since {}", e.st);
        }
        for x in e.attached() {
            let _ = write!(text, " exemplar {} {} @{}", x.labels, x.value, x.t);
        }
    }
    text
}

/// A family as its targets describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyMetadata {
    /// Name of the family.
    pub family: String,
    /// What it means and is measured in.
    pub metadata: Metadata,
}

/// The body of a request of remote write 1.0 that has nothing but metadata.
///
/// # Errors
/// More than a request can hold.
pub(super) fn metadata_body(families: &[FamilyMetadata]) -> Result<Vec<u8>, WireError> {
    let (mut raw, mut out) = (Vec::new(), Vec::new());
    for FamilyMetadata { family, metadata } in families {
        let Metadata { kind, unit, help } = metadata;
        write_v1::put_metadata(&mut raw, &write_v1::Metadata { kind: *kind, family, help, unit });
    }
    Compressor::default().compress(&raw, &mut out)?;
    Ok(out)
}
