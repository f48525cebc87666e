//! What scrapes bring beside samples: exemplars, metadata for the log, start timestamps.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Bench, T0, body, wait};
use engine::EngineOptions;
use engine::exemplars_api::ExemplarQuery;
use engine::options::WalCompression;
use model::{Columns, Matcher};
use storage::{Fs, Inline, ManualClock, MemFs, Queryable, SelectHints};
use tsdb::{Db, DbOptions};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

fn bench(features: &[&str]) -> Bench {
    let mut options = EngineOptions { wal_compression: WalCompression::None, ..EngineOptions::default() };
    for name in features {
        options.features.enable(name).unwrap();
    }
    let fs = MemFs::new();
    Bench::on(Arc::new(fs.clone()), fs, T0, options, Arc::new(Inline))
}

fn exemplars(b: &Bench, query: &str) -> Option<String> {
    let query = ExemplarQuery {
        query: query.to_owned(),
        start_ms: T0 - 10_000,
        end_ms: T0 + 100_000,
        accept_encoding: String::new(),
    };
    let answer = wait(|done| b.engine.exemplars_json(query, promql::Cancel::new(), done)).unwrap();
    answer.map(|body| String::from_utf8(body.pieces.concat()).unwrap())
}

#[test]
fn exemplars_are_kept_and_asked_for_by_the_selectors_of_a_query() {
    let b = bench(&["exemplar-storage"]);
    let t = b.target(|_| {});
    let text = format!(
        "# TYPE a counter\na_total{{x=\"1\"}} 5 # {{trace=\"t1\"}} 0.5 {}\na_total{{x=\"2\"}} 6 # {{}} 2\n# EOF\n",
        T0 / 1000 - 1,
    );
    for second in [0, 15] {
        let report = b.put(&t, second, body(text.as_bytes(), OPEN_METRICS, "")).unwrap();
        assert_eq!((report.error, report.exemplars_out_of_order), (None, 0));
    }
    let first = r#"{"seriesLabels":{"__name__":"a_total","instance":"h:1","job":"j","x":"1"},"exemplars":[{"labels":{"trace":"t1"},"value":"0.5","timestamp":1699999999}]}"#;
    assert_eq!(
        exemplars(&b, "rate(a_total{x=\"1\"}[5m]) + b").unwrap(),
        format!(r#"{{"status":"success","data":[{first}]}}"#)
    );
    let both = exemplars(&b, "sum(a_total)").unwrap();
    assert!(both.starts_with(&format!(r#"{{"status":"success","data":[{first},{{"seriesLabels""#)), "{both}");
    assert!(both.contains(r#"{"labels":{},"value":"2","timestamp":1700000000}"#), "{both}");
    assert_eq!(exemplars(&b, "other").unwrap(), r#"{"status":"success","data":[]}"#);
    assert_eq!(exemplars(&b, "1 + time()"), None);

    let late =
        format!("# TYPE a counter\na_total{{x=\"1\"}} 5 # {{trace=\"t0\"}} 0.5 {}\n# EOF\n", T0 / 1000 - 2);
    let report = b.put(&t, 30, body(late.as_bytes(), OPEN_METRICS, "")).unwrap();
    assert_eq!((report.error, report.exemplars_out_of_order), (None, 1));
}

#[test]
fn an_exemplar_without_a_time_is_kept_once() {
    let b = bench(&["exemplar-storage"]);
    let t = b.target(|_| {});
    let put = |second, exemplar: &str| {
        let text = format!("# TYPE a counter\na_total {second} # {exemplar}\n# EOF\n");
        assert_eq!(b.put(&t, second, body(text.as_bytes(), OPEN_METRICS, "")).unwrap().error, None);
        exemplars(&b, "a_total").unwrap().matches("timestamp").count()
    };
    assert_eq!(put(0, "{trace=\"x\"} 1"), 1);
    assert_eq!(put(15, "{trace=\"x\"} 1"), 1);
    assert_eq!(put(30, "{trace=\"y\"} 1"), 2);
    assert_eq!(put(45, &format!("{{trace=\"y\"}} 1 {}", T0 / 1000 + 45)), 3);
}

#[test]
fn nothing_is_kept_without_the_features() {
    let b = bench(&[]);
    let t = b.target(|_| {});
    b.put(
        &t,
        0,
        body(
            b"# HELP a help of a\n# TYPE a counter\na_total 5 # {} 1\na_created 3\n# EOF\n",
            OPEN_METRICS,
            "",
        ),
    )
    .unwrap();
    assert_eq!(exemplars(&b, "a_total").unwrap(), r#"{"status":"success","data":[]}"#);
    assert_eq!(logged(&b, "help of a"), 0);
    b.check(0, "a_created", &[r#"{__name__="a_created", instance="h:1", job="j"} 3"#]);
}

/// How often the log has `text`.
fn logged(b: &Bench, text: &str) -> usize {
    let dir = EngineOptions::default().dir.join("wal");
    let log = b.fs.read(&dir.join("00000000")).unwrap();
    log.windows(text.len()).filter(|w| *w == text.as_bytes()).count()
}

#[test]
fn metadata_is_logged_when_it_changes() {
    let b = bench(&["metadata-wal-records"]);
    let t = b.target(|_| {});
    let text = "# HELP a help of a\n# TYPE a counter\na_total{x=\"1\"} 5\na_total{x=\"2\"} 5\nother 3\na_total{x=\"3\"} 1\n";
    b.scrape(&t, 0, text);
    assert_eq!(logged(&b, "help of a"), 2, "of each series, up to one that is of another family");
    b.scrape(&t, 15, text);
    assert_eq!(logged(&b, "help of a"), 2);
    b.scrape(&t, 30, &text.replace("help of a", "what a is"));
    assert_eq!(logged(&b, "what a is"), 2);
}

#[test]
fn start_timestamps_come_from_created_series() {
    let b = bench(&["st-storage"]);
    let t = b.target(|_| {});
    for second in [0, 15] {
        let text = format!(
            "# TYPE a counter\na_total {second}\na_created {}\n# TYPE g gauge\ng 1\n# EOF\n",
            T0 / 1000 - 60
        );
        let report = b.put(&t, second, body(text.as_bytes(), OPEN_METRICS, "")).unwrap();
        assert_eq!((report.error, report.samples_scraped), (None, 2));
    }
    b.check(15, "a_created", &[]);
    wait(|done| b.engine.close(done)).unwrap();
    let dir = EngineOptions::default().dir;
    let clock = Arc::new(ManualClock::new(T0 + 20_000));
    let mut options = DbOptions::new(dir, Arc::new(b.fs.clone()), clock, Arc::new(Inline));
    options.start_timestamps = true;
    options.settings.float_encoding = chunk::Encoding::Xor2;
    let db = Db::open(options).unwrap();
    let starts = |name: &str| {
        let querier = db.querier(T0, T0 + 20_000).unwrap();
        let hints = SelectHints { start_ms: T0, end_ms: T0 + 20_000, ..SelectHints::default() };
        let set = querier.select(&hints, &[Matcher::equal("__name__", name)]).unwrap();
        let mut columns = Columns::default();
        set.read(0, &mut columns).unwrap();
        columns.st
    };
    assert_eq!(starts("a_total"), [T0 - 60_000, T0 - 60_000]);
    assert!(starts("g").iter().all(|st| *st == 0));
}

/// Values of a series at each second, and when it began, where anything is there.
#[test]
fn starts_are_made_up_where_there_are_none() {
    let b = bench(&["st-synthesis", "st-storage"]);
    let t = b.target(|_| {});
    let text = |total: i64, reset: i64| {
        format!(
            "# TYPE a counter\na_total {total}\n# TYPE c counter\nc_total {reset}\nc_created {}\n# TYPE g gauge\ng {total}\n\
             # TYPE s summary\ns_count {total}\ns{{quantile=\"0.5\"}} {total}\n\
             # TYPE h histogram\nh_bucket{{le=\"+Inf\"}} {total}\nh_count {total}\n# EOF\n",
            T0 / 1000 - 60
        )
    };
    for (second, total) in [(0, 10), (15, 12), (30, 17), (45, 4), (60, 5)] {
        let report = b.put(&t, second, body(text(total, 1).as_bytes(), OPEN_METRICS, "")).unwrap();
        assert_eq!((report.error, report.samples_scraped), (None, 7));
        assert_eq!(report.samples_post_metric_relabeling, 7, "at {second}");
        assert_eq!(report.series_added, if second == 0 { 7 } else { 0 });
    }
    let rest = "instance=\"h:1\", job=\"j\"";
    for name in ["a_total", "s_count", "h_count"] {
        let expected = |v: i64| vec![format!("{{__name__=\"{name}\", {rest}}} {v}")];
        assert_eq!(b.query(0, name), Vec::<String>::new(), "{name}");
        assert_eq!(b.query(15, name), expected(2));
        assert_eq!(b.query(30, name), expected(7));
        assert_eq!(b.query(45, name), expected(4));
        assert_eq!(b.query(60, name), expected(5));
    }
    // Neither what has a start, nor what does not add up.
    b.check(0, "c_total", &[&format!("{{__name__=\"c_total\", {rest}}} 1")]);
    b.check(0, "g", &[&format!("{{__name__=\"g\", {rest}}} 10")]);
    b.check(0, "count(s)", &["{} 1"]);

    // One that goes away and comes back begins anew.
    b.put(&t, 75, body(b"# TYPE g gauge\ng 1\n# EOF\n", OPEN_METRICS, "")).unwrap();
    b.check(75, "a_total", &[]);
    b.put(&t, 90, body(text(9, 1).as_bytes(), OPEN_METRICS, "")).unwrap();
    b.check(90, "a_total", &[]);
    b.put(&t, 105, body(text(11, 1).as_bytes(), OPEN_METRICS, "")).unwrap();
    b.check(105, "a_total", &[&format!("{{__name__=\"a_total\", {rest}}} 2")]);

    wait(|done| b.engine.close(done)).unwrap();
    let clock = Arc::new(ManualClock::new(T0 + 120_000));
    let dir = EngineOptions::default().dir;
    let mut options = DbOptions::new(dir, Arc::new(b.fs.clone()), clock, Arc::new(Inline));
    options.start_timestamps = true;
    options.settings.float_encoding = chunk::Encoding::Xor2;
    let db = Db::open(options).unwrap();
    let querier = db.querier(T0, T0 + 120_000).unwrap();
    let hints = SelectHints { start_ms: T0, end_ms: T0 + 120_000, ..SelectHints::default() };
    let set = querier.select(&hints, &[Matcher::equal("__name__", "a_total")]).unwrap();
    let mut columns = Columns::default();
    set.read(0, &mut columns).unwrap();
    let starts: Vec<i64> = columns.st.iter().map(|st| st - T0).collect();
    assert_eq!(starts[..4], [0, 0, 44_999, 44_999]);
    assert_eq!(starts.last(), Some(&90_000));
}
