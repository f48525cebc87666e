//! What a scrape makes of labels, formats, encodings and timestamps.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::sync::Arc;

use common::{Bench, T0, TEXT, body};
use engine::scrape::TargetOptions;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::relabel::{NameValidation, RelabelAction, RelabelConfig, RelabelParts};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut e = GzEncoder::new(Vec::new(), Compression::default());
    e.write_all(text).unwrap();
    e.finish().unwrap()
}

fn rule(parts: RelabelParts) -> RelabelConfig {
    RelabelConfig::new(parts, NameValidation::Utf8).unwrap()
}

/// Sets the metric's name to `replacement` where it matches `regex`.
fn rename(regex: &str, replacement: &str) -> RelabelConfig {
    rule(RelabelParts {
        source_labels: Some(vec!["__name__".to_owned()]),
        regex: Some(regex.to_owned()),
        target_label: "__name__".to_owned(),
        replacement: replacement.to_owned(),
        ..RelabelParts::default()
    })
}

#[test]
fn honor_labels_decides_whose_label_wins() {
    let text = "a{job=\"own\",instance=\"\"} 1\n";
    for (honor_labels, expected) in [
        (false, r#"{__name__="a", exported_job="own", instance="h:1", job="j"} 1"#),
        (true, r#"{__name__="a", instance="h:1", job="own"} 1"#),
    ] {
        let b = Bench::new();
        b.scrape(&b.target(|o| o.honor_labels = honor_labels), 0, text);
        b.check(0, "a", &[expected]);
        // The target's own series are its own in any case.
        b.check(0, "up", &[r#"{__name__="up", instance="h:1", job="j"} 1"#]);
    }
}

#[test]
fn metric_relabelling_drops_and_renames() {
    let b = Bench::new();
    let t = b.target(|o| {
        o.metric_relabel = Arc::new([
            rule(RelabelParts {
                source_labels: Some(vec!["__name__".to_owned()]),
                regex: Some("noise_.*".to_owned()),
                action: RelabelAction::Drop,
                ..RelabelParts::default()
            }),
            rename("old_(.*)", "new_$1"),
        ]);
    });
    for second in 0..3 {
        let r = b.scrape(&t, second, "noise_a 1\nold_b 2\nc 3\n");
        assert_eq!((r.samples_scraped, r.samples_post_metric_relabeling), (3, 2));
        assert_eq!(r.series_added, if second == 0 { 2 } else { 0 });
    }
    b.check(2, "count({job=\"j\",__name__=~\"noise_.*|old_.*\"})", &[]);
    b.check(2, "new_b", &[r#"{__name__="new_b", instance="h:1", job="j"} 2"#]);
    // What relabelling makes one series is one series. As in Prometheus the commit drops the second
    // sample, uncounted.
    let t = b.target(|o| {
        o.metric_relabel = Arc::new([rule(RelabelParts {
            regex: Some("x".to_owned()),
            action: RelabelAction::LabelDrop,
            ..RelabelParts::default()
        })]);
        o.labels = model::Labels::from_pairs([("job", "merged")]);
    });
    for second in 3..5 {
        let r = b.scrape(&t, second, "a{x=\"1\"} 1\na{x=\"2\"} 2\n");
        assert_eq!(r.error, None);
    }
    b.check(4, "a", &[r#"{__name__="a", job="merged"} 1"#]);
    // A name that relabelling takes away.
    let t = b.target(|o| o.metric_relabel = Arc::new([rename(".*", "")]));
    let r = b.scrape(&t, 6, "a 1\n");
    assert_eq!(r.error.as_deref(), Some("missing metric name (__name__ label)"));
}

#[test]
fn gzip_is_inflated_under_the_limit() {
    let b = Bench::new();
    let packed = gzip("a 1\n".as_bytes());
    let r = b.put(&b.target(|_| {}), 0, body(&packed, TEXT, "gzip")).unwrap();
    assert_eq!((r.error, r.samples_scraped, r.body_bytes), (None, 1, 4));

    let bomb = gzip("# a comment that repeats\n".repeat(400_000).as_bytes());
    assert!(bomb.len() < 50_000);
    let t = b.target(|o| o.body_size_limit = 1_000_000);
    let r = b.put(&t, 1, body(&bomb, TEXT, "gzip")).unwrap();
    assert_eq!((r.error.as_deref(), r.body_bytes), (Some("body size limit exceeded"), -1));
    b.check(1, "up", &[r#"{__name__="up", instance="h:1", job="j"} 0"#]);

    for (bytes, encoding) in [(&packed[..packed.len() - 3], "gzip"), (b"a 1\n", "gzip"), (b"a 1\n", "br")] {
        let r = b.put(&t, 2, body(bytes, TEXT, encoding)).unwrap();
        assert!(r.error.is_some());
    }
}

#[test]
fn series_with_their_own_timestamps_go_stale_only_if_asked() {
    for (track, expected) in [(false, vec![r#"{__name__="a", instance="h:1", job="j"} 1"#]), (true, vec![])] {
        let b = Bench::new();
        let t = b.target(|o| o.track_timestamps_staleness = track);
        b.scrape(&t, 0, &format!("a 1 {T0}\nb 2\n"));
        b.scrape(&t, 1, "b 2\n");
        b.check(1, "a", &expected);
    }
}

#[test]
fn a_change_of_format_changes_what_texts_mean() {
    let b = Bench::new();
    let t = b.target(|_| {});
    b.scrape(&t, 0, "a_total 1\nh_bucket{le=\"1\"} 2\n");
    // The same bytes mean le="1.0" in OpenMetrics.
    let text = b"# TYPE a counter\na_total 2\n# TYPE h histogram\nh_bucket{le=\"1\"} 3\n# EOF\n";
    let r = b.put(&t, 1, body(text, OPEN_METRICS, "")).unwrap();
    assert_eq!(r.error, None);
    let series =
        |le: &str, v: u8| format!(r#"{{__name__="h_bucket", instance="h:1", job="j", le="{le}"}} {v}"#);
    let now = b.query(1, "h_bucket");
    assert!(now == [series("1.0", 3)] || now == [series("1", 3)], "{now:?}");
    b.check(1, "a_total", &[r#"{__name__="a_total", instance="h:1", job="j"} 2"#]);
    let r = b.put(&t, 2, body(b"a_total 3\n", OPEN_METRICS, "")).unwrap();
    assert!(r.error.unwrap().contains("EOF"));
    b.scrape(&t, 3, "a_total 4\nh_bucket{le=\"1\"} 5\n");
    b.check(3, "h_bucket", &[&series("1", 5)]);
    b.check(3, "count_over_time(a_total[1h])", &[r#"{instance="h:1", job="j"} 3"#]);
}

#[test]
fn a_series_that_the_head_dropped_is_made_again() {
    let b = Bench::new();
    let hour = 3600;
    let old = b.target(|o| o.labels = model::Labels::from_pairs([("job", "old")]));
    // Timestamps of its own and no staleness: nothing keeps it in the head.
    b.scrape(&old, 0, &format!("a 1 {T0}\n"));
    let other = b.target(|_| {});
    for second in [1, hour, 2 * hour, 3 * hour, 4 * hour, 5 * hour] {
        b.scrape(&other, second, "b 1\n");
        common::wait(|done| b.engine.maintain(done)).unwrap();
    }
    assert!(b.metric("prometheus_tsdb_head_series_removed_total") > 0.0);
    assert!(!b.engine.blocks().is_empty());
    let second = 5 * hour + 1;
    let r = b.scrape(&old, second, &format!("a 2 {}\n", T0 + second * 1000));
    assert_eq!((r.error, r.samples_post_metric_relabeling), (None, 1));
    b.check(second, "a", &[r#"{__name__="a", job="old"} 2"#]);
    b.check(second, "count_over_time(a[6h])", &[r#"{job="old"} 2"#]);
    b.scrape(&old, second + 1, &format!("a 3 {}\n", T0 + (second + 1) * 1000));
    b.check(second + 1, "a", &[r#"{__name__="a", job="old"} 3"#]);
}

#[test]
fn a_line_over_a_limit_fails_every_scrape_that_has_it() {
    let b = Bench::new();
    let t = b.target(|o: &mut TargetOptions| o.label_name_length_limit = 10);
    b.scrape(&t, 0, "a 1\n");
    for second in 1..3 {
        let r = b.scrape(&t, second, "a 2\nb{a_very_long_name=\"1\"} 2\n");
        assert!(r.error.unwrap().starts_with("label_name_length_limit exceeded"));
        b.check(second, "a", &[]);
    }
    b.scrape(&t, 3, "a 3\n");
    b.check(3, "count_over_time(a[1h])", &[r#"{instance="h:1", job="j"} 2"#]);
}

#[test]
fn metadata_is_seen_after_the_scrape_and_survives_its_failure() {
    let b = Bench::new();
    let t = b.target(|_| {});
    b.scrape(&t, 0, "# HELP a First.\n# TYPE a counter\na 1\n");
    b.scrape(&t, 1, "# HELP a Second.\n# TYPE a counter\na !\n");
    let m = t.metadata();
    assert_eq!((m.len(), m[0].0.as_str()), (1, "a"));
    assert_eq!((m[0].1.metric_type.as_str(), m[0].1.help.as_str()), ("counter", "Second."));
}
