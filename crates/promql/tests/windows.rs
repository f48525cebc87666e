//! Functions of range vectors compute all windows of a series at once where they can, and one window
//! where there is one: both must answer the same, to the bit but where sums are bracketed differently.

#![allow(clippy::unwrap_used)]

use model::{Columns, Labels};
use promql::{Cancel, QueryOptions, SampleValue, Value};
use promql_syntax::{ParseOptions, parse};
use storage::{Inline, ManualClock, VecStore};
use testkit::series::Noise;

/// What may stand in for W, with how far apart results may be, relative to the greatest operand.
const CALLS: [(&str, f64); 25] = [
    ("rate(W)", 0.0),
    ("increase(W)", 0.0),
    ("delta(W)", 0.0),
    ("irate(W)", 0.0),
    ("idelta(W)", 0.0),
    ("changes(W)", 0.0),
    ("resets(W)", 0.0),
    ("count_over_time(W)", 0.0),
    ("present_over_time(W)", 0.0),
    ("absent_over_time(W)", 0.0),
    ("last_over_time(W)", 0.0),
    ("first_over_time(W)", 0.0),
    ("ts_of_last_over_time(W)", 0.0),
    ("ts_of_first_over_time(W)", 0.0),
    ("max_over_time(W)", 0.0),
    ("min_over_time(W)", 0.0),
    ("stddev_over_time(W)", 0.0),
    ("double_exponential_smoothing(W, 0.3, 0.6)", 0.0),
    ("stdvar_over_time(W)", 0.0),
    ("quantile_over_time(0.37, W)", 0.0),
    ("quantile_over_time(scalar(vector(time() / 1000)), W)", 0.0),
    ("deriv(W)", 0.0),
    ("predict_linear(W, 77)", 0.0),
    ("sum_over_time(W)", 1e-14),
    ("avg_over_time(W)", 1e-14),
];

/// How values follow one another.
#[derive(Clone, Copy, Debug)]
enum Values {
    Counter,
    Gauge,
    /// Few values, all of them special.
    Odd,
    /// As large as can be, and cancelling.
    Huge,
    Constant,
}

fn next(shape: Values, last: f64, noise: &mut Noise) -> f64 {
    let unit = noise.next_unit();
    match shape {
        Values::Counter if noise.chance(4) => unit,
        Values::Counter => last + (unit * 10.0).floor(),
        Values::Gauge => unit * 1e3 - 500.0,
        Values::Odd => {
            let some = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1.5, -2.5, 1e-310];
            some[if noise.chance(60) { 5 } else { noise.below(8) as usize }]
        }
        Values::Huge => {
            let some = [f64::MAX, -f64::MAX, 1e300, -1e300, 1e16, -1e16, 1.0, 0.1];
            some[noise.below(8) as usize]
        }
        Values::Constant if noise.chance(1) => last + 1.0,
        Values::Constant => last,
    }
}

/// A series every 15 s, more or less so in `jitter` of a hundred cases, with gaps and stale markers.
fn series(shape: Values, jitter: u64, noise: &mut Noise) -> Columns {
    let mut c = Columns::default();
    let (mut t, mut v) = (noise.below(400_000) as i64, 3.0);
    for _ in 0..40 + noise.below(300) {
        t += 15_000;
        if noise.chance(jitter) {
            t += noise.below(4_000) as i64;
        }
        if jitter > 0 && noise.chance(1) {
            t += noise.below(1_200_000) as i64;
        }
        v = next(shape, v, noise);
        let is_stale = jitter > 0 && noise.chance(2);
        c.push(t, if is_stale { f64::from_bits(model::STALE_NAN_BITS) } else { v });
    }
    c
}

fn equal(a: f64, b: f64, within: f64, greatest: f64) -> bool {
    a.to_bits() == b.to_bits()
        || a.is_nan() && b.is_nan()
        || within > 0.0 && (a == b || (a - b).abs() <= within * greatest.max(a.abs()))
}

/// Asks `query` for a range and for each of its steps alone.
fn check(store: &VecStore, query: &str, within: f64, greatest: f64, (start, end, step): (i64, i64, i64)) {
    let expr = parse(query, &ParseOptions::all()).unwrap();
    let (clock, opts, cancel) = (ManualClock::new(0), QueryOptions::default(), Cancel::new());
    let all = promql::range(store, &Inline, &clock, &expr, start, end, step, &opts, &cancel).unwrap();
    let Value::Matrix(rows) = &all.value else { panic!("{query} is a matrix") };
    assert!(rows.len() <= 1);
    let mut points = rows.iter().flat_map(|r| r.t.iter().copied().zip(r.v.iter().copied())).peekable();
    let mut total = 0;
    for t in (start..=end).step_by(step as usize) {
        let one = promql::instant(store, &Inline, &clock, &expr, t, &opts, &cancel).unwrap();
        total += one.stats.total_samples;
        let Value::Vector(one) = &one.value else { panic!("{query} is a vector") };
        let expected = one.first().map(|s| match s.value {
            SampleValue::Float(v) => v,
            SampleValue::Histogram(_) => panic!("no histograms here"),
        });
        match (points.next_if(|p| p.0 == t), expected) {
            (Some((_, got)), Some(v)) => {
                assert!(equal(got, v, within, greatest), "{query} at {t}: {got:e} instead of {v:e}");
            }
            (None, None) => {}
            (got, expected) => panic!("{query} at {t}: {got:?} instead of {expected:?}"),
        }
    }
    assert_eq!(points.next(), None, "{query}");
    assert_eq!(all.stats.total_samples, total, "{query}");
}

#[test]
fn many_windows_are_as_each_alone() {
    let mut noise = Noise::new(5);
    for round in 0..60 {
        let shape = [Values::Counter, Values::Gauge, Values::Odd, Values::Huge, Values::Constant][round % 5];
        let jitter = [0, 0, 5, 60][noise.below(4) as usize];
        let c = series(shape, jitter, &mut noise);
        let finite = c.v.iter().filter(|v| v.is_finite());
        let greatest = finite.fold(0.0, |max: f64, v| max.max(v.abs()));
        let mut store = VecStore::new();
        store.extend(Labels::from_pairs([("__name__", "m_total")]), &c);
        let range = [20, 60, 300, 1000, 3600][noise.below(5) as usize];
        let step = [1, 15_000, 15_000, 60_000, 7_777, 20_000, 900_000][noise.below(7) as usize];
        let start = noise.below(1_500_000) as i64;
        let end = start + step * noise.below(120) as i64;
        let window = match noise.below(6) {
            0 => format!("m_total[{range}s] offset 1m"),
            1 => format!("m_total[{range}s:15s]"),
            _ => format!("m_total[{range}s]"),
        };
        for (call, within) in CALLS {
            check(&store, &call.replace('W', &window), within, greatest, (start, end, step));
        }
        check(&store, "m_total", 0.0, 0.0, (start, end, step));
        check(&store, "timestamp(m_total)", 0.0, 0.0, (start, end, step));
    }
}

#[test]
fn overlapping_series_do_not_share_windows() {
    // Times of the one are nearly those of the other.
    let mut store = VecStore::new();
    for (name, shift) in [("a", 0), ("b", 0), ("c", 1), ("d", 7_000)] {
        let mut c = Columns::default();
        for i in 0..100 {
            c.push(i * 15_000 + if i > 50 { shift } else { 0 }, (i * i) as f64);
        }
        store.extend(Labels::from_pairs([("__name__", "m"), ("x", name)]), &c);
    }
    for name in ["a", "b", "c", "d"] {
        for call in ["rate", "sum_over_time", "max_over_time", "deriv"] {
            let alone = format!("{call}(m{{x=\"{name}\"}}[5m])");
            let among = format!("{call}(m[5m]) and on (x) m{{x=\"{name}\"}}");
            let ask = |query: &str| {
                let expr = parse(query, &ParseOptions::all()).unwrap();
                let (clock, opts) = (ManualClock::new(0), QueryOptions::default());
                let (end, step) = (1_400_000, 15_000);
                let r = promql::range(&store, &Inline, &clock, &expr, 0, end, step, &opts, &Cancel::new());
                let Value::Matrix(m) = r.unwrap().value else { panic!("{query} is a matrix") };
                assert_eq!(m.len(), 1, "{query}");
                (m[0].t.clone(), m[0].v.clone())
            };
            assert_eq!(ask(&alone), ask(&among), "{alone}");
        }
    }
}
