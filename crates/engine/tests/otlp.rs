//! OTLP from the body's bytes to what a query sees, and what the sender is told.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Bench, T0, wait};
use engine::options::Features;
use engine::otlp::{OtlpReport, OtlpRequest, OtlpSettings, Promotion, TranslationStrategy};
use engine::{EngineError, EngineOptions};
use storage::{Inline, MemFs};

fn try_send(b: &Bench, content_type: &str, encoding: &str, body: &[u8]) -> Result<OtlpReport, EngineError> {
    // In two pieces, as a socket may give it.
    let (head, tail) = body.split_at(body.len() / 2);
    let request = OtlpRequest {
        pieces: vec![head.to_vec(), tail.to_vec()],
        content_type: content_type.to_owned(),
        content_encoding: encoding.to_owned(),
    };
    wait(|done| b.engine.ingest_otlp(request, done))
}

/// Sends JSON and the protobuf that it stands for; both are answered alike.
fn send(b: &Bench, json: &str) -> OtlpReport {
    try_send(b, "application/json", "", json.as_bytes()).unwrap()
}

fn refusal(report: &OtlpReport) -> (bool, &str) {
    let refusal = report.refusal.as_ref().unwrap_or_else(|| panic!("{report:?}"));
    (refusal.is_bad_request, &refusal.text)
}

fn ns(second: i64) -> String {
    format!("{}", (T0 + second * 1000) * 1_000_000)
}

fn with_features(names: &[&str]) -> Bench {
    let mut features = Features::default();
    names.iter().for_each(|name| features.enable(name).unwrap());
    let fs = MemFs::new();
    let options = EngineOptions { features, ..EngineOptions::default() };
    Bench::on(Arc::new(fs.clone()), fs, T0, options, Arc::new(Inline))
}

fn metrics(resource: &str, metrics: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{resource}]}},"scopeMetrics":[{{"scope":{{"name":"lib","version":"1"}},"metrics":[{metrics}]}}]}}]}}"#
    )
}

fn attribute(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

fn sum(name: &str, temporality: u8, point: &str) -> String {
    format!(
        r#"{{"name":"{name}","unit":"s","sum":{{"isMonotonic":true,"aggregationTemporality":{temporality},"dataPoints":[{point}]}}}}"#
    )
}

#[test]
fn points_become_samples_and_the_resource_target_info() {
    let b = Bench::new();
    let resource = [attribute("service.name", "shop"), attribute("host.name", "h1")].join(",");
    for second in 0..3 {
        let t = ns(second * 10);
        let point = format!(
            r#"{{"timeUnixNano":"{t}","asInt":"{second}","attributes":[{}]}}"#,
            attribute("http.method", "GET")
        );
        let json = metrics(&resource, &sum("cpu.time", 2, &point));
        let report = send(&b, &json);
        assert_eq!(report, OtlpReport { samples: 2, ..OtlpReport::default() });
        let mut protobuf = Vec::new();
        wire::otlp::json::to_protobuf(json.as_bytes(), &mut protobuf).unwrap();
        // The same once more is no fault.
        assert_eq!(try_send(&b, "application/x-protobuf", "", &protobuf).unwrap(), report);
    }
    b.check(
        20,
        "cpu_time_seconds_total",
        &[r#"{__name__="cpu_time_seconds_total", http_method="GET", job="shop"} 2"#],
    );
    b.check(20, "target_info", &[r#"{__name__="target_info", host_name="h1", job="shop"} 1"#]);
    assert_eq!(b.metric("prometheus_tsdb_head_series"), 2.0);
}

#[test]
fn settings_hold_from_the_next_request_on() {
    let b = Bench::new();
    let resource = [attribute("service.name", "shop"), attribute("host.name", "h1")].join(",");
    let send_at = |second| {
        let point = format!(r#"{{"timeUnixNano":"{}","asDouble":1.5}}"#, ns(second));
        let report = send(&b, &metrics(&resource, &sum("cpu.time", 2, &point)));
        assert_eq!(report.refusal, None);
    };
    send_at(0);
    b.engine.apply_otlp(OtlpSettings {
        strategy: TranslationStrategy::NoTranslation,
        promotion: Promotion::AllBut(["service.name".to_owned()].into()),
        promote_scope_metadata: true,
        ..OtlpSettings::default()
    });
    send_at(10);
    b.check(10, r#"{"cpu.time"}"#, &[
        r#"{__name__="cpu.time", "host.name"="h1", job="shop", otel_scope_name="lib", otel_scope_version="1"} 1.5"#,
    ]);
}

#[test]
fn all_or_nothing_is_stored() {
    let b = Bench::new();
    let point = |second: i64| format!(r#"{{"timeUnixNano":"{}","asInt":1}}"#, ns(second));
    assert_eq!(send(&b, &metrics("", &sum("a", 2, &point(10)))).refusal, None);
    let both = |other: &str| metrics("", &[sum("n", 2, &point(11)), other.to_owned()].join(","));
    for (other, is_bad_request, text) in [
        (sum("a", 2, &point(5)), true, "out of order sample"),
        (sum("a", 2, &point(-36_000)), true, "out of bounds"),
        (sum("a", 2, &point(700)), true, "out of bounds: timestamp is too far in the future"),
        (sum("a", 1, &point(20)), false, "invalid temporality and type combination for metric \"a\""),
        (sum("a", 0, &point(20)), false, "invalid temporality and type combination for metric \"a\""),
        (
            r#"{"name":"x"}"#.to_owned(),
            false,
            "could not get aggregation temporality for x as it has unsupported metric type Empty",
        ),
    ] {
        let report = send(&b, &both(&other));
        assert_eq!(refusal(&report), (is_bad_request, text));
    }
    b.check(20, "n_seconds_total", &[]);
    // One fault of a sample makes it all a bad request.
    let other = [sum("a", 1, &point(20)), sum("a", 2, &point(5))].join(",");
    let report = send(&b, &both(&other));
    let text = "invalid temporality and type combination for metric \"a\"\nout of order sample";
    assert_eq!(refusal(&report), (true, text));
}

#[test]
fn histograms_and_summaries() {
    let b = Bench::new();
    let t = ns(0);
    let json = metrics(
        "",
        &format!(
            r#"{{"name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[
             {{"timeUnixNano":"{t}","count":"6","sum":1.5,"bucketCounts":[1,2,3],"explicitBounds":[0.5,10]}}]}}}},
           {{"name":"s","summary":{{"dataPoints":[
             {{"timeUnixNano":"{t}","count":"4","sum":8,"quantileValues":[{{"quantile":0.99,"value":3}}]}}]}}}},
           {{"name":"e","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[
             {{"timeUnixNano":"{t}","count":"7","sum":8,"scale":0,"zeroCount":"1",
               "positive":{{"offset":0,"bucketCounts":["1","2","3"]}}}}]}}}}"#
        ),
    );
    let report = send(&b, &json);
    assert_eq!(report, OtlpReport { samples: 8, histograms: 1, ..OtlpReport::default() });
    b.check(
        0,
        r#"{__name__=~"[hs](_.*)?"}"#,
        &[
            r#"{__name__="h_bucket", le="+Inf"} 6"#,
            r#"{__name__="h_bucket", le="0.5"} 1"#,
            r#"{__name__="h_bucket", le="10"} 3"#,
            r#"{__name__="h_count"} 6"#,
            r#"{__name__="h_sum"} 1.5"#,
            r#"{__name__="s", quantile="0.99"} 3"#,
            r#"{__name__="s_count"} 4"#,
            r#"{__name__="s_sum"} 8"#,
        ],
    );
    b.check(0, "histogram_count(e)", &["{} 7"]);
    b.check(0, "histogram_fraction(1, 4, e) * 7", &["{} 3"]);
}

#[test]
fn deltas() {
    let point = |second: i64, v: i64| format!(r#"{{"timeUnixNano":"{}","asInt":{v}}}"#, ns(second));
    let raw = with_features(&["otlp-native-delta-ingestion"]);
    let summed = with_features(&["otlp-deltatocumulative"]);
    for b in [&raw, &summed] {
        for (second, v) in [(0, 1), (10, 2), (20, 4)] {
            assert_eq!(send(b, &metrics("", &sum("a", 1, &point(second, v)))).refusal, None);
        }
        // Late: stored nowhere, and no fault where sums are made.
        let late = send(b, &metrics("", &sum("a", 1, &point(10, 9))));
        assert_eq!(late.refusal.is_some(), std::ptr::eq(b, &raw));
    }
    raw.check(20, "a_seconds_total", &[r#"{__name__="a_seconds_total"} 4"#]);
    summed.check(20, "a_seconds_total", &[r#"{__name__="a_seconds_total"} 7"#]);
}

#[test]
fn headers_and_bodies_that_are_refused() {
    let b = Bench::new();
    for (content_type, encoding, body, text) in [
        (
            "",
            "",
            &b""[..],
            "unsupported content type: , supported: [application/json, application/x-protobuf]",
        ),
        (
            "text/plain",
            "",
            b"",
            "unsupported content type: text/plain, supported: [application/json, application/x-protobuf]",
        ),
        (
            "application/json",
            "zstd",
            b"",
            "unsupported compression: zstd. Only \"gzip\" or no compression supported",
        ),
        ("application/x-protobuf", "gzip", b"certainly no gzip at all", "gzip: invalid header"),
        ("application/x-protobuf", "", &[0x0a, 5, 1], "unexpected EOF"),
        ("application/json", "", b"{", "EOF while parsing an object at line 1 column 1"),
    ] {
        let report = try_send(&b, content_type, encoding, body).unwrap();
        assert_eq!(refusal(&report), (true, text));
    }
    let huge = vec![0; wire::otlp::BODY_BYTES_MAX + 1];
    let report = try_send(&b, "application/x-protobuf", "", &huge).unwrap();
    assert_eq!(refusal(&report), (true, "request body exceeds the 33554432 bytes limit"));
    assert_eq!(try_send(&b, "application/x-protobuf", "", b"").unwrap(), OtlpReport::default());
}

#[test]
fn remarks_are_counted() {
    let b = Bench::new();
    let t = ns(0);
    let collide = format!(
        r#"{{"name":"g","gauge":{{"dataPoints":[{{"timeUnixNano":"{t}","asInt":1,"attributes":[{},{}]}}]}}}}"#,
        attribute("a.b", "2"),
        attribute("a_b", "1")
    );
    let empty = r#"{"name":"x","gauge":{"dataPoints":[]}}"#;
    for _ in 0..2 {
        assert_eq!(send(&b, &metrics("", &[collide.as_str(), empty].join(","))).refusal, None);
    }
    b.check(0, "g", &[r#"{__name__="g", a_b="2;1"} 1"#]);
    let name = "prometheus_api_otlp_translation_warnings_total";
    assert_eq!(b.metric(&format!("{name}{{category=\"label_name_collision\"}}")), 2.0);
    assert_eq!(b.metric(&format!("{name}{{category=\"empty_data_points\"}}")), 2.0);
}
