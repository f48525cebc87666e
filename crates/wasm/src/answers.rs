//! Answers for embedders: columns.

use engine::columns::Column;
use engine::query::Answer;
use js_sys::{Array, Float64Array, Object, Reflect};
use wasm_bindgen::JsValue;

use crate::convert::object;

pub(crate) fn answer(a: Answer) -> Object {
    let a = a.into_columns();
    let series: Array = a.series.iter().map(series).collect();
    let strings = |all: &[String]| -> JsValue { all.iter().map(JsValue::from).collect::<Array>().into() };
    let out = object([
        ("resultType", a.result_type.into()),
        ("series", series.into()),
        ("warnings", strings(&a.warnings)),
        ("infos", strings(&a.infos)),
    ]);
    if let Some(text) = a.text {
        // A plain object takes every member.
        let _ = Reflect::set(&out, &"text".into(), &text.into());
    }
    out
}

fn series(c: &Column) -> Object {
    let timestamps: Vec<f64> = c.timestamps.iter().map(|t| *t as f64).collect();
    object([
        ("labels", object_of(c.labels.iter()).into()),
        ("timestamps", Float64Array::from(timestamps.as_slice()).into()),
        ("values", Float64Array::from(c.values.as_slice()).into()),
    ])
}

/// A plain object of labels, whatever they are called: `__proto__` is a name, too.
pub(crate) fn object_of<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Object {
    let pairs: Array = labels.map(|(name, value)| Array::of2(&name.into(), &value.into())).collect();
    // Pairs are all that it asks for.
    Object::from_entries(&pairs).unwrap_or_default()
}
