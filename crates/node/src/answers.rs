//! Answers for embedders: columns.

use std::collections::HashMap;

use ::engine::columns::Column;
use ::engine::query::Answer;
use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;

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

impl From<Answer> for NativeAnswer {
    fn from(a: Answer) -> Self {
        let a = a.into_columns();
        let columns = |c: Column| NativeColumns {
            labels: c.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            timestamps: Float64Array::new(c.timestamps.iter().map(|t| *t as f64).collect()),
            values: Float64Array::new(c.values),
        };
        Self {
            result_type: a.result_type.to_owned(),
            series: a.series.into_iter().map(columns).collect(),
            text: a.text,
            warnings: a.warnings,
            infos: a.infos,
        }
    }
}
