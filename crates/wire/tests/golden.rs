//! Requests that Prometheus' own packages encoded, and what they decoded from them and from
//! damaged copies: read alike here, and written back to the same bytes.
//!
//! A file holds records: kind (`1`, `2` a request of that protocol, `m`, `n` a damaged one), then
//! body and text, each behind its length (u32, little-endian). The text has one line a fact;
//! strings are hexadecimal behind an x, floats are their bits.

#![allow(clippy::unwrap_used)]

use std::fmt::{Display, Write as _};

use model::histogram::{BucketCount, BucketValue, NativeHistogram, Span};
use wire::{
    EncodedLabels, Fault, HistogramSample, Histograms, LabelsError, SampleColumns, SymbolSpans, WireError,
    write_v1, write_v2,
};

struct Record {
    kind: u8,
    body: Vec<u8>,
    text: String,
}

fn records() -> Vec<Record> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        #[allow(clippy::disallowed_methods, reason = "a test reads its data")]
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let mut rest = &file[..];
        let part = |rest: &mut &[u8]| {
            let (length, tail) = rest.split_first_chunk::<4>().unwrap();
            let (part, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
            *rest = tail;
            part.to_vec()
        };
        while let Some((kind, tail)) = rest.split_first() {
            rest = tail;
            let body = part(&mut rest);
            let text = String::from_utf8(part(&mut rest)).unwrap();
            out.push(Record { kind: *kind, body, text });
        }
    }
    assert!(out.len() > 100);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("x"), |mut out, b| {
        write!(out, "{b:02x}").unwrap();
        out
    })
}

fn bits(v: f64) -> String {
    format!("{:016x}", v.to_bits())
}

fn list<T>(all: &[T], each: impl Fn(&T) -> String) -> String {
    format!("[{}]", all.iter().map(each).collect::<Vec<_>>().join(","))
}

fn pairs(labels: &EncodedLabels<'_>) -> Result<Vec<String>, WireError> {
    let mut out = Vec::new();
    labels.for_each(|name, value| out.push(format!(" {} {}", hex(name), hex(value))))?;
    Ok(out)
}

fn samples(out: &mut String, columns: &SampleColumns, range: std::ops::Range<usize>) {
    for i in range {
        let st = columns.st.get(i).copied().unwrap_or(0);
        writeln!(out, "sample {} {} {st}", columns.t[i], bits(columns.v[i])).unwrap();
    }
}

fn histogram<C: BucketCount, B: BucketValue>(
    head: impl Display,
    h: &NativeHistogram<C, B>,
    count: impl Fn(C) -> String,
    bucket: impl Fn(&B) -> String,
) -> String {
    let spans = |spans: &[Span]| list(spans, |s| format!("{}:{}", s.offset, s.length));
    format!(
        "{head} {} {} {} {} {} {} {} {} {} {} {}\n",
        h.counter_reset_hint as u8,
        h.schema,
        bits(h.zero_threshold),
        count(h.zero_count),
        count(h.count),
        bits(h.sum),
        spans(&h.positive_spans),
        spans(&h.negative_spans),
        list(&h.positive_buckets, &bucket),
        list(&h.negative_buckets, &bucket),
        list(&h.custom_values, |v| bits(*v)),
    )
}

fn histograms(out: &mut String, mut histograms: Histograms<'_>) -> Result<(), WireError> {
    let mut s = HistogramSample::default();
    while histograms.next_into(&mut s)? {
        out.push_str(&if s.is_float {
            histogram(format!("fhist {} {}", s.t, s.st), &s.float, bits, |b| bits(*b))
        } else {
            histogram(format!("hist {} {}", s.t, s.st), &s.int, |c| c.to_string(), i64::to_string)
        });
    }
    Ok(())
}

fn text_v1(body: &[u8]) -> Result<String, WireError> {
    let mut out = String::new();
    let mut columns = SampleColumns::default();
    let mut request = write_v1::WriteRequest::new(body);
    while let Some(series) = request.next_series(&mut columns)? {
        out.push_str("series\n");
        for pair in pairs(&series.labels())? {
            writeln!(out, "label{pair}").unwrap();
        }
        samples(&mut out, &columns, series.samples.clone());
        for exemplar in series.exemplars() {
            let exemplar = exemplar?;
            let labels = pairs(&exemplar.labels())?.concat();
            writeln!(out, "exemplar {} {}{labels}", exemplar.t, bits(exemplar.value)).unwrap();
        }
        histograms(&mut out, series.histograms())?;
    }
    for metadata in request.metadata() {
        let write_v1::Metadata { kind, family, help, unit } = metadata?;
        let [family, help, unit] = [family, help, unit].map(|s| hex(s.as_bytes()));
        writeln!(out, "meta {} {family} {help} {unit}", number(kind)).unwrap();
    }
    Ok(out)
}

fn text_v2(body: &[u8]) -> Result<String, WireError> {
    let mut out = String::new();
    let (mut columns, mut spans, mut refs) = (SampleColumns::default(), SymbolSpans::default(), Vec::new());
    let mut request = write_v2::Request::new(body, &mut spans)?;
    let symbols = request.symbols();
    let labels = |refs: &[u32]| {
        let mut key = Vec::new();
        match symbols.resolve(refs, &mut key) {
            Ok(()) => pairs(&EncodedLabels::new(&key, 0)).unwrap().concat(),
            Err(WireError::OddLabelRefs(_) | WireError::LabelRefOutside { .. }) => " badrefs".to_owned(),
            Err(other) => panic!("{other}"),
        }
    };
    while let Some(series) = request.next_series(&mut refs, &mut columns)? {
        writeln!(out, "series{}", labels(&refs)).unwrap();
        samples(&mut out, &columns, series.samples.clone());
        histograms(&mut out, series.histograms())?;
        let mut exemplars = series.exemplars();
        while let Some(e) = exemplars.next_into(&mut refs)? {
            writeln!(out, "exemplar {} {}{}", e.t, bits(e.value), labels(&refs)).unwrap();
        }
        let get = |n| symbols.get(n).map(hex);
        match (get(series.metadata.help), get(series.metadata.unit)) {
            (Some(help), Some(unit)) => {
                writeln!(out, "meta {} {help} {unit}", number(series.metadata.kind)).unwrap();
            }
            _ => out.push_str("meta bad\n"),
        }
    }
    Ok(out)
}

fn number(kind: model::MetricType) -> usize {
    let names = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];
    names.iter().position(|name| *name == kind.as_str()).unwrap()
}

#[test]
fn reads_what_prometheus_wrote() {
    for record in records() {
        let text = match record.kind {
            b'1' => text_v1(&record.body),
            b'2' => text_v2(&record.body),
            _ => continue,
        };
        assert_eq!(text.unwrap(), record.text);
    }
}

#[test]
fn judges_damaged_bodies_as_prometheus_does() {
    let (mut refused, mut taken) = (0, 0);
    for record in records() {
        let text = match record.kind {
            b'm' => text_v1(&record.body),
            b'n' => text_v2(&record.body),
            _ => continue,
        };
        match text {
            Ok(text) => {
                assert_eq!(text, record.text, "{:02x?}", record.body);
                taken += 1;
            }
            // Prometheus passes over these.
            Err(WireError::Protobuf {
                fault: Fault::Group | Fault::FieldNumber | Fault::Packed | Fault::Utf8,
                ..
            }) => {}
            Err(error) => {
                assert_eq!(record.text, "error\n", "{error} {:02x?}", record.body);
                refused += 1;
            }
        }
    }
    assert!(refused > 20 && taken > 20, "{refused} {taken}");
}

fn owned(labels: &EncodedLabels<'_>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    labels.for_each(|name, value| out.push((text(name), text(value)))).unwrap();
    out
}

fn borrowed(labels: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

#[test]
fn writes_1_0_to_the_same_bytes() {
    for record in records().iter().filter(|r| r.kind == b'1') {
        let (mut out, mut columns) = (Vec::new(), SampleColumns::default());
        let mut request = write_v1::WriteRequest::new(&record.body);
        while let Some(series) = request.next_series(&mut columns).unwrap() {
            let labels = owned(&series.labels());
            write_v1::put_series(&mut out, borrowed(&labels), |w| {
                for i in series.samples.clone() {
                    w.sample(columns.t[i], columns.v[i]);
                }
                for exemplar in series.exemplars() {
                    let exemplar = exemplar.unwrap();
                    w.exemplar(borrowed(&owned(&exemplar.labels())), exemplar.value, exemplar.t);
                }
                let (mut s, mut histograms) = (HistogramSample::default(), series.histograms());
                while histograms.next_into(&mut s).unwrap() {
                    if s.is_float { w.float_histogram(s.t, &s.float) } else { w.histogram(s.t, &s.int) }
                }
            });
        }
        for metadata in request.metadata() {
            write_v1::put_metadata(&mut out, &metadata.unwrap());
        }
        assert!(out == record.body, "{}", record.text);
    }
}

#[test]
fn writes_2_0_to_the_same_bytes() {
    let mut writer = write_v2::RequestWriter::default();
    for record in records().iter().filter(|r| r.kind == b'2') {
        let (mut columns, mut spans, mut refs) =
            (SampleColumns::default(), SymbolSpans::default(), Vec::new());
        let mut request = write_v2::Request::new(&record.body, &mut spans).unwrap();
        let symbols = request.symbols();
        let labels = |refs: &[u32]| {
            let mut key = Vec::new();
            symbols.resolve(refs, &mut key).unwrap();
            owned(&EncodedLabels::new(&key, 0))
        };
        while let Some(series) = request.next_series(&mut refs, &mut columns).unwrap() {
            let metadata = series.metadata.resolve(&symbols).unwrap();
            writer.put_series(borrowed(&labels(&refs)), &metadata, |w| {
                for i in series.samples.clone() {
                    w.sample(columns.t[i], columns.v[i], columns.st.get(i).copied().unwrap_or(0));
                }
                let (mut s, mut histograms) = (HistogramSample::default(), series.histograms());
                while histograms.next_into(&mut s).unwrap() {
                    if s.is_float {
                        w.float_histogram(s.t, s.st, &s.float);
                    } else {
                        w.histogram(s.t, s.st, &s.int);
                    }
                }
                let mut exemplars = series.exemplars();
                while let Some(e) = exemplars.next_into(&mut refs).unwrap() {
                    w.exemplar(borrowed(&labels(&refs)), e.value, e.t);
                }
            });
        }
        let mut out = Vec::new();
        writer.finish(&mut out);
        if columns.is_empty() && record.body.is_empty() {
            out.clear();
        }
        assert!(out == record.body, "{}", record.text);
    }
}

#[test]
fn names_what_is_wrong_with_labels() {
    let check = |labels: &[(&[u8], &[u8])], expected: Result<&str, &str>| {
        let mut body = Vec::new();
        for (name, value) in labels {
            wire::writer::put_message(&mut body, 1, |out| {
                wire::writer::put_bytes(out, 1, name);
                wire::writer::put_bytes(out, 2, value);
            });
        }
        let decoded = EncodedLabels::new(&body, 0).decode();
        let text = decoded.as_ref().map(ToString::to_string).map_err(LabelsError::to_string);
        assert_eq!(text.as_deref().map_err(String::as_str), expected);
    };
    check(&[(b"b", b"2"), (b"__name__", b"up"), (b"a", b"")], Ok("{__name__=\"up\", b=\"2\"}"));
    check(&[(b"a", b"1")], Err("invalid metric name or labels, got {a=\"1\"}"));
    check(&[], Err("invalid metric name or labels, got {}"));
    check(&[(b"__name__", b"")], Err("invalid metric name or labels, got {__name__=\"\"}"));
    check(
        &[(b"__name__", b"up"), (b"", b"x")],
        Err("invalid metric name or labels, got {\"\"=\"x\", __name__=\"up\"}"),
    );
    check(
        &[(b"__name__", b"up"), (b"a b", b"x\xff\"y")],
        Err(r#"invalid metric name or labels, got {__name__="up", "a b"="x\xff\"y"}"#),
    );
    check(
        &[(b"__name__", b"up"), (b"a", b"2"), (b"a", b"")],
        Err(r#"invalid labels for series, labels {__name__="up", a="2", a=""}, duplicated label a"#),
    );
}
