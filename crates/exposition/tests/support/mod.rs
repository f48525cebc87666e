//! Entries in the form of the conformance vectors.

use exposition::{Entry, ParseError, Parser};
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
pub(crate) fn entries_of(mut parser: Parser<'_>) -> (Vec<Value>, Option<ParseError>) {
    let mut out = Vec::new();
    loop {
        let entry = match parser.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return (out, None),
            Err(e) => return (out, Some(e)),
        };
        out.push(match entry {
            Entry::Type { metric, kind } => json!({ "metric": text(metric), "type": kind.as_str() }),
            Entry::Help { metric, text: help } => json!({ "metric": text(metric), "help": help }),
            Entry::Unit { metric, unit } => json!({ "metric": text(metric), "unit": text(unit) }),
            Entry::Comment(comment) => json!({ "comment": text(comment) }),
            Entry::Sample(sample) => {
                let mut labels = Map::new();
                parser.for_each_label(|n, v| add_label(&mut labels, &n, &v));
                let mut entry = json!({ "labels": labels, "value": sample.value.to_bits() });
                if let Some(t_ms) = sample.timestamp_ms {
                    entry["timestamp_ms"] = json!(t_ms);
                }
                if let Some(e) = parser.exemplar() {
                    let mut labels = Map::new();
                    e.for_each_label(|n, v| add_label(&mut labels, n, v));
                    let mut exemplar = json!({ "labels": labels, "value": e.value.to_bits() });
                    if let Some(t_ms) = e.timestamp_ms {
                        exemplar["timestamp_ms"] = json!(t_ms);
                    }
                    entry["exemplars"] = json!([exemplar]);
                }
                if let Some(t_ms) = parser.start_timestamp_ms() {
                    entry["start_timestamp_ms"] = json!(t_ms);
                }
                entry
            }
            other => panic!("unknown entry {other:?}"),
        });
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
            ("labels", "series"),
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
