//! The evaluator from outside: what scripts cannot show. Results themselves are tested by the
//! scripts of `testkit`.

#![allow(clippy::unwrap_used, clippy::type_complexity)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use model::{Columns, Labels};
use promql::{Cancel, Deadline, QueryError, QueryOptions, QueryResult, SampleValue, Value, json};
use promql_syntax::{ParseOptions, parse};
use storage::{Clock, Inline, ManualClock, OsSpawn, Spawn, VecStore};
use testkit::series::node_cpu;

const MINUTE_MS: i64 = 60_000;

fn store(series: &[(&[(&str, &str)], &[(i64, f64)])]) -> VecStore {
    let mut store = VecStore::new();
    for (labels, samples) in series {
        let mut c = Columns::default();
        for (t, v) in *samples {
            c.push(*t, *v);
        }
        store.extend(Labels::from_pairs(labels.iter().copied()), &c);
    }
    store
}

fn instant(store: &VecStore, query: &str, opts: &QueryOptions) -> Result<QueryResult, QueryError> {
    let expr = parse(query, &ParseOptions::all()).unwrap();
    promql::instant(store, &Inline, &ManualClock::new(0), &expr, 0, opts, &Cancel::new())
}

fn range(
    store: &VecStore,
    spawn: &dyn Spawn,
    query: &str,
    opts: &QueryOptions,
) -> Result<QueryResult, QueryError> {
    let expr = parse(query, &ParseOptions::all()).unwrap();
    promql::range(
        store,
        spawn,
        &ManualClock::new(0),
        &expr,
        0,
        10 * MINUTE_MS,
        MINUTE_MS,
        opts,
        &Cancel::new(),
    )
}

fn data(r: &QueryResult) -> String {
    let mut out = Vec::new();
    json::write_data(&r.value, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn labels_that_a_query_drops_still_tell_series_apart() {
    let samples: &[(i64, f64)] = &[(-60_000, 1.0), (0, 2.0)];
    let counter = |i| [("__name__", "m"), ("__type__", "counter"), ("i", i), ("job", "a")];
    let gauge = |i| [("__name__", "m"), ("__type__", "gauge"), ("i", i), ("job", "a")];
    let (one, two, twin) = (counter("1"), gauge("2"), gauge("1"));
    let opts = QueryOptions::default();
    let query = "count by (job) (increase(m[5m]))";
    let apart = instant(&store(&[(&one, samples), (&two, samples)]), query, &opts).unwrap();
    assert!(data(&apart).contains(r#"{"job":"a"},"value":[0,"2"]"#), "{}", data(&apart));
    let equal = instant(&store(&[(&one, samples), (&twin, samples)]), query, &opts).unwrap_err();
    assert!(equal.to_string().contains("same labelset"), "{equal}");
}

#[test]
fn names_go_with_each_operator_unless_removal_is_delayed() {
    let store = store(&[
        (&[("__name__", "a"), ("x", "1")], &[(0, 1.0)]),
        (&[("__name__", "b"), ("x", "1")], &[(0, 2.0)]),
        (&[("__name__", "c"), ("__type__", "gauge"), ("x", "1")], &[(0, 3.0)]),
    ]);
    let at_once = QueryOptions::default();
    let delayed = QueryOptions { delayed_name_removal: true, ..QueryOptions::default() };
    let both = r#"{__name__=~"a|b"}"#;
    for (query, opts, expected) in [
        (format!("-{both}"), &at_once, Err("vector cannot contain metrics with the same labelset")),
        (format!("-{both}"), &delayed, Err("vector cannot contain metrics with the same labelset")),
        (format!("count(-{both})"), &at_once, Err("vector cannot contain metrics with the same labelset")),
        (format!("count(-{both})"), &delayed, Ok(2.0)),
        (
            format!("sum by (__name__) (-{both})"),
            &delayed,
            Err("vector cannot contain metrics with the same labelset"),
        ),
        (r#"label_replace(-a, "__name__", "n", "", "")"#.to_owned(), &delayed, Ok(-1.0)),
        ("abs(c)".to_owned(), &at_once, Ok(3.0)),
    ] {
        match (instant(&store, &query, opts), expected) {
            (Err(e), Err(text)) => assert_eq!(e.to_string(), text, "{query}"),
            (Ok(r), Ok(v)) => match &r.value {
                Value::Vector(samples) => {
                    assert_eq!(samples.len(), 1, "{query}");
                    assert_eq!(samples[0].value, SampleValue::Float(v), "{query}");
                    assert_eq!(samples[0].labels.get("__type__"), None, "{query}");
                }
                other => panic!("{query}: {other:?}"),
            },
            (got, expected) => panic!("{query}: {got:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn series_that_never_meet_become_one() {
    let store =
        store(&[(&[("__name__", "a")], &[(0, 1.0)]), (&[("__name__", "b")], &[(6 * MINUTE_MS, 2.0)])]);
    let r = range(&store, &Inline, r#"-{__name__=~"a|b"}"#, &QueryOptions::default()).unwrap();
    let Value::Matrix(m) = &r.value else { panic!("{:?}", r.value) };
    assert_eq!(m.len(), 1);
    assert_eq!(m[0].t, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10].map(|m| m * MINUTE_MS));
}

/// A spawner that runs everything in reverse order.
struct Backwards;

impl Spawn for Backwards {
    fn spawn(&self, job: storage::spawn::Job) {
        job();
    }

    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        (0..n).rev().for_each(f);
    }

    fn parallelism(&self) -> usize {
        1
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let mut store = VecStore::new();
    for (labels, columns) in node_cpu(20, 4, 0, 15_000, 50) {
        store.extend(labels, &columns);
    }
    let pool = OsSpawn::new("test", 3).unwrap();
    for query in [
        "sum(rate(node_cpu_seconds_total[2m]))",
        "avg by (mode) (node_cpu_seconds_total)",
        "stddev(node_cpu_seconds_total)",
        "max by (instance) (increase(node_cpu_seconds_total[5m]))",
        "topk(3, rate(node_cpu_seconds_total[2m]))",
        "quantile(0.9, node_cpu_seconds_total)",
        "absent(node_cpu_seconds_total)",
    ] {
        let opts = QueryOptions::default();
        let alone = data(&range(&store, &Inline, query, &opts).unwrap());
        assert_eq!(data(&range(&store, &pool, query, &opts).unwrap()), alone, "{query}");
        assert_eq!(data(&range(&store, &Backwards, query, &opts).unwrap()), alone, "{query}");
    }
}

/// A clock that moves on by a nanosecond whenever it is read.
#[derive(Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now_ms(&self) -> i64 {
        0
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Passed once it has been looked at so often.
fn ticks(n: u64) -> Option<Deadline> {
    Some(Deadline::new(Arc::new(Ticking::default()), n))
}

#[test]
fn queries_end_when_told_to() {
    let store = store(&[(&[("__name__", "a")], &[(0, 1.0)])]);
    let expr = parse("sum(rate(a[5m]))", &ParseOptions::all()).unwrap();
    let cancel = Cancel::new();
    let opts = QueryOptions { deadline: ticks(3), ..QueryOptions::default() };
    let e = promql::instant(&store, &Inline, &ManualClock::new(0), &expr, 0, &opts, &cancel).unwrap_err();
    assert_eq!(e.to_string(), "query timed out in expression evaluation");
    cancel.cancel();
    let e = promql::instant(&store, &Inline, &ManualClock::new(0), &expr, 0, &opts, &cancel).unwrap_err();
    assert_eq!(e.to_string(), "query was canceled in expression evaluation");
}

#[test]
fn one_long_row_does_not_keep_a_query_from_ending() {
    for query in [
        "sum_over_time(vector(1)[1000000s:1s])",
        "quantile_over_time(0.5, vector(1)[1000000s:1s])",
        "count_over_time(sum(vector(time()))[1000000s:1s])",
        "count_over_time((vector(1) and vector(time()))[1000000s:1s])",
        "count_over_time((scalar(vector(1)) + vector(time()))[1000000s:1s])",
    ] {
        let expr = parse(query, &ParseOptions::all()).unwrap();
        let opts = QueryOptions { deadline: ticks(20), ..QueryOptions::default() };
        let e =
            promql::instant(&VecStore::new(), &Inline, &ManualClock::new(0), &expr, 0, &opts, &Cancel::new());
        assert_eq!(e.unwrap_err().to_string(), "query timed out in expression evaluation", "{query}");
    }
}

#[test]
fn of_equal_remarks_the_latest_is_shown() {
    let store = store(&[(&[("__name__", "a")], &[(0, 1.0)])]);
    for (query, at) in [
        ("sort(sort(a))", "1:1"),
        ("sort_desc(a) and sort_desc(a)", "1:18"),
        ("sort(a) and vector(1) or sort(a)", "1:26"),
    ] {
        let r = range(&store, &Inline, query, &QueryOptions::default()).unwrap();
        let shown = r.annotations.warnings(query, 0);
        assert!(shown.len() == 1 && shown[0].ends_with(&format!("({at})")), "{query}: {shown:?}");
    }
}

#[test]
fn timestamp_at_a_fixed_time_ignores_the_offset() {
    // A quirk of Prometheus: the offset moves what is loaded, but not which of it `@` sees.
    let samples: Vec<(i64, f64)> = (0..=20).map(|i| (i * MINUTE_MS, 0.0)).collect();
    let store = store(&[(&[("__name__", "a")], &samples)]);
    for (query, expected) in [
        ("timestamp(a @ 600)", Some(600.0)),
        // Loaded is what lies between 421 s and 540 s: the newest of it before 600 s.
        ("timestamp(a @ 600 offset 1m)", Some(540.0)),
        // All that is loaded lies further back than the lookback.
        ("timestamp(a @ 1200 offset 10m)", None),
        ("timestamp(a offset 1m)", None),
    ] {
        let expr = parse(query, &ParseOptions::all()).unwrap();
        let opts = QueryOptions::default();
        let r =
            promql::instant(&store, &Inline, &ManualClock::new(0), &expr, 0, &opts, &Cancel::new()).unwrap();
        let promql::Value::Vector(v) = r.value else { panic!("{query} is a vector") };
        let seen = v.first().map(|s| s.value.clone());
        assert_eq!(seen, expected.map(promql::SampleValue::Float), "{query}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut store = VecStore::new();
    for (labels, columns) in node_cpu(4, 4, 0, 15_000, 50) {
        store.extend(labels, &columns);
    }
    let limited = |max_samples| QueryOptions { max_samples, ..QueryOptions::default() };
    let too_many = "query processing would load too many samples into memory in query execution";
    for (query, max, fits) in [
        // 128 series at 11 steps.
        ("node_cpu_seconds_total", 2000, true),
        ("node_cpu_seconds_total", 1000, false),
        // Rows are dropped as soon as they are added, but count as Prometheus would hold them.
        ("sum(node_cpu_seconds_total)", 1408, true),
        ("sum(node_cpu_seconds_total)", 1407, false),
        ("vector(1)", 5, false),
        ("count_over_time(vector(1)[290y:1ms])", 50_000_000, false),
    ] {
        match range(&store, &Inline, query, &limited(max)) {
            Ok(r) => {
                assert!(fits, "{query} with {max}");
                assert!(r.stats.peak_samples <= max as u64);
            }
            Err(e) => {
                assert!(!fits, "{query} with {max}: {e}");
                assert_eq!(e.to_string(), too_many);
            }
        }
    }
}

/// Counts how often a store is asked.
struct Counting(VecStore, AtomicUsize);

impl storage::Queryable for Counting {
    fn querier(
        &self,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Box<dyn storage::Querier>, storage::StorageError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        assert_eq!((start_ms, end_ms), (1 - 5 * MINUTE_MS - 30 * MINUTE_MS, 10 * MINUTE_MS));
        self.0.querier(start_ms, end_ms)
    }
}

#[test]
fn a_store_is_asked_for_what_is_needed() {
    let store = Counting(store(&[(&[("__name__", "a")], &[(0, 1.0)])]), AtomicUsize::new(0));
    let expr = parse("a + a + rate(a[5m] offset 30m)", &ParseOptions::all()).unwrap();
    let opts = QueryOptions::default();
    let clock = ManualClock::new(0);
    let r =
        promql::range(&store, &Inline, &clock, &expr, 0, 10 * MINUTE_MS, MINUTE_MS, &opts, &Cancel::new())
            .unwrap();
    assert_eq!(store.1.load(Ordering::Relaxed), 1);
    // Each selector counts its series, though the two equal ones are one select.
    assert_eq!(r.stats.series, 3);
}

#[test]
fn bad_requests_are_told_apart() {
    let store = VecStore::new();
    let opts = QueryOptions::default();
    let expr = parse("a[5m]", &ParseOptions::all()).unwrap();
    let ask = |start, end, step| {
        let clock = ManualClock::new(0);
        promql::range(&store, &Inline, &clock, &expr, start, end, step, &opts, &Cancel::new()).unwrap_err()
    };
    let e = ask(0, 1, 1);
    assert!(matches!(e, QueryError::Invalid(_)));
    assert_eq!(
        e.to_string(),
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"
    );
    let e = instant(&store, "a[5m - 5m]", &opts).unwrap_err();
    assert!(matches!(&e, QueryError::Invalid(m) if m.ends_with("duration must be greater than 0")), "{e}");
}

#[test]
fn extreme_times_do_not_overflow() {
    let store = store(&[(&[("__name__", "a")], &[(i64::MIN, 1.0), (0, 2.0), (i64::MAX, 3.0)])]);
    for query in [
        "a offset 100y",
        "a offset -100y",
        "rate(a[100y])",
        "a @ 9000000000000000",
        "a @ -9000000000000000",
        "max_over_time(a[10y:1y] @ -9000000000000000)",
        "max_over_time(a[10y:1y] offset -100y)",
        "hour(vector(1e300))",
    ] {
        let expr = parse(query, &ParseOptions::all()).unwrap();
        for t in [i64::MIN / 2, 0, i64::MAX / 2] {
            let opts = QueryOptions::default();
            let _ = promql::instant(&store, &Inline, &ManualClock::new(0), &expr, t, &opts, &Cancel::new());
        }
    }
}

#[test]
fn deep_queries_fit_a_thread_s_stack() {
    let deep = promql_syntax::DEPTH_MAX - 10;
    let queries = [
        vec!["m"; deep].join(" + "),
        format!("{}m{}", "abs(".repeat(deep), ")".repeat(deep)),
        format!("{}m{}", "sum(".repeat(deep), ")".repeat(deep)),
        format!("{}m{}", "(".repeat(deep), ")".repeat(deep)),
        format!("{}1", "-+".repeat(deep / 2)),
        vec!["m"; deep].join(" or "),
        vec!["1"; deep].join(" ^ "),
        format!("{}m{}", "max_over_time(".repeat(deep / 2), "[1m:1m])".repeat(deep / 2)),
    ];
    // As small as those that a pool makes.
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let run = move || {
        let store = store(&[(&[("__name__", "m")], &[(0, 1.0)])]);
        for q in queries {
            let expr = parse(&q, &ParseOptions::all()).unwrap_or_else(|e| panic!("{}…: {e}", &q[..40]));
            let opts = QueryOptions::default();
            promql::range(
                &store,
                &Inline,
                &ManualClock::new(0),
                &expr,
                0,
                60_000,
                30_000,
                &opts,
                &Cancel::new(),
            )
            .unwrap_or_else(|e| panic!("{}…: {e}", &q[..40]));
        }
    };
    thread.spawn(run).unwrap().join().unwrap();
}
