//! The records of `wal.jsonl.gz`, as values.
#![allow(dead_code, clippy::unwrap_used)]

use model::histogram::{CounterResetHint, NativeHistogram, Span};
use model::{FloatHistogram, Histogram, Labels};
use serde_json::Value;

pub(crate) fn int(v: &Value) -> i64 {
    v.as_i64().unwrap_or_else(|| panic!("{v} is no integer"))
}

/// A float: a string, or left out where it is 0.
pub(crate) fn float(v: &Value) -> f64 {
    match v.as_str() {
        None => 0.0,
        Some("stale") => model::stale_nan(),
        Some(text) => text.parse().unwrap(),
    }
}

pub(crate) fn list<T>(v: &Value, one: impl Fn(&Value) -> T) -> Vec<T> {
    v.as_array().into_iter().flatten().map(one).collect()
}

pub(crate) fn labels(v: &Value) -> Labels {
    Labels::from_pairs(v.as_object().unwrap().iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())))
}

/// A histogram as it was sent.
pub(crate) enum Sent {
    Integer(Histogram),
    Float(FloatHistogram),
}

pub(crate) fn histogram(v: &Value) -> Sent {
    if v["kind"] == "int" {
        let count = |v: &Value| v.as_u64().unwrap_or_default();
        return Sent::Integer(with_buckets(v, count, int, "deltas"));
    }
    Sent::Float(with_buckets(v, float, float, "counts"))
}

fn with_buckets<C, B>(
    v: &Value,
    count: fn(&Value) -> C,
    bucket: fn(&Value) -> B,
    buckets: &str,
) -> NativeHistogram<C, B> {
    let span = |s: &Value| Span { offset: int(&s[0]) as i32, length: int(&s[1]) as u32 };
    NativeHistogram {
        counter_reset_hint: match v["hint"].as_str().unwrap() {
            "unknown" => CounterResetHint::Unknown,
            "gauge" => CounterResetHint::Gauge,
            other => panic!("{other}"),
        },
        schema: int(&v["schema"]) as i32,
        zero_threshold: float(&v["zero_threshold"]),
        zero_count: count(&v["zero_count"]),
        count: count(&v["count"]),
        sum: float(&v["sum"]),
        positive_spans: list(&v["positive_spans"], span),
        negative_spans: list(&v["negative_spans"], span),
        positive_buckets: list(&v[format!("positive_{buckets}")], bucket),
        negative_buckets: list(&v[format!("negative_{buckets}")], bucket),
        custom_values: list(&v["custom_values"], float),
    }
}
