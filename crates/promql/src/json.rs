//! Results as the `data` member of the HTTP API's answers:
//! `{"resultType":"matrix","result":[…]}`, straight into bytes.

use model::float::{append_timestamp_seconds, format_value};
use model::{FloatHistogram, Labels};

use crate::value::{SampleValue, Series, Value, VectorSample};

/// Appends `value` to `out`.
pub fn write_data(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Scalar(t_ms, v) => {
            out.extend_from_slice(br#"{"resultType":"scalar","result":"#);
            write_point(*t_ms, *v, out);
        }
        Value::String(t_ms, s) => {
            out.extend_from_slice(br#"{"resultType":"string","result":["#);
            append_timestamp_seconds(*t_ms, out);
            out.push(b',');
            write_string(s, out);
            out.push(b']');
        }
        Value::Vector(samples) => {
            out.extend_from_slice(br#"{"resultType":"vector","result":["#);
            list(samples, out, write_sample);
            out.push(b']');
        }
        Value::Matrix(series) => {
            out.extend_from_slice(br#"{"resultType":"matrix","result":["#);
            list(series, out, write_series);
            out.push(b']');
        }
    }
    out.push(b'}');
}

fn list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
}

/// Appends one series of a matrix, for results that are sent in pieces.
pub fn write_series(s: &Series, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"metric":"#);
    write_labels(&s.labels, out);
    if !s.t.is_empty() {
        out.extend_from_slice(br#","values":["#);
        out.reserve(s.t.len() * 24);
        for (i, (t, v)) in s.t.iter().zip(&s.v).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_point(*t, *v, out);
        }
        out.push(b']');
    }
    if !s.h.is_empty() {
        out.extend_from_slice(br#","histograms":["#);
        list(&s.h, out, |(t, h), out| write_histogram_point(*t, h, out));
        out.push(b']');
    }
    out.push(b'}');
}

/// Appends one sample of an instant vector, for results that are sent in pieces.
pub fn write_sample(s: &VectorSample, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"metric":"#);
    write_labels(&s.labels, out);
    match &s.value {
        SampleValue::Float(v) => {
            out.extend_from_slice(br#","value":"#);
            write_point(s.t_ms, *v, out);
        }
        SampleValue::Histogram(h) => {
            out.extend_from_slice(br#","histogram":"#);
            write_histogram_point(s.t_ms, h, out);
        }
    }
    out.push(b'}');
}

fn write_point(t_ms: i64, v: f64, out: &mut Vec<u8>) {
    out.push(b'[');
    append_timestamp_seconds(t_ms, out);
    out.extend_from_slice(b",\"");
    format_value(v, out);
    out.extend_from_slice(b"\"]");
}

fn write_quoted_value(v: f64, out: &mut Vec<u8>) {
    out.push(b'"');
    format_value(v, out);
    out.push(b'"');
}

/// Time and histogram; empty buckets are left out.
fn write_histogram_point(t_ms: i64, h: &FloatHistogram, out: &mut Vec<u8>) {
    out.push(b'[');
    append_timestamp_seconds(t_ms, out);
    out.extend_from_slice(br#",{"count":"#);
    write_quoted_value(h.count, out);
    out.extend_from_slice(br#","sum":"#);
    write_quoted_value(h.sum, out);
    let mut any = false;
    for b in h.all_buckets().filter(|b| b.count != 0.0) {
        out.extend_from_slice(if any { b"," } else { b",\"buckets\":[" });
        any = true;
        let bounds = match (b.lower_inclusive, b.upper_inclusive) {
            (false, true) => b"[0,",
            (true, false) => b"[1,",
            (false, false) => b"[2,",
            (true, true) => b"[3,",
        };
        out.extend_from_slice(bounds);
        write_quoted_value(b.lower, out);
        out.push(b',');
        write_quoted_value(b.upper, out);
        out.push(b',');
        write_quoted_value(b.count, out);
        out.push(b']');
    }
    if any {
        out.push(b']');
    }
    out.extend_from_slice(b"}]");
}

/// Appends a label set as an object.
pub fn write_labels(l: &Labels, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (n, v)) in l.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(n, out);
        out.push(b':');
        write_string(v, out);
    }
    out.push(b'}');
}

/// Appends a JSON string.
pub fn write_string(s: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = s.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            c => out.extend_from_slice(format!("\\u{c:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(v: &Value) -> String {
        let mut out = Vec::new();
        write_data(v, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_what_the_http_api_shows() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "x\"\\\n\u{1}é")]);
        assert_eq!(
            json(&Value::Scalar(1500, f64::INFINITY)),
            r#"{"resultType":"scalar","result":[1.500,"+Inf"]}"#
        );
        assert_eq!(json(&Value::String(0, "é".into())), r#"{"resultType":"string","result":[0,"é"]}"#);
        let sample = VectorSample { labels: labels.clone(), t_ms: 1, value: SampleValue::Float(f64::NAN) };
        assert_eq!(
            json(&Value::Vector(vec![sample])),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","a":"x\"\\\n\u0001é"},"value":[0.001,"NaN"]}]}"#
        );
        let h = FloatHistogram {
            count: 3.0,
            sum: -0.5,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![model::histogram::Span { offset: 1, length: 2 }],
            positive_buckets: vec![0.0, 2.0],
            ..FloatHistogram::default()
        };
        let sample =
            VectorSample { labels: Labels::empty(), t_ms: 1000, value: SampleValue::Histogram(h.into()) };
        assert_eq!(
            json(&Value::Vector(vec![sample])),
            r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"3","sum":"-0.5","buckets":[[3,"-0.001","0.001","1"],[0,"2","4","2"]]}]}]}"#
        );
        let series =
            Series { labels: Labels::empty(), t: vec![1000, 2000], v: vec![1.0, 0.5], h: Vec::new() };
        assert_eq!(
            json(&Value::Matrix(vec![series.clone(), series])),
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"0.5"]]},{"metric":{},"values":[[1,"1"],[2,"0.5"]]}]}"#
        );
    }
}
