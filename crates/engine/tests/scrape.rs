//! Scrapes from body to answer: the real engine over files in memory and a clock moved by hand.

mod common;

use common::{Bench, T0, body, wait};
use engine::scrape::{ScrapeInput, TargetOptions};

#[test]
fn a_body_becomes_series_with_the_targets_labels() {
    let b = Bench::new();
    let t = b.target(|_| {});
    let r = b.scrape(&t, 0, "# TYPE a counter\na{x=\"1\"} 5\nb 7\n");
    assert_eq!((r.samples_scraped, r.samples_post_metric_relabeling, r.series_added), (2, 2, 2));
    assert_eq!((r.error, r.body_bytes), (None, 32));
    b.check(
        0,
        "{job=\"j\",__name__=~\"a|b|up\"}",
        &[
            r#"{__name__="a", instance="h:1", job="j", x="1"} 5"#,
            r#"{__name__="b", instance="h:1", job="j"} 7"#,
            r#"{__name__="up", instance="h:1", job="j"} 1"#,
        ],
    );
    b.check(
        0,
        "scrape_duration_seconds",
        &[r#"{__name__="scrape_duration_seconds", instance="h:1", job="j"} 0.25"#],
    );
    let r = b.scrape(&t, 1, "a{x=\"1\"} 6\nb 8\n");
    assert_eq!(r.series_added, 0);
    b.check(1, "sum({__name__=~\"a|b\"})", &["{} 14"]);
    let m = t.metadata();
    assert_eq!((m.len(), m[0].0.as_str(), m[0].1.metric_type.as_str()), (1, "a", "counter"));
}

#[test]
fn what_leaves_a_scrape_goes_stale() {
    let b = Bench::new();
    let t = b.target(|_| {});
    b.scrape(&t, 0, "a 1\nb 2\n");
    b.scrape(&t, 1, "a 1\n");
    b.check(1, "{__name__=~\"a|b\"}", &[r#"{__name__="a", instance="h:1", job="j"} 1"#]);
    b.scrape(&t, 2, "b 3\n");
    b.check(2, "{__name__=~\"a|b\"}", &[r#"{__name__="b", instance="h:1", job="j"} 3"#]);
}

#[test]
fn a_bad_line_fails_the_scrape_and_leaves_nothing() {
    let b = Bench::new();
    let t = b.target(|_| {});
    b.scrape(&t, 0, "a 1\nb 2\n");
    let r = b.scrape(&t, 1, "a 10\nnew 3\nb !\n");
    let want = r#"strconv.ParseFloat: parsing "!": invalid syntax while parsing: "b !""#;
    assert_eq!(r.error.unwrap(), want);
    b.check(1, "{__name__=~\"a|b|new|up\"}", &[r#"{__name__="up", instance="h:1", job="j"} 0"#]);
    b.scrape(&t, 2, "a 11\nb 12\nnew 4\n");
    b.check(2, "sum({__name__=~\"a|b|new\"})", &["{} 27"]);
    b.check(2, "count_over_time(a[1h])", &[r#"{instance="h:1", job="j"} 2"#]);
}

#[test]
fn a_target_that_does_not_answer_is_down() {
    let b = Bench::new();
    let t = b.target(|_| {});
    b.scrape(&t, 0, "a 1\n");
    let r = b.put(&t, 1, ScrapeInput::Failed("connection refused".to_owned())).unwrap();
    assert_eq!(r.error.as_deref(), Some("connection refused"));
    b.check(1, "{__name__=~\"a|up\"}", &[r#"{__name__="up", instance="h:1", job="j"} 0"#]);
}

#[test]
fn a_target_that_goes_away_takes_up_with_it() {
    let b = Bench::new();
    let t = b.target(|_| {});
    b.scrape(&t, 0, "a 1\n");
    wait(|done| t.mark_stale(T0 + 1000, done)).unwrap();
    b.check(1, "{job=\"j\"}", &[]);
}

#[test]
fn limits_fail_the_scrape() {
    let b = Bench::new();
    let body = "a 1\nb{long=\"123456789\"} 2\nc 3\n";
    for (change, error, scraped) in [
        ((|o| o.sample_limit = 2) as fn(&mut TargetOptions), "sample limit exceeded", 3),
        (|o| o.body_size_limit = 5, "body size limit exceeded", 0),
        (|o| o.label_limit = 3, "label_limit exceeded (metric: b, number of labels: 4, limit: 3)", 2),
    ] {
        let t = b.target(change);
        let r = b.scrape(&t, 0, body);
        assert_eq!((r.error.as_deref(), r.samples_scraped), (Some(error), scraped));
        b.check(0, "{__name__=~\"a|b|c\"}", &[]);
    }
}

#[test]
fn timestamps_of_the_body_count_only_when_honoured() {
    let b = Bench::new();
    let body = format!("a 1 {}\n", T0 - 60_000);
    b.scrape(&b.target(|_| {}), 0, &body);
    b.check(-60, "a", &[r#"{__name__="a", instance="h:1", job="j"} 1"#]);
    b.scrape(&b.target(|o| o.honor_timestamps = false), 1, &body);
    b.check(1, "timestamp(a)", &[&format!(r#"{{instance="h:1", job="j"}} {}"#, T0 / 1000 + 1)]);
    let ahead = format!("later 1 {}\n", T0 + 3_600_000);
    let r = b.scrape(&b.target(|_| {}), 2, &ahead);
    assert_eq!((r.error, r.out_of_bounds), (None, 1));
}

#[test]
fn a_line_given_twice_counts_once() {
    let b = Bench::new();
    let t = b.target(|_| {});
    for second in 0..2 {
        let r = b.scrape(&t, second, "a 1\na 2\n");
        assert_eq!((r.duplicates, r.samples_scraped), (1, 2));
    }
    b.check(1, "a", &[r#"{__name__="a", instance="h:1", job="j"} 1"#]);
}

#[test]
fn an_unknown_content_type_fails_the_scrape() {
    let b = Bench::new();
    let t = b.target(|_| {});
    let r = b.put(&t, 0, body(b"a 1\n", "text/html", "")).unwrap();
    assert!(r.error.unwrap().contains("text/html"));
}

#[test]
fn what_was_committed_survives_a_kill() {
    let b = Bench::new();
    let t = b.target(|_| {});
    for second in 0..50 {
        b.scrape(&t, second, &format!("a {second}\nb 2\n"));
    }
    let again = Bench::over(b.fs.snapshot(), T0 + 60_000);
    again.check(49, "a", &[r#"{__name__="a", instance="h:1", job="j"} 49"#]);
    again.check(49, "count_over_time(a[1m])", &[r#"{instance="h:1", job="j"} 50"#]);
}

#[test]
fn after_close_everything_says_so() {
    let b = Bench::new();
    let t = b.target(|_| {});
    wait(|done| b.engine.close(done)).unwrap();
    let e = b.put(&t, 0, ScrapeInput::Failed(String::new())).unwrap_err();
    assert_eq!(e.to_string(), "CLOSED: the engine is closed");
}
