//! How many samples queries hold, look at and read: Prometheus' numbers, shape by shape.
//!
//! The expectations come from Prometheus 3.16.0: the series of [`store`] written as OpenMetrics, made a
//! block by `promtool tsdb create-blocks-from openmetrics`, and each query asked with `stats=all` and
//! the features that [`parse_all`] stands for, as a range query from T0+300 s to T0+1500 s by 60 s and as
//! an instant query at T0+900 s. Prometheus started with `--query.max-samples` of 11 round numbers and of
//! every sixth of the peaks, and of one less, failed on exactly the queries whose peak lies above it.

#![allow(clippy::unwrap_used)]

use model::{Columns, Labels};
use promql::{Cancel, QueryError, QueryOptions, QueryResult};
use promql_syntax::{Expr, ParseOptions, parse};
use storage::{Inline, ManualClock, OsSpawn, Spawn, VecStore};

const T0: i64 = 1_767_225_600_000;

/// `m` and `n`, four series each, samples 15 s apart, that begin and end at different times.
fn store() -> VecStore {
    let mut store = VecStore::new();
    for name in ["m", "n"] {
        for i in 0..4i64 {
            let mut c = Columns::default();
            for k in 8 * i..=120 - 12 * i {
                c.push(T0 + k * 15_000, (k * (i + 1)) as f64);
            }
            let (i, x) = (i.to_string(), (i % 2).to_string());
            store.extend(Labels::from_pairs([("__name__", name), ("i", &i), ("x", &x)]), &c);
        }
    }
    store
}

fn parse_all(query: &str) -> Expr {
    parse(query, &ParseOptions::all()).unwrap()
}

fn ask(
    store: &VecStore,
    spawn: &dyn Spawn,
    query: &str,
    is_instant: bool,
    opts: &QueryOptions,
) -> Result<QueryResult, QueryError> {
    let (expr, clock, cancel) = (parse_all(query), ManualClock::new(0), Cancel::new());
    if is_instant {
        return promql::instant(store, spawn, &clock, &expr, T0 + 900_000, opts, &cancel);
    }
    promql::range(store, spawn, &clock, &expr, T0 + 300_000, T0 + 1_500_000, 60_000, opts, &cancel)
}

/// Query, whether instant; peak, samples looked at, samples read, series; and the samples looked at at
/// each step, times the step's number from 1 on, summed up.
type Row = (&'static str, bool, [u64; 4], u64);

#[test]
fn numbers_are_prometheus() {
    let store = store();
    let threads = OsSpawn::new("counts", 3).unwrap();
    let opts = QueryOptions { per_step_stats: true, ..QueryOptions::default() };
    let mut wrong = Vec::new();
    for (query, is_instant, expected, steps) in ROWS {
        for spawn in [&Inline as &dyn Spawn, &threads] {
            let s = ask(&store, spawn, query, *is_instant, &opts).unwrap().stats;
            let found = [s.peak_samples, s.total_samples, s.samples_read, s.series];
            let per_step = s.per_step.unwrap();
            let weighed: u64 = per_step.total.iter().zip(1..).map(|(n, i)| n * i).sum();
            let read: u64 = per_step.read.iter().sum();
            if found != *expected || weighed != *steps || s.samples_read != read {
                wrong.push(format!("{query} {is_instant}: {found:?} {weighed}, not {expected:?} {steps}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_limit_is_the_peak() {
    let store = store();
    for (query, is_instant, [peak, ..], _) in ROWS.iter().filter(|r| r.2[0] > 0) {
        let limited = |max: u64| {
            let opts = QueryOptions { max_samples: usize::try_from(max).unwrap(), ..QueryOptions::default() };
            ask(&store, &Inline, query, *is_instant, &opts)
        };
        assert!(limited(*peak).is_ok(), "{query}");
        // A limit of 0 is none.
        if *peak > 1 {
            let e = limited(*peak - 1).unwrap_err();
            assert!(matches!(e, QueryError::TooManySamples), "{query}: {e}");
        }
    }
}

#[test]
fn costs_are_bounded() {
    let store = store();
    let cost = QueryOptions { query_cost: true, ..QueryOptions::default() };
    for (query, is_instant, ..) in ROWS {
        let s = ask(&store, &Inline, query, *is_instant, &cost).unwrap().stats;
        for (limits, fits) in [
            ((s.series, s.samples_read), true),
            ((s.series.wrapping_sub(1), 0), s.series < 2),
            ((0, s.samples_read.wrapping_sub(1)), s.samples_read < 2),
        ] {
            let opts = QueryOptions { max_series: limits.0, max_samples_read: limits.1, ..cost.clone() };
            let e = ask(&store, &Inline, query, *is_instant, &opts).err();
            assert_eq!(e.is_none(), fits, "{query} {is_instant} {limits:?} of {s:?}: {e:?}");
        }
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("1", false, [21, 0, 0, 0], 0),
    ("1", true, [1, 0, 0, 0], 0),
    ("time()", false, [21, 0, 0, 0], 0),
    ("time()", true, [1, 0, 0, 0], 0),
    ("\"text\"", true, [0, 0, 0, 0], 0),
    ("m", false, [83, 83, 83, 4], 923),
    ("m", true, [4, 4, 4, 4], 4),
    ("m[5m]", true, [80, 80, 80, 4], 80),
    ("m[5m:1m]", true, [20, 20, 20, 4], 20),
    ("-m", false, [83, 83, 83, 4], 923),
    ("-m", true, [4, 4, 4, 4], 4),
    ("+m", false, [83, 83, 83, 4], 923),
    ("+m", true, [4, 4, 4, 4], 4),
    ("(m)", false, [83, 83, 83, 4], 923),
    ("(m)", true, [4, 4, 4, 4], 4),
    ("m offset 5m", false, [72, 72, 72, 4], 890),
    ("m offset 5m", true, [4, 4, 4, 4], 4),
    ("m @ 1767226200", false, [84, 84, 4, 4], 924),
    ("m @ 1767226200", true, [4, 4, 4, 4], 4),
    ("m @ end()", false, [84, 84, 4, 4], 924),
    ("m @ end()", true, [4, 4, 4, 4], 4),
    ("m[5m] @ 1767226200", true, [77, 77, 77, 4], 77),
    ("sum(m)", false, [83, 83, 83, 4], 923),
    ("sum(m)", true, [4, 4, 4, 4], 4),
    ("sum by (x) (m)", false, [83, 83, 83, 4], 923),
    ("sum by (x) (m)", true, [4, 4, 4, 4], 4),
    ("count_values(\"v\", m)", false, [170, 83, 83, 4], 923),
    ("count_values(\"v\", m)", true, [12, 4, 4, 4], 4),
    ("topk(1, m)", false, [104, 83, 83, 4], 923),
    ("topk(1, m)", true, [5, 4, 4, 4], 4),
    ("topk(0, m)", false, [104, 83, 83, 4], 923),
    ("topk(0, m)", true, [5, 4, 4, 4], 4),
    ("bottomk(scalar(count(m)), m)", false, [104, 166, 166, 8], 1846),
    ("bottomk(scalar(count(m)), m)", true, [5, 8, 8, 8], 8),
    ("quantile(0.5, m)", false, [104, 83, 83, 4], 923),
    ("quantile(0.5, m)", true, [5, 4, 4, 4], 4),
    ("quantile by (x) (0.5, rate(m[5m]))", false, [107, 1515, 335, 4], 17313),
    ("quantile by (x) (0.5, rate(m[5m]))", true, [25, 80, 80, 4], 80),
    ("avg without (i) (m + n)", false, [257, 166, 166, 8], 1846),
    ("avg without (i) (m + n)", true, [20, 8, 8, 8], 8),
    ("limitk(2, m)", false, [104, 83, 83, 4], 923),
    ("limitk(2, m)", true, [5, 4, 4, 4], 4),
    ("limit_ratio(0.5, m)", false, [104, 83, 83, 4], 923),
    ("limit_ratio(0.5, m)", true, [5, 4, 4, 4], 4),
    ("m + n", false, [257, 166, 166, 8], 1846),
    ("m + n", true, [20, 8, 8, 8], 8),
    ("m + 1", false, [192, 83, 83, 4], 923),
    ("m + 1", true, [14, 4, 4, 4], 4),
    ("1 + m", false, [192, 83, 83, 4], 923),
    ("1 + m", true, [14, 4, 4, 4], 4),
    ("1 + 1", false, [21, 0, 0, 0], 0),
    ("1 + 1", true, [5, 0, 0, 0], 0),
    ("m > 100", false, [158, 83, 83, 4], 923),
    ("m > 100", true, [13, 4, 4, 4], 4),
    ("m > bool 100", false, [192, 83, 83, 4], 923),
    ("m > bool 100", true, [14, 4, 4, 4], 4),
    ("m == on (i) n", false, [257, 166, 166, 8], 1846),
    ("m == on (i) n", true, [20, 8, 8, 8], 8),
    ("m / on (x) group_left sum by (x) (n)", false, [214, 166, 166, 8], 1846),
    ("m / on (x) group_left sum by (x) (n)", true, [16, 8, 8, 8], 8),
    ("m and n", false, [257, 166, 166, 8], 1846),
    ("m and n", true, [20, 8, 8, 8], 8),
    ("m or n", false, [257, 166, 166, 8], 1846),
    ("m or n", true, [20, 8, 8, 8], 8),
    ("m unless n", false, [174, 166, 166, 8], 1846),
    ("m unless n", true, [16, 8, 8, 8], 8),
    ("m and on (x) (n > 50)", false, [265, 166, 166, 8], 1846),
    ("m and on (x) (n > 50)", true, [20, 8, 8, 8], 8),
    ("m * on (i) group_right n", false, [257, 166, 166, 8], 1846),
    ("m * on (i) group_right n", true, [20, 8, 8, 8], 8),
    ("sum(m) / sum(n)", false, [104, 166, 166, 8], 1846),
    ("sum(m) / sum(n)", true, [5, 8, 8, 8], 8),
    ("scalar(sum(m)) + m", false, [192, 166, 166, 8], 1846),
    ("scalar(sum(m)) + m", true, [14, 8, 8, 8], 8),
    ("vector(1)", false, [21, 0, 0, 0], 0),
    ("vector(1)", true, [3, 0, 0, 0], 0),
    ("vector(scalar(m))", false, [108, 83, 83, 4], 923),
    ("vector(scalar(m))", true, [9, 4, 4, 4], 4),
    ("abs(m)", false, [170, 83, 83, 4], 923),
    ("abs(m)", true, [12, 4, 4, 4], 4),
    ("round(m, 5)", false, [192, 83, 83, 4], 923),
    ("round(m, 5)", true, [14, 4, 4, 4], 4),
    ("clamp(m, 1, 100)", false, [214, 83, 83, 4], 923),
    ("clamp(m, 1, 100)", true, [16, 4, 4, 4], 4),
    ("hour()", false, [21, 0, 0, 0], 0),
    ("hour()", true, [1, 0, 0, 0], 0),
    ("hour(m)", false, [170, 83, 83, 4], 923),
    ("hour(m)", true, [12, 4, 4, 4], 4),
    ("absent(m)", false, [87, 83, 83, 4], 923),
    ("absent(m)", true, [8, 4, 4, 4], 4),
    ("absent(missing)", false, [21, 0, 0, 0], 0),
    ("absent(missing)", true, [1, 0, 0, 0], 0),
    ("absent_over_time(m[1m])", false, [78, 309, 309, 4], 3290),
    ("absent_over_time(m[1m])", true, [8, 16, 16, 4], 16),
    ("1 + absent_over_time(missing[1m])", false, [44, 0, 0, 0], 0),
    ("1 + absent_over_time(missing[1m])", true, [4, 0, 0, 0], 0),
    ("absent_over_time(m[1m]) + 1", false, [100, 309, 309, 4], 3290),
    ("absent_over_time(m[1m]) + 1", true, [8, 16, 16, 4], 16),
    ("timestamp(m)", false, [87, 83, 83, 4], 923),
    ("timestamp(m)", true, [8, 4, 4, 4], 4),
    ("timestamp(-m)", false, [170, 83, 83, 4], 923),
    ("timestamp(-m)", true, [12, 4, 4, 4], 4),
    ("timestamp(m @ 1767226200)", false, [84, 84, 4, 4], 924),
    ("timestamp(m @ 1767226200)", true, [8, 4, 4, 4], 4),
    ("label_replace(m, \"y\", \"$1\", \"i\", \"(.*)\")", false, [83, 83, 83, 4], 923),
    ("label_replace(m, \"y\", \"$1\", \"i\", \"(.*)\")", true, [4, 4, 4, 4], 4),
    ("label_join(m, \"y\", \"-\", \"i\", \"x\")", false, [83, 83, 83, 4], 923),
    ("label_join(m, \"y\", \"-\", \"i\", \"x\")", true, [4, 4, 4, 4], 4),
    ("sort(m)", false, [170, 83, 83, 4], 923),
    ("sort(m)", true, [12, 4, 4, 4], 4),
    ("sort_by_label(m, \"i\")", false, [170, 83, 83, 4], 923),
    ("sort_by_label(m, \"i\")", true, [12, 4, 4, 4], 4),
    ("rate(m[5m])", false, [86, 1515, 335, 4], 17313),
    ("rate(m[5m])", true, [24, 80, 80, 4], 80),
    ("rate(m[5m] offset 2m)", false, [90, 1432, 316, 4], 17539),
    ("rate(m[5m] offset 2m)", true, [24, 80, 80, 4], 80),
    ("rate(m[5m] @ 1767226200)", false, [84, 1617, 77, 4], 17787),
    ("rate(m[5m] @ 1767226200)", true, [23, 77, 77, 4], 77),
    ("sum by (x) (rate(m[5m]))", false, [86, 1515, 335, 4], 17313),
    ("sum by (x) (rate(m[5m]))", true, [24, 80, 80, 4], 80),
    ("max_over_time(m[1m])", false, [78, 309, 309, 4], 3290),
    ("max_over_time(m[1m])", true, [8, 16, 16, 4], 16),
    ("last_over_time(m[30m])", false, [144, 4075, 336, 4], 56715),
    ("last_over_time(m[30m])", true, [62, 196, 196, 4], 196),
    ("count_over_time(m[10s])", false, [78, 78, 78, 4], 824),
    ("count_over_time(m[10s])", true, [5, 4, 4, 4], 4),
    ("quantile_over_time(0.5, m[5m])", false, [108, 1515, 335, 4], 17313),
    ("quantile_over_time(0.5, m[5m])", true, [25, 80, 80, 4], 80),
    ("quantile_over_time(scalar(sum(n)) / 1e9, m[5m]) + 1", false, [213, 1598, 418, 8], 18236),
    ("quantile_over_time(scalar(sum(n)) / 1e9, m[5m]) + 1", true, [25, 84, 84, 8], 84),
    ("predict_linear(m[5m], 60)", false, [107, 1515, 335, 4], 17313),
    ("predict_linear(m[5m], 60)", true, [25, 80, 80, 4], 80),
    ("double_exponential_smoothing(m[5m], 0.5, 0.5)", false, [128, 1515, 335, 4], 17313),
    ("double_exponential_smoothing(m[5m], 0.5, 0.5)", true, [26, 80, 80, 4], 80),
    ("max_over_time(rate(m[5m])[10m:1m])", false, [180, 12398, 336, 4], 163884),
    ("max_over_time(rate(m[5m])[10m:1m])", true, [59, 721, 191, 4], 721),
    ("sum_over_time(m[10m:30s])", false, [283, 1405, 180, 4], 17495),
    ("sum_over_time(m[10m:30s])", true, [102, 79, 79, 4], 79),
    ("sum_over_time(sum(m)[10m:30s])", false, [180, 1405, 180, 4], 17495),
    ("sum_over_time(sum(m)[10m:30s])", true, [79, 79, 79, 4], 79),
    ("sum_over_time(m[2m:30s] offset 1m)", false, [252, 320, 166, 4], 3666),
    ("sum_over_time(m[2m:30s] offset 1m)", true, [24, 16, 16, 4], 16),
    ("sum_over_time(m[10m:3m] @ 1767226800)", false, [84, 252, 12, 4], 2772),
    ("sum_over_time(m[10m:3m] @ 1767226800)", true, [19, 12, 12, 4], 12),
    ("max_over_time(sum_over_time(m[2m:1m])[5m:2m])", false, [134, 389, 87, 4], 4511),
    ("max_over_time(sum_over_time(m[2m:1m])[5m:2m])", true, [26, 16, 16, 4], 16),
    ("sum_over_time((m @ 1767226200)[5m:1m])", false, [189, 420, 4, 4], 4620),
    ("sum_over_time((m @ 1767226200)[5m:1m])", true, [29, 20, 4, 4], 20),
    ("rate(m[5m]) + rate(n[5m])", false, [254, 3030, 670, 8], 34626),
    ("rate(m[5m]) + rate(n[5m])", true, [28, 160, 160, 8], 160),
    ("sum(rate(m[5m])) / sum(max_over_time(n[2m:30s]))", false, [278, 1842, 505, 8], 20995),
    ("sum(rate(m[5m])) / sum(max_over_time(n[2m:30s]))", true, [25, 96, 96, 8], 96),
    ("histogram_quantile(0.9, m)", false, [109, 83, 83, 4], 923),
    ("histogram_quantile(0.9, m)", true, [10, 4, 4, 4], 4),
    ("increase(m[5m] anchored)", false, [107, 2735, 336, 4], 33953),
    ("increase(m[5m] anchored)", true, [43, 157, 157, 4], 157),
    ("increase(m[5m] smoothed)", false, [123, 4168, 364, 4], 47902),
    ("increase(m[5m] smoothed)", true, [63, 237, 237, 4], 237),
    ("m smoothed", false, [124, 0, 0, 4], 0),
    ("m smoothed", true, [160, 0, 0, 4], 0),
    ("sum(m smoothed)", false, [124, 0, 0, 4], 0),
    ("sum(m smoothed)", true, [160, 0, 0, 4], 0),
    ("m + fill(0) n", false, [257, 166, 166, 8], 1846),
    ("m + fill(0) n", true, [20, 8, 8, 8], 8),
    ("info(m)", false, [170, 83, 83, 4], 923),
    ("info(m)", true, [12, 4, 4, 4], 4),
    ("min_over_time(m[1m:7s])", false, [794, 703, 703, 4], 7906),
    ("min_over_time(m[1m:7s])", true, [44, 32, 32, 4], 32),
];
