//! What a parser yields.

use std::borrow::Cow;
use std::fmt;

use model::MetricType;

use crate::series;

/// A sample with a float as its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The series as it stands in the body, from the start of the line to the name's end or the
    /// closing brace: `foo{a="b"}`. Equal bytes under the same type and options are the same series.
    pub series: &'a [u8],
    /// The value; NaN always has the bits of [`model::sample::NORMAL_NAN_BITS`].
    pub value: f64,
    /// The time given, if any.
    pub timestamp_ms: Option<i64>,
}

/// One entry of a body. Names are as they stand there, without quotes but with escapes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// `# TYPE`
    Type {
        /// The metric family.
        metric: &'a [u8],
        /// Its type.
        kind: MetricType,
    },
    /// `# HELP`
    Help {
        /// The metric family.
        metric: &'a [u8],
        /// The text, unescaped.
        text: Cow<'a, str>,
    },
    /// `# UNIT`
    Unit {
        /// The metric family.
        metric: &'a [u8],
        /// The unit; may be empty.
        unit: &'a [u8],
    },
    /// Any other comment, from its `#` on.
    Comment(&'a [u8]),
    /// A sample; its labels, exemplar and start time are asked of the parser.
    Sample(Sample<'a>),
    /// A sample that is a native histogram, which is asked of the parser too.
    Histogram {
        /// As [`Sample::series`].
        series: &'a [u8],
        /// The time given, if any.
        timestamp_ms: Option<i64>,
    },
}

/// An exemplar of the sample it was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'a> {
    labels: ExemplarLabels<'a>,
    /// The value.
    pub value: f64,
    /// The time given, if any.
    pub timestamp_ms: Option<i64>,
}

/// Labels as they stand in a body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ExemplarLabels<'a> {
    /// In braces.
    Text(&'a [u8]),
    /// Fields 1 of a protobuf message.
    Delimited(&'a [u8]),
}

impl<'a> Exemplar<'a> {
    pub(crate) fn text(labels: &'a [u8], value: f64, timestamp_ms: Option<i64>) -> Self {
        Self { labels: ExemplarLabels::Text(labels), value, timestamp_ms }
    }

    pub(crate) fn delimited(labels: &'a [u8], value: f64, timestamp_ms: Option<i64>) -> Self {
        Self { labels: ExemplarLabels::Delimited(labels), value, timestamp_ms }
    }

    /// Name and value of each label in the order of the body; escapes stay, as in Prometheus.
    pub fn for_each_label(&self, mut f: impl FnMut(&'a [u8], &'a [u8])) {
        match self.labels {
            ExemplarLabels::Text(text) => series::walk(text, |name, value| {
                if let Some(name) = name {
                    f(name, value);
                }
            }),
            ExemplarLabels::Delimited(message) => crate::delimited::for_each_label(message, f),
        }
    }
}

/// Why a body was refused: Prometheus' words, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The 1-based line on which the entry begins; 0 where the format has no lines.
    pub line: u64,
    /// Prometheus' message.
    pub reason: String,
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.reason)
    }
}

/// Why a series' labels cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A name that is not UTF-8.
    #[error("invalid metric name or label names: {0}")]
    InvalidName(String),
    /// A name given twice.
    #[error("label name \"{0}\" is not unique: invalid sample")]
    Duplicate(String),
}
