//! Answers as columns of floats, for embedders.

use model::{Labels, TimestampMs};
use promql::{SampleValue, Series, Value};

use crate::query::Answer;

/// Said of an answer that had histograms: columns hold floats.
const HISTOGRAMS_LEFT_OUT: &str = "native histograms are left out of columns; ask for JSON";

/// A series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Its labels.
    pub labels: Labels,
    /// Milliseconds, rising.
    pub timestamps: Vec<TimestampMs>,
    /// As many as `timestamps`.
    pub values: Vec<f64>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnsAnswer {
    /// `scalar`, `string`, `vector` or `matrix`.
    pub result_type: &'static str,
    /// The series of a vector or matrix; a scalar is one without labels.
    pub series: Vec<Column>,
    /// The text of a string.
    pub text: Option<String>,
    /// Warnings, in Prometheus' words but for one of our own where histograms were left out.
    pub warnings: Vec<String>,
    /// Infos, in Prometheus' words.
    pub infos: Vec<String>,
}

impl Answer {
    /// The answer as columns.
    #[must_use]
    pub fn into_columns(self) -> ColumnsAnswer {
        let mut out =
            ColumnsAnswer { warnings: self.warnings, infos: self.infos, ..ColumnsAnswer::default() };
        if has_histograms(&self.value) {
            out.warnings.push(HISTOGRAMS_LEFT_OUT.to_owned());
        }
        let single =
            |labels: Labels, t: TimestampMs, v: f64| Column { labels, timestamps: vec![t], values: vec![v] };
        match self.value {
            Value::Scalar(t, v) => {
                out.result_type = "scalar";
                out.series.push(single(Labels::empty(), t, v));
            }
            Value::String(_, text) => {
                out.result_type = "string";
                out.text = Some(text);
            }
            Value::Vector(samples) => {
                out.result_type = "vector";
                out.series.extend(samples.into_iter().filter_map(|s| match s.value {
                    SampleValue::Float(v) => Some(single(s.labels, s.t_ms, v)),
                    SampleValue::Histogram(_) => None,
                }));
            }
            Value::Matrix(series) => {
                out.result_type = "matrix";
                let column = |s: Series| Column { labels: s.labels, timestamps: s.t, values: s.v };
                out.series.extend(series.into_iter().map(column));
            }
        }
        out
    }
}

fn has_histograms(value: &Value) -> bool {
    match value {
        Value::Vector(samples) => samples.iter().any(|s| matches!(s.value, SampleValue::Histogram(_))),
        Value::Matrix(series) => series.iter().any(|s| !s.h.is_empty()),
        Value::Scalar(..) | Value::String(..) => false,
    }
}
