//! Protobuf bodies at random: nothing panics, guesses change nothing, and a registry says the same in protobuf as in
//! text.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use exposition::{ClassicConverter, Entry, Format, Parser, ParserOptions, ProtobufParser, Source};
use model::{LabelsBuilder, MetricType};
use proptest::prelude::*;
use protobuf::writer::{put_bytes, put_double, put_message, put_string, put_uint, put_varint, zigzag64};

/// Everything there is to know of a body: keys, what they stand for, and the error.
fn read<'a>(mut source: impl Source<'a>, guess: impl Fn(usize) -> Vec<u8>) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut keys, mut out) = (Vec::new(), Vec::new());
    loop {
        let text = match source.next_entry_expecting(&guess(keys.len())) {
            Ok(None) => return (keys, out),
            Err(e) => {
                out.push(e.to_string());
                return (keys, out);
            }
            Ok(Some(entry)) => match entry {
                Entry::Sample(s) => format!("{} {:?}", s.value, s.timestamp_ms),
                Entry::Histogram { timestamp_ms, .. } => format!("{timestamp_ms:?}"),
                other => {
                    out.push(format!("{other:?}"));
                    continue;
                }
            },
        };
        keys.push(source.series().to_vec());
        let mut labels = LabelsBuilder::new();
        let labels = source.labels(&mut labels).map(|()| labels.build().to_string());
        let exemplars = format!("{:?}", source.exemplars());
        let start = source.start_timestamp_ms();
        let h = source.histogram().clone();
        out.push(format!("{labels:?} {text} {exemplars} {start:?} {h:?}"));
    }
}

fn options(bits: u8) -> ParserOptions {
    ParserOptions {
        type_and_unit_labels: bits & 1 != 0,
        skip_created_series: bits & 2 != 0,
        ignore_native_histograms: bits & 4 != 0,
        keep_classic_histograms: bits & 8 != 0,
        convert_classic_histograms: bits & 16 != 0,
    }
}

fn check(body: &[u8]) {
    for bits in 0..32 {
        let source = || ProtobufParser::new(body, options(bits));
        let (keys, plain) = read(source(), |_| Vec::new());
        assert!(plain.len() <= 4 + body.len() * 4, "a byte yields a few entries at most");
        for shift in [0, 1] {
            // Only keys whose labels were good are ever expected.
            let (_, guessed) = read(source(), |i| keys.get(i + shift).cloned().unwrap_or_default());
            assert_eq!(guessed, plain);
        }
    }
}

#[derive(Clone, Debug)]
struct Metric {
    label: String,
    value: f64,
    buckets: Vec<(f64, u8)>,
    native: Vec<i64>,
    timestamp_ms: Option<i64>,
}

#[derive(Clone, Debug)]
struct Family {
    name: String,
    kind: MetricType,
    metrics: Vec<Metric>,
}

fn metric() -> impl Strategy<Value = Metric> {
    let value = prop_oneof![Just(0.0), Just(f64::INFINITY), -1e6f64..1e6, Just(1e300)];
    let bucket = (prop::sample::select(vec![0.5, 1.0, 2.5, 1e6, f64::INFINITY]), 0u8..50);
    (
        "[a-zé\"\\\\\n]{0,5}",
        value,
        prop::collection::vec(bucket, 0..5),
        prop::collection::vec(-5i64..5, 0..4),
        prop::option::of(1i64..1000),
    )
        .prop_map(|(label, value, mut buckets, native, timestamp_ms)| {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            buckets.dedup_by(|a, b| a.0 == b.0);
            Metric { label, value, buckets, native, timestamp_ms }
        })
}

fn families() -> impl Strategy<Value = Vec<Family>> {
    use MetricType::{Counter, Gauge, Histogram, Summary, Unknown};
    let kind = prop::sample::select(vec![Counter, Gauge, Histogram, Summary, Unknown]);
    let family = ("[a-d]", kind, prop::collection::vec(metric(), 1..4))
        .prop_map(|(name, kind, metrics)| Family { name: format!("m_{name}"), kind, metrics });
    prop::collection::vec(family, 0..4)
}

/// A body; `native` says whether histograms have native parts too.
fn protobuf_body(families: &[Family], native: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for f in families {
        let mut message = Vec::new();
        put_string(&mut message, 1, &f.name);
        let (number, field) = match f.kind {
            MetricType::Counter => (0, 3),
            MetricType::Gauge => (1, 2),
            MetricType::Summary => (2, 4),
            MetricType::Histogram => (4, 7),
            _ => (3, 5),
        };
        put_uint(&mut message, 3, number);
        for m in &f.metrics {
            put_message(&mut message, 4, |out| {
                put_message(out, 1, |out| {
                    put_string(out, 1, "x");
                    put_string(out, 2, &m.label);
                });
                put_message(out, field, |out| put_value(out, f.kind, m, native));
                put_uint(out, 6, m.timestamp_ms.unwrap_or(0) as u64);
            });
        }
        put_varint(&mut out, message.len() as u64);
        out.extend(message);
    }
    out
}

fn put_value(out: &mut Vec<u8>, kind: MetricType, m: &Metric, native: bool) {
    match kind {
        MetricType::Summary => {
            put_uint(out, 1, 7);
            put_double(out, 2, m.value);
            for (q, v) in &m.buckets {
                put_message(out, 3, |out| {
                    put_double(out, 1, *q);
                    put_double(out, 2, f64::from(*v));
                });
            }
        }
        MetricType::Histogram => {
            put_uint(out, 1, 7);
            put_double(out, 2, m.value);
            for (bound, count) in &m.buckets {
                put_message(out, 3, |out| {
                    put_uint(out, 1, u64::from(*count));
                    put_double(out, 2, *bound);
                });
            }
            if native {
                put_message(out, 12, |out| put_uint(out, 2, m.native.len() as u64));
                let mut deltas = Vec::new();
                m.native.iter().for_each(|d| put_varint(&mut deltas, zigzag64(*d)));
                put_bytes(out, 13, &deltas);
            }
        }
        _ => put_double(out, 1, m.value),
    }
}

fn text_body(families: &[Family]) -> String {
    let mut out = String::new();
    for f in families {
        let name = &f.name;
        let kind = if f.kind == MetricType::Unknown { "untyped" } else { f.kind.as_str() };
        writeln!(out, "# TYPE {name} {kind}").unwrap();
        for m in &f.metrics {
            let label = m.label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let time = m.timestamp_ms.map(|t| format!(" {t}")).unwrap_or_default();
            let mut line = |suffix: &str, more: &str, v: f64| {
                let v = if v.is_infinite() { "+Inf".to_owned() } else { v.to_string() };
                writeln!(out, "{name}{suffix}{{x=\"{label}\"{more}}} {v}{time}").unwrap();
            };
            if !matches!(f.kind, MetricType::Summary | MetricType::Histogram) {
                line("", "", m.value);
                continue;
            }
            line("_count", "", 7.0);
            line("_sum", "", m.value);
            for (bound, v) in &m.buckets {
                let bound = if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
                match f.kind {
                    MetricType::Summary => line("", &format!(",quantile=\"{bound}\""), f64::from(*v)),
                    _ => line("_bucket", &format!(",le=\"{bound}\""), f64::from(*v)),
                }
            }
            let has_inf = m.buckets.last().is_some_and(|(bound, _)| bound.is_infinite());
            if f.kind == MetricType::Histogram && !has_inf {
                line("_bucket", ",le=\"+Inf\"", 7.0);
            }
        }
    }
    out
}

/// Series, times and values, without what only one of the formats has.
fn samples<'a>(mut source: impl Source<'a>) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(entry) = source.next_entry_expecting(b"").unwrap() {
        let (value, time) = match entry {
            Entry::Sample(s) => (Some(s.value), s.timestamp_ms),
            Entry::Histogram { timestamp_ms, .. } => (None, timestamp_ms),
            _ => continue,
        };
        let mut labels = LabelsBuilder::new();
        source.labels(&mut labels).unwrap();
        let value = value.map_or_else(|| format!("{:?}", source.histogram().int), |v| v.to_string());
        out.push(format!("{} {time:?} {value}", labels.build()));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_and_protobuf_say_the_same(families in families()) {
        let (text, protobuf) = (text_body(&families), protobuf_body(&families, false));
        let parser = || Parser::new(text.as_bytes(), Format::Text, ParserOptions::default()).unwrap();
        let of_text = samples(parser());
        prop_assert_eq!(&of_text, &samples(ProtobufParser::new(&protobuf, ParserOptions::default())));
        let ignoring = ParserOptions { ignore_native_histograms: true, ..ParserOptions::default() };
        let both = protobuf_body(&families, true);
        prop_assert_eq!(&of_text, &samples(ProtobufParser::new(&both, ignoring)));
    }

    #[test]
    fn conversion_of_text_and_protobuf_agrees(families in families()) {
        // Text passes over what cannot be converted, protobuf fails, and neighbours in text may be one histogram.
        let families: Vec<Family> = families.into_iter().map(|mut f| {
            f.metrics.truncate(1);
            for m in &mut f.metrics {
                m.value = m.value.min(1e6);
                for (i, (bound, count)) in m.buckets.iter_mut().enumerate() {
                    *count = if bound.is_infinite() { 7 } else { i as u8 };
                }
            }
            f
        }).collect();
        let options = ParserOptions { convert_classic_histograms: true, ..ParserOptions::default() };
        let (text, protobuf) = (text_body(&families), protobuf_body(&families, false));
        let parser = Parser::new(text.as_bytes(), Format::Text, options).unwrap();
        let of_protobuf = samples(ProtobufParser::new(&protobuf, options));
        prop_assert_eq!(samples(ClassicConverter::new(parser, options)), of_protobuf);
    }

    #[test]
    fn no_bytes_panic(families in families(), cut in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut body = protobuf_body(&families, true);
        if body.is_empty() {
            return Ok(());
        }
        check(&body);
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        check(&body);
        body.truncate(cut.index(body.len()));
        check(&body);
    }

    #[test]
    fn garbage_does_not_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
        check(&body);
    }
}
