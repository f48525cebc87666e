//! Scrapes in protobuf, native histograms, the conversion of classic ones, zeroes at starts.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Bench, T0, body};
use engine::EngineOptions;
use engine::query::QueryTimes;
use engine::scrape::{ScrapeReport, Target};
use model::FloatHistogram;
use protobuf::writer::{
    put_bytes, put_double, put_int, put_message, put_string, put_uint, put_varint, zigzag32, zigzag64,
};
use storage::{Inline, MemFs};

const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";
const START_S: i64 = T0 / 1000 - 60;

fn bench(features: &[&str]) -> Bench {
    let mut options = EngineOptions::default();
    for name in features {
        options.features.enable(name).unwrap();
    }
    let fs = MemFs::new();
    Bench::on(Arc::new(fs.clone()), fs, T0, options, Arc::new(Inline))
}

/// A family of one metric with the label `x`, behind its length.
fn family(name: &str, kind: u64, x: &str, metric: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = Vec::new();
    put_string(&mut message, 1, name);
    put_string(&mut message, 2, "help");
    put_uint(&mut message, 3, kind);
    put_message(&mut message, 4, |out| {
        put_message(out, 1, |out| {
            put_string(out, 1, "x");
            put_string(out, 2, x);
        });
        metric(out);
    });
    let mut out = Vec::new();
    put_varint(&mut out, message.len() as u64);
    out.extend(message);
    out
}

fn counter(name: &str, value: f64) -> Vec<u8> {
    family(name, 0, "1", |out| {
        put_message(out, 3, |out| {
            put_double(out, 1, value);
            put_message(out, 3, |out| put_int(out, 1, START_S));
        });
    })
}

/// Native buckets 0…`n` of schema 3 with one observation each, and classic ones with the same.
fn histogram(n: u32, start: bool) -> Vec<u8> {
    family("h", 4, "1", |out| {
        put_message(out, 7, |out| {
            put_uint(out, 1, u64::from(n));
            put_double(out, 2, 2.5);
            for (bound, count) in [(0.5, 1), (f64::INFINITY, n)] {
                put_message(out, 3, |out| {
                    put_uint(out, 1, u64::from(count));
                    put_double(out, 2, bound);
                });
            }
            put_uint(out, 5, u64::from(zigzag32(6)));
            put_message(out, 12, |out| put_uint(out, 2, u64::from(n)));
            let mut deltas = Vec::new();
            (0..n).for_each(|i| put_varint(&mut deltas, zigzag64(i64::from(i == 0))));
            put_bytes(out, 13, &deltas);
            if start {
                put_message(out, 15, |out| put_int(out, 1, START_S));
            }
        });
    })
}

fn put(b: &Bench, t: &Target, second: i64, bytes: &[u8]) -> ScrapeReport {
    b.put(t, second, body(bytes, PROTOBUF, "")).unwrap()
}

fn native(b: &Bench, second: i64, query: &str) -> Vec<FloatHistogram> {
    let answer = b.ask(query, QueryTimes::Instant(T0 + second * 1000)).unwrap();
    let promql::Value::Vector(samples) = answer.value else { panic!("{:?}", answer.value) };
    let histogram = |s: promql::VectorSample| match s.value {
        promql::SampleValue::Histogram(h) => FloatHistogram::clone(&h),
        promql::SampleValue::Float(v) => panic!("{v} is no histogram"),
    };
    samples.into_iter().map(histogram).collect()
}

#[test]
fn a_protobuf_body_becomes_series_and_they_end() {
    let b = bench(&[]);
    let t = b.target(|o| o.native_histograms = true);
    for second in [0, 15, 30] {
        let report = put(&b, &t, second, &[counter("c_total", second as f64), histogram(4, false)].concat());
        assert_eq!((report.error, report.samples_scraped), (None, 2));
        assert_eq!(report.series_added, if second == 0 { 2 } else { 0 });
    }
    b.check(30, "c_total", &[r#"{__name__="c_total", instance="h:1", job="j", x="1"} 30"#]);
    let h = &native(&b, 30, "h")[0];
    assert_eq!((h.count, h.sum, h.schema, h.positive_buckets.len()), (4.0, 2.5, 6, 4));
    put(&b, &t, 45, &counter("c_total", 45.0));
    assert!(native(&b, 45, "h").is_empty(), "a stale marker ends the histogram");
    b.check(45, "count(c_total)", &["{} 1"]);
}

#[test]
fn options_choose_between_native_and_classic() {
    let check = |native_histograms, always, convert, floats: &[&str], schemas: &[i32]| {
        let b = bench(&[]);
        let t = b.target(|o| {
            o.native_histograms = native_histograms;
            o.always_classic_histograms = always;
            o.classic_histograms_to_nhcb = convert;
        });
        assert_eq!(put(&b, &t, 0, &histogram(4, false)).error, None);
        let classic = r#"count by (__name__, le) ({__name__=~"h_.*"})"#;
        b.check(0, classic, floats);
        assert_eq!(native(&b, 0, "h").iter().map(|h| h.schema).collect::<Vec<_>>(), schemas);
    };
    let classic = [
        r#"{__name__="h_bucket", le="+Inf"} 1"#,
        r#"{__name__="h_bucket", le="0.5"} 1"#,
        r#"{__name__="h_count"} 1"#,
        r#"{__name__="h_sum"} 1"#,
    ];
    check(false, false, false, &classic, &[]);
    check(true, false, false, &[], &[6]);
    check(true, true, false, &classic, &[6]);
    check(false, false, true, &[], &[-53]);
    check(false, true, true, &classic, &[-53]);
    check(true, false, true, &[], &[6]);
}

#[test]
fn classic_histograms_of_text_are_converted() {
    let b = bench(&[]);
    let t = b.target(|o| o.classic_histograms_to_nhcb = true);
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 2.5\nh_count 4\n";
    for second in [0, 15] {
        let report = b.scrape(&t, second, text);
        assert_eq!((report.error, report.samples_scraped), (None, 1));
    }
    assert_eq!(native(&b, 15, "h")[0].custom_values, [1.0]);
}

#[test]
fn limits_reduce_the_resolution_or_fail() {
    let schema = |bucket_limit, min_bucket_factor| {
        let b = bench(&[]);
        let t = b.target(|o| {
            o.native_histograms = true;
            (o.bucket_limit, o.min_bucket_factor) = (bucket_limit, min_bucket_factor);
        });
        let report = put(&b, &t, 0, &[counter("c_total", 1.0), histogram(160, false)].concat());
        (native(&b, 0, "h").first().map(|h| h.schema), report.error.unwrap_or_default())
    };
    assert_eq!(schema(0, 0.0), (Some(6), String::new()));
    assert_eq!(schema(160, 0.0), (Some(6), String::new()));
    assert_eq!(schema(81, 0.0), (Some(5), String::new()));
    assert_eq!(schema(0, 1.1), (Some(2), String::new()));
    assert_eq!(schema(1, 0.0), (None, "histogram bucket limit exceeded".to_owned()));
}

#[test]
fn a_body_that_is_broken_leaves_nothing() {
    let b = bench(&[]);
    let t = b.target(|o| o.native_histograms = true);
    let whole = [counter("c_total", 1.0), histogram(4, false)].concat();
    let cut = put(&b, &t, 0, &whole[..whole.len() - 1]);
    assert!(cut.error.unwrap().starts_with("clientpb: insufficient length of buffer"));
    b.check(0, "c_total", &[]);
    b.check(0, "up", &[r#"{__name__="up", instance="h:1", job="j"} 0"#]);
    let mut unsound = Vec::new();
    put_string(&mut unsound, 1, "h");
    put_uint(&mut unsound, 3, 4);
    put_message(&mut unsound, 4, |out| {
        put_message(out, 7, |out| put_message(out, 12, |out| put_uint(out, 2, u64::from(u32::MAX))));
    });
    let mut bytes = counter("c_total", 1.0);
    put_varint(&mut bytes, unsound.len() as u64);
    bytes.extend(unsound);
    let report = put(&b, &t, 15, &bytes);
    assert_eq!(
        report.error.unwrap(),
        "histogram \"h\": positive side: spans require 4294967295 buckets, have 0"
    );
    b.check(15, "c_total", &[]);
}

#[test]
fn zeroes_are_put_where_series_began() {
    let b = bench(&["created-timestamp-zero-ingestion"]);
    let t = b.target(|o| o.native_histograms = true);
    for second in [0, 15, 30] {
        let report = put(&b, &t, second, &[counter("c_total", 5.0), histogram(4, true)].concat());
        assert_eq!((report.error, report.out_of_order), (None, 0));
    }
    let labels = r#"{instance="h:1", job="j", x="1"}"#;
    b.check(30, "count_over_time(c_total[5m])", &[&format!("{labels} 4")]);
    b.check(30, "count_over_time(h[5m])", &[&format!("{labels} 4")]);
    b.check(-60, "c_total", &[r#"{__name__="c_total", instance="h:1", job="j", x="1"} 0"#]);
    assert_eq!(native(&b, -60, "h")[0].count, 0.0);
    assert_eq!(b.metric("prometheus_tsdb_out_of_order_samples_total{type=\"float\"}"), 0.0);
    let text = format!("# TYPE a counter\na_total 7\na_created {START_S}\n# EOF\n");
    let other = b.target(|o| o.labels = model::Labels::from_pairs([("job", "k")]));
    b.put(&other, 31, body(text.as_bytes(), OPEN_METRICS, "")).unwrap();
    b.check(31, "count_over_time({job=\"k\",__name__=~\"a_.*\"}[5m])", &[r#"{job="k"} 2"#]);
}
