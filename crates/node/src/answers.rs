//! Answers for embedders: columns.

use std::collections::HashMap;

use ::engine::query::Answer;
use model::Labels;
use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;
use promql::{SampleValue, Value};

#[napi(object)]
pub struct NativeColumns {
    pub labels: HashMap<String, String>,
    pub timestamps: Float64Array,
    pub values: Float64Array,
}

#[napi(object)]
pub struct NativeAnswer {
    pub result_type: String,
    pub series: Vec<NativeColumns>,
    pub text: Option<String>,
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

/// Said of an answer that had histograms: columns hold floats.
const HISTOGRAMS_LEFT_OUT: &str = "native histograms are left out of columns; ask for JSON";

fn has_histograms(value: &Value) -> bool {
    match value {
        Value::Vector(samples) => samples.iter().any(|s| matches!(s.value, SampleValue::Histogram(_))),
        Value::Matrix(series) => series.iter().any(|s| !s.h.is_empty()),
        Value::Scalar(..) | Value::String(..) => false,
    }
}

impl From<Answer> for NativeAnswer {
    fn from(mut a: Answer) -> Self {
        if has_histograms(&a.value) {
            a.warnings.push(HISTOGRAMS_LEFT_OUT.to_owned());
        }
        let (result_type, series, text) = match a.value {
            Value::Scalar(t, v) => ("scalar", vec![columns(&Labels::empty(), &[t], vec![v])], None),
            Value::String(_, s) => ("string", Vec::new(), Some(s)),
            Value::Vector(samples) => {
                let all = samples.iter().filter_map(|s| match s.value {
                    SampleValue::Float(v) => Some(columns(&s.labels, &[s.t_ms], vec![v])),
                    SampleValue::Histogram(_) => None,
                });
                ("vector", all.collect(), None)
            }
            Value::Matrix(series) => {
                ("matrix", series.into_iter().map(|s| columns(&s.labels, &s.t, s.v)).collect(), None)
            }
        };
        Self { result_type: result_type.to_owned(), series, text, warnings: a.warnings, infos: a.infos }
    }
}

fn columns(labels: &Labels, t: &[i64], v: Vec<f64>) -> NativeColumns {
    NativeColumns {
        labels: labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        timestamps: Float64Array::new(t.iter().map(|t| *t as f64).collect()),
        values: Float64Array::new(v),
    }
}
