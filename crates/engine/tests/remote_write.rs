//! Remote write from the body's bytes to what a query sees, and what the sender is told.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Bench, T0, wait};
use engine::remote_write::{RefusalKind, RemoteWriteReport, RemoteWriteRequest};
use engine::{EngineError, ErrorCode};
use model::Histogram;
use model::histogram::Span;
use wire::write_v2::{Metadata, RequestWriter};
use wire::{snappy, write_v1};

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

type Samples<'a> = &'a [(i64, f64)];

fn pack(body: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    snappy::Compressor::default().compress(body, &mut block).unwrap();
    block
}

fn labels(text: &str) -> Vec<(&str, &str)> {
    text.split(' ').map(|pair| pair.split_once('=').unwrap()).collect()
}

fn body_v1(series: &[(&str, Samples<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (text, samples) in series {
        write_v1::put_series(&mut out, labels(text), |w| {
            samples.iter().for_each(|(second, v)| w.sample(T0 + second * 1000, *v));
        });
    }
    out
}

fn body_v2(series: &[(&str, Samples<'_>)]) -> Vec<u8> {
    let mut writer = RequestWriter::default();
    for (text, samples) in series {
        writer.put_series(labels(text), &Metadata::default(), |w| {
            samples.iter().for_each(|(second, v)| w.sample(T0 + second * 1000, *v, 0));
        });
    }
    let mut out = Vec::new();
    writer.finish(&mut out);
    out
}

fn send(b: &Bench, content_type: &str, body: &[u8]) -> Result<RemoteWriteReport, EngineError> {
    // In two pieces, as a socket may give it.
    let packed = pack(body);
    let (head, tail) = packed.split_at(packed.len() / 2);
    let request = RemoteWriteRequest {
        pieces: vec![head.to_vec(), tail.to_vec()],
        content_type: content_type.to_owned(),
        content_encoding: "snappy".to_owned(),
        accepted: Vec::new(),
    };
    wait(|done| b.engine.ingest_remote_write(request, done))
}

fn refused(report: &RemoteWriteReport) -> (RefusalKind, &str) {
    let refusal = report.refusal.as_ref().unwrap();
    (refusal.kind, &refusal.text)
}

#[test]
fn both_versions_store_and_share_series() {
    let b = Bench::new();
    let first = [("__name__=a x=1", &[(0, 1.0), (1, 2.0)][..]), ("__name__=b", &[(0, 5.0)])];
    let report = send(&b, V1, &body_v1(&first)).unwrap();
    assert_eq!(report, RemoteWriteReport { samples: 3, ..RemoteWriteReport::default() });
    b.check(1, "{__name__=~'a|b'}", &["{__name__=\"a\", x=\"1\"} 2", "{__name__=\"b\"} 5"]);
    for second in 2..5 {
        let more = [("__name__=b", &[(second, 6.0)][..]), ("__name__=a x=1", &[(second, second as f64)])];
        let report = send(&b, V2, &body_v2(&more)).unwrap();
        assert_eq!(
            report,
            RemoteWriteReport { samples: 2, has_counts: true, ..RemoteWriteReport::default() }
        );
    }
    b.check(4, "{__name__=~'a|b'}", &["{__name__=\"a\", x=\"1\"} 4", "{__name__=\"b\"} 6"]);
    b.check(4, "count_over_time(a[1m])", &["{x=\"1\"} 5"]);
    assert_eq!(b.metric("prometheus_tsdb_head_series"), 2.0);
    assert_eq!(b.metric("prometheus_api_remote_write_without_metadata_appended_samples_total"), 6.0);
}

#[test]
fn of_1_0_all_or_nothing_is_stored() {
    let b = Bench::new();
    send(&b, V1, &body_v1(&[("__name__=a", &[(10, 1.0)])])).unwrap();
    for (sample, text) in [
        (
            (10, 2.0),
            "duplicate sample for timestamp 1700000010000; overrides not allowed: existing 1, new value 2",
        ),
        ((9, 2.0), "out of order sample"),
        ((-36_000, 2.0), "out of bounds"),
        ((601, 2.0), "out of bounds: timestamp is too far in the future"),
    ] {
        let body = body_v1(&[("__name__=n", &[(11, 1.0)]), ("__name__=a", &[sample])]);
        let report = send(&b, V1, &body).unwrap();
        assert_eq!(refused(&report), (RefusalKind::Invalid, text));
        assert!(!report.has_counts);
    }
    b.check(20, "n", &[]);
    // The same sample again is none too many.
    assert_eq!(send(&b, V1, &body_v1(&[("__name__=a", &[(10, 1.0)])])).unwrap().refusal, None);
}

#[test]
fn of_1_0_series_without_sound_labels_are_passed_over() {
    let b = Bench::new();
    let body = body_v1(&[
        ("x=1", &[(0, 1.0), (1, 1.0)]),
        ("__name__=a x=1 x=2", &[(0, 1.0)]),
        ("__name__=a =2", &[(0, 1.0)]),
        ("__name__=good y=", &[(0, 7.0)]),
    ]);
    let report = send(&b, V1, &body).unwrap();
    assert_eq!((report.refusal, report.samples), (None, 1));
    b.check(0, "{__name__=~'.+'}", &["{__name__=\"good\"} 7"]);
    assert_eq!(b.metric("prometheus_api_remote_write_invalid_labels_samples_total"), 4.0);
    assert!(b.engine.take_logs().iter().any(|l| l.level == "warn" && l.text.contains("invalid metric name")));
}

#[test]
fn of_2_0_what_can_be_stored_is() {
    let b = Bench::new();
    send(&b, V2, &body_v2(&[("__name__=a", &[(10, 1.0)])])).unwrap();
    let body = body_v2(&[
        ("__name__=a", &[(9, 1.0), (10, 3.0), (11, 4.0), (-36_000, 1.0), (601, 1.0)]),
        ("x=1", &[(11, 1.0)]),
        ("__name__=a x=1 x=2", &[(11, 1.0)]),
        ("__name__=empty", &[]),
        ("__name__=b", &[(11, 8.0)]),
    ]);
    let report = send(&b, V2, &body).unwrap();
    assert_eq!((report.samples, report.has_counts), (2, true));
    let (kind, text) = refused(&report);
    assert_eq!(kind, RefusalKind::Invalid);
    let expected = [
        "out of order sample for series {__name__=\"a\"}",
        "duplicate sample for timestamp 1700000010000; overrides not allowed: existing 1, new value 3 for series {__name__=\"a\"}",
        "out of bounds for series {__name__=\"a\"}",
        "out of bounds: timestamp is too far in the future for series {__name__=\"a\"}",
        "invalid metric name or labels, got {x=\"1\"}",
        "invalid labels for series, labels {__name__=\"a\", x=\"1\", x=\"2\"}, duplicated label x",
        "TimeSeries must contain at least one sample or histogram for series {__name__=\"empty\"}",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    b.check(11, "{__name__=~'.+'}", &["{__name__=\"a\"} 4", "{__name__=\"b\"} 8"]);
}

#[test]
fn of_2_0_references_outside_the_symbols_cost_their_series() {
    let b = Bench::new();
    // Symbols "", "__name__", "a"; a series with an odd list, one with a reference too high, a good one.
    let series = |refs: &[u8], t: u8| {
        let mut s = vec![0x0a, refs.len() as u8];
        s.extend_from_slice(refs);
        s.extend_from_slice(&[0x12, 0x0b, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, t]);
        [vec![0x2a, s.len() as u8], s].concat()
    };
    let mut body = vec![0x22, 0, 0x22, 8];
    body.extend_from_slice(b"__name__");
    body.extend_from_slice(&[0x22, 1, b'a']);
    body.extend(series(&[1], 1));
    body.extend(series(&[1, 9], 1));
    body.extend(series(&[1, 2], 1));
    let report = send(&b, V2, &body).unwrap();
    let expected = "parsing labels for series [1]: invalid labelRefs length 1\n\
                    parsing labels for series [1 9]: labelRefs 1 (name) = 9 (value) outside of symbols table (size 3)";
    assert_eq!(refused(&report), (RefusalKind::Invalid, expected));
    assert_eq!(report.samples, 1);
}

#[test]
fn headers_and_bodies_that_are_none() {
    let b = Bench::new();
    let body = body_v1(&[("__name__=a", &[(0, 1.0)])]);
    let report = send(&b, "application/json", &body).unwrap();
    assert_eq!(refused(&report).0, RefusalKind::MediaType);

    let raw = |pieces: Vec<Vec<u8>>, content_encoding: &str| {
        let content_encoding = content_encoding.to_owned();
        let request = RemoteWriteRequest {
            pieces,
            content_type: V1.to_owned(),
            content_encoding,
            accepted: Vec::new(),
        };
        wait(|done| b.engine.ingest_remote_write(request, done)).unwrap()
    };
    assert_eq!(refused(&raw(vec![pack(&body)], "gzip")).0, RefusalKind::MediaType);
    assert_eq!(refused(&raw(vec![body.clone()], "")).0, RefusalKind::Invalid);
    assert_eq!(refused(&raw(vec![], "")).0, RefusalKind::Invalid);
    assert_eq!(refused(&raw(vec![vec![0; (32 << 20) + 1]], "")).0, RefusalKind::TooLarge);
    assert_eq!(refused(&raw(vec![pack(&vec![0; (32 << 20) + 1])], "")).0, RefusalKind::Invalid);

    // The fault stands at the end: nothing of what comes before it is stored.
    for content_type in [V1, V2] {
        let good = if content_type == V1 { body.clone() } else { body_v2(&[("__name__=a", &[(0, 1.0)])]) };
        let report = send(&b, content_type, &[good, vec![0x2a, 0x7f, 0, 0x1a, 0x7f]].concat()).unwrap();
        assert_eq!(refused(&report).0, RefusalKind::Invalid);
        assert_eq!((report.samples, report.has_counts), (0, content_type == V2));
    }
    b.check(0, "a", &[]);
    assert_eq!(raw(vec![pack(&[])], "").refusal, None);
}

#[test]
fn a_series_that_the_database_has_dropped_is_made_again() {
    let b = Bench::new();
    let now = |hours: i64| b.clock.set_ms(T0 + hours * 3_600_000);
    for version in [V1, V2] {
        let body = |second| {
            let series: [(&str, Samples<'_>); 1] = [("__name__=a x=1", &[(second, second as f64)])];
            if version == V1 { body_v1(&series) } else { body_v2(&series) }
        };
        let start = if version == V1 { 0 } else { 100 };
        let other = |hours: i64| {
            let t = hours * 3600;
            send(&b, V1, &body_v1(&[("__name__=other", &[(t, t as f64)])])).unwrap();
        };
        now(start);
        send(&b, version, &body(start * 3600)).unwrap();
        // The head moves on until a block has been cut and the series has left it.
        for hour in start + 1..start + 9 {
            now(hour);
            other(hour);
            wait(|done| b.engine.maintain(done)).unwrap();
        }
        assert_eq!(b.metric("prometheus_tsdb_head_series"), 1.0);
        let late = (start + 8) * 3600;
        let report = send(&b, version, &body(late)).unwrap();
        assert_eq!((report.refusal, report.samples), (None, 1));
        b.check(late, "a", &[&format!("{{__name__=\"a\", x=\"1\"}} {late}")]);
    }
}

#[test]
fn histograms_are_stored_and_faulty_ones_refused() {
    let b = Bench::new();
    let good = Histogram {
        count: 3,
        sum: 6.5,
        schema: 0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![1, 1],
        ..Histogram::default()
    };
    let bad = Histogram { count: 9, ..good.clone() };
    let mut v1 = Vec::new();
    write_v1::put_series(&mut v1, labels("__name__=h v=1"), |w| w.histogram(T0, &good));
    let report = send(&b, V1, &v1).unwrap();
    assert_eq!((report.refusal, report.histograms), (None, 1));

    let mut writer = RequestWriter::default();
    writer.put_series(labels("__name__=h v=2"), &Metadata::default(), |w| {
        w.histogram(T0, 0, &good);
        w.histogram(T0 + 1000, 0, &bad);
    });
    let mut v2 = Vec::new();
    writer.finish(&mut v2);
    let report = send(&b, V2, &v2).unwrap();
    assert_eq!(report.histograms, 1);
    let (kind, text) = refused(&report);
    assert_eq!(kind, RefusalKind::Invalid);
    assert!(text.ends_with(" for series {__name__=\"h\", v=\"2\"}"), "{text}");
    b.check(1, "histogram_count(h)", &["{v=\"1\"} 3", "{v=\"2\"} 3"]);

    let mut v1 = Vec::new();
    write_v1::put_series(&mut v1, labels("__name__=h v=3"), |w| w.histogram(T0, &bad));
    assert_eq!(refused(&send(&b, V1, &v1).unwrap()).0, RefusalKind::Invalid);
    b.check(1, "count(h)", &["{} 2"]);
}

#[test]
fn an_exemplar_of_a_series_that_is_not_there_costs_only_itself() {
    let b = Bench::new();
    let mut writer = RequestWriter::default();
    writer.put_series(labels("__name__=late"), &Metadata::default(), |w| {
        w.sample(T0 + 3_600_000, 1.0, 0);
        w.exemplar([("trace", "1")], 1.0, T0);
    });
    writer.put_series(labels("__name__=good"), &Metadata::default(), |w| w.sample(T0, 1.0, 0));
    let mut body = Vec::new();
    writer.finish(&mut body);
    let report = send(&b, V2, &body).unwrap();
    assert_eq!((report.samples, report.exemplars), (1, 0));
    assert!(refused(&report).1.starts_with("out of bounds: timestamp is too far"));
    b.check(0, "good", &["{__name__=\"good\"} 1"]);
}

#[test]
fn a_closed_engine_says_so() {
    let b = Bench::new();
    wait(|done| b.engine.close(done)).unwrap();
    let e = send(&b, V1, &body_v1(&[("__name__=a", &[(0, 1.0)])])).unwrap_err();
    assert_eq!(e.code, ErrorCode::Closed);
}

#[test]
fn only_accepted_messages_are_taken() {
    let b = Bench::new();
    let request = RemoteWriteRequest {
        pieces: vec![pack(&body_v2(&[("__name__=a", &[(0, 1.0)])]))],
        content_type: V2.to_owned(),
        content_encoding: "snappy".to_owned(),
        accepted: vec!["prometheus.WriteRequest".to_owned()],
    };
    let report = wait(|done| b.engine.ingest_remote_write(request, done)).unwrap();
    let text = "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts prometheus.WriteRequest";
    assert_eq!(refused(&report), (RefusalKind::MediaType, text));
    b.check(0, "a", &[]);
}

fn bench_with(feature: &str) -> Bench {
    let mut features = engine::options::Features::default();
    features.enable(feature).unwrap();
    let fs = storage::MemFs::new();
    let options = engine::EngineOptions { features, ..engine::EngineOptions::default() };
    Bench::on(std::sync::Arc::new(fs.clone()), fs, T0, options, std::sync::Arc::new(storage::Inline))
}

#[test]
fn of_2_0_starts_become_zeroes() {
    let b = bench_with("created-timestamp-zero-ingestion");
    let sent = |v: f64, st: i64, second: i64| {
        let mut writer = RequestWriter::default();
        writer.put_series(labels("__name__=a"), &Metadata::default(), |w| {
            w.sample(T0 + second * 1000, v, T0 + st * 1000);
        });
        let histogram = Histogram {
            count: 3,
            sum: v,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![3],
            ..Histogram::default()
        };
        writer.put_series(labels("__name__=h"), &Metadata::default(), |w| {
            w.histogram(T0 + second * 1000, T0 + st * 1000, &histogram);
        });
        let mut body = Vec::new();
        writer.finish(&mut body);
        let report = send(&b, V2, &body).unwrap();
        assert_eq!((report.refusal, report.samples, report.histograms), (None, 1, 1));
    };
    sent(5.0, -60, 0);
    // The same start again, one that is not before the sample, and one that is not known: no zero.
    sent(6.0, -60, 15);
    sent(7.0, 30, 30);
    sent(8.0, -(T0 / 1000), 45);
    // The series began anew.
    sent(1.0, 50, 60);
    b.check(60, "count_over_time(a[5m])", &["{} 7"]);
    b.check(60, "count_over_time(h[5m])", &["{} 7"]);
    b.check(-60, "a", &["{__name__=\"a\"} 0"]);
    b.check(50, "a", &["{__name__=\"a\"} 0"]);
    b.check(50, "histogram_count(h)", &["{} 0"]);
    b.check(60, "resets(h[5m])", &["{} 1"]);
}

#[test]
fn of_2_0_metadata_become_labels() {
    let b = bench_with("type-and-unit-labels");
    let described = |kind, unit: &'static str| Metadata { kind, help: "".into(), unit: unit.into() };
    let mut writer = RequestWriter::default();
    for (text, metadata) in [
        ("__name__=a __type__=gauge x=1", described(model::MetricType::Counter, "seconds")),
        ("__name__=b __type__=gauge", described(model::MetricType::Unknown, "")),
        ("__name__=c __type__=gauge __unit__=m", described(model::MetricType::Unknown, "bytes")),
    ] {
        writer.put_series(labels(text), &metadata, |w| w.sample(T0, 1.0, 0));
    }
    let mut body = Vec::new();
    writer.finish(&mut body);
    assert_eq!(send(&b, V2, &body).unwrap().samples, 3);
    b.check(
        0,
        "{__name__=~'.+'}",
        &[
            r#"{__name__="a", __type__="counter", __unit__="seconds", x="1"} 1"#,
            r#"{__name__="b", __type__="gauge"} 1"#,
            r#"{__name__="c", __unit__="bytes"} 1"#,
        ],
    );
}
