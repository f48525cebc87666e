//! Entries in the form of the conformance vectors.

use exposition::{Entry, NativeValue, ParseError, Source};
use model::histogram::{CounterResetHint, NativeHistogram, Span};
use serde_json::{Map, Value, json};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn decode_base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let digit = ALPHABET.iter().position(|a| *a == c).unwrap();
        (bits, count) = (bits << 6 | digit as u32, count + 6);
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

fn encode_base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0u32, |n, (i, b)| n | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(s) => json!(s),
        Err(_) => json!({ "b64": encode_base64(bytes) }),
    }
}

/// Go's JSON, which wrote the vectors, replaces what is not UTF-8.
fn add_label(labels: &mut Map<String, Value>, name: &[u8], value: &[u8]) {
    labels.insert(String::from_utf8_lossy(name).into_owned(), json!(String::from_utf8_lossy(value)));
}

/// All entries up to the end or the first error, each sample asked for all it has.
pub(crate) fn entries_of<'a>(parser: &mut impl Source<'a>) -> (Vec<Value>, Option<ParseError>) {
    let mut out = Vec::new();
    loop {
        let entry = match parser.next_entry_expecting(b"") {
            Ok(Some(entry)) => entry,
            Ok(None) => return (out, None),
            Err(e) => return (out, Some(e)),
        };
        let (value, timestamp_ms) = match entry {
            Entry::Type { metric, kind } => {
                out.push(json!({ "metric": text(metric), "type": kind.as_str() }));
                continue;
            }
            Entry::Help { metric, text: help } => {
                out.push(json!({ "metric": text(metric), "help": help }));
                continue;
            }
            Entry::Unit { metric, unit } => {
                out.push(json!({ "metric": text(metric), "unit": text(unit) }));
                continue;
            }
            Entry::Comment(comment) => {
                out.push(json!({ "comment": text(comment) }));
                continue;
            }
            Entry::Sample(sample) => (Some(sample.value), sample.timestamp_ms),
            Entry::Histogram { timestamp_ms, .. } => (None, timestamp_ms),
            other => panic!("unknown entry {other:?}"),
        };
        out.push(sample_of(parser, value, timestamp_ms));
    }
}

/// The sample that the parser stands at; without a value it is a native histogram.
fn sample_of<'a>(parser: &mut impl Source<'a>, value: Option<f64>, timestamp_ms: Option<i64>) -> Value {
    let mut labels = Map::new();
    parser.for_each_label(&mut |n, v| add_label(&mut labels, &n, &v));
    let mut entry = json!({ "labels": labels });
    match value {
        Some(v) => entry["value"] = json!(v.to_bits()),
        None => entry["histogram"] = histogram(parser.histogram()),
    }
    if let Some(t_ms) = timestamp_ms {
        entry["timestamp_ms"] = json!(t_ms);
    }
    for e in parser.exemplars() {
        let mut labels = Map::new();
        e.for_each_label(|n, v| add_label(&mut labels, n, v));
        let mut exemplar = json!({ "labels": labels, "value": e.value.to_bits() });
        if let Some(t_ms) = e.timestamp_ms {
            exemplar["timestamp_ms"] = json!(t_ms);
        }
        if entry["exemplars"].is_null() {
            entry["exemplars"] = json!([]);
        }
        entry["exemplars"].as_array_mut().unwrap().push(exemplar);
    }
    if let Some(t_ms) = parser.start_timestamp_ms() {
        entry["start_timestamp_ms"] = json!(t_ms);
    }
    entry
}

fn bits(values: &[f64]) -> Value {
    values.iter().map(|v| json!(v.to_bits())).collect()
}

fn histogram(h: &NativeValue) -> Value {
    let mut out = if h.is_float { shared(&h.float) } else { shared(&h.int) };
    let mut put = |name: &str, value: Value| {
        if value.as_array().is_none_or(|a| !a.is_empty()) {
            out[name] = value;
        }
    };
    if h.is_float {
        put("kind", json!("float"));
        put("count", json!(h.float.count.to_bits()));
        put("positive_counts", bits(&h.float.positive_buckets));
        put("negative_counts", bits(&h.float.negative_buckets));
    } else {
        put("kind", json!("int"));
        put("count", json!(h.int.count));
        put("positive_deltas", json!(h.int.positive_buckets));
        put("negative_deltas", json!(h.int.negative_buckets));
    }
    if (if h.is_float { h.float.schema } else { h.int.schema }) != -53 {
        put(
            "zero_count",
            if h.is_float { json!(h.float.zero_count.to_bits()) } else { json!(h.int.zero_count) },
        );
    }
    out
}

fn shared<C, B>(h: &NativeHistogram<C, B>) -> Value {
    let hint = match h.counter_reset_hint {
        CounterResetHint::Unknown => "unknown",
        CounterResetHint::Reset => "reset",
        CounterResetHint::NotReset => "not_reset",
        CounterResetHint::Gauge => "gauge",
    };
    let mut out = json!({ "hint": hint, "schema": h.schema, "sum": h.sum.to_bits() });
    let spans = |spans: &[Span]| spans.iter().map(|s| json!([s.offset, s.length])).collect::<Vec<_>>();
    for (name, spans) in
        [("positive_spans", spans(&h.positive_spans)), ("negative_spans", spans(&h.negative_spans))]
    {
        if !spans.is_empty() {
            out[name] = json!(spans);
        }
    }
    if !h.custom_values.is_empty() {
        out["custom_values"] = bits(&h.custom_values);
    }
    if h.schema != -53 {
        out["zero_threshold"] = json!(h.zero_threshold.to_bits());
    }
    out
}

/// Numbers that the vectors have as text, as bits.
fn normalise_histogram(h: &mut Value) {
    for (name, field) in h.as_object_mut().unwrap() {
        match field {
            Value::String(s) if name != "kind" && name != "hint" => {
                *field = json!(model::float::parse_go_float(s.as_bytes()).unwrap().to_bits());
            }
            Value::Array(values) if values.iter().all(Value::is_string) => {
                let parse = |v: &Value| model::float::parse_go_float(v.as_str().unwrap().as_bytes()).unwrap();
                *field = bits(&values.iter().map(parse).collect::<Vec<_>>());
            }
            _ => {}
        }
    }
}

/// Values of the vectors' form as bits.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn normalise_values(entry: &mut Value) {
    if let Some(bits) = entry.get("value_bits").cloned() {
        let bits = bits
            .as_str()
            .map_or_else(|| bits.as_u64(), |s| u64::from_str_radix(s.trim_start_matches("0x"), 16).ok());
        entry["value"] = json!(bits.unwrap());
        entry.as_object_mut().unwrap().remove("value_bits");
    } else if let Some(value) = entry["value"].as_str() {
        let v = match value {
            "stale" => model::stale_nan(),
            _ => model::float::parse_go_float(value.as_bytes()).unwrap(),
        };
        entry["value"] = json!(v.to_bits());
    }
    if let Some(h) = entry.get_mut("histogram") {
        normalise_histogram(h);
    }
    if let Some(exemplars) = entry.get_mut("exemplars").and_then(Value::as_array_mut) {
        exemplars.iter_mut().for_each(normalise_values);
    }
}

/// How many entries there are of each kind, as the vectors count them.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn counts(entries: &Value) -> Value {
    let mut out = json!({ "exemplars": 0 });
    let mut add = |key: &str, n: u64| out[key] = json!(out[key].as_u64().unwrap_or(0) + n);
    for entry in entries.as_array().unwrap() {
        for (field, key) in [
            ("type", "type"),
            ("help", "help"),
            ("unit", "unit"),
            ("comment", "comment"),
            ("value", "series"),
            ("histogram", "histogram"),
            ("timestamp_ms", "with_timestamp"),
            ("start_timestamp_ms", "with_start_timestamp"),
        ] {
            if entry.get(field).is_some() {
                add(key, 1);
            }
        }
        add("exemplars", entry["exemplars"].as_array().map_or(0, |e| e.len() as u64));
    }
    out
}
