//! What a parser yields.

use std::borrow::Cow;

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
}

/// An exemplar of the sample it was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'a> {
    pub(crate) labels: &'a [u8],
    /// The value.
    pub value: f64,
    /// The time given, if any.
    pub timestamp_ms: Option<i64>,
}

impl<'a> Exemplar<'a> {
    /// Name and value of each label in the order of the body; escapes stay, as in Prometheus.
    pub fn for_each_label(&self, mut f: impl FnMut(&'a [u8], &'a [u8])) {
        series::walk(self.labels, |name, value| {
            if let Some(name) = name {
                f(name, value);
            }
        });
    }
}

/// Why a body was refused: Prometheus' words, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// The 1-based line on which the entry begins.
    pub line: u64,
    /// Prometheus' message.
    pub reason: String,
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
