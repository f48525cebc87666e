//! The shapes of Prometheus' `BenchmarkRangeQuery` (promql/bench_test.go of 3.16): the same series, the same
//! expressions, the same steps, from text to result. As there, blocks are a day long: the first day is in a block, the
//! rest in the head.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use model::{Labels, SeriesRef};
use storage::OsSpawn;
use tsdb::Db;

use crate::evaluate::{Error, Steps, open, range};

const INTERVAL_MS: i64 = 10_000;
/// A day and ten thousand steps.
const INTERVALS: usize = 8640 + 10_000;
/// A series of `sparse` has so many samples, one after the other.
const SPARSE_SAMPLES: usize = INTERVALS / 50;
const DAY_MS: i64 = 24 * 3_600_000;
const THREADS: usize = 2;
const RUNS_MIN: u32 = 3;

/// An expression, in which `X` stands for `one` and for `hundred`, and its steps; 0 for both 1 and 1,000.
const SHAPES: &[(&str, usize)] = &[
    ("a_X", 0),
    ("rate(a_X[1m])", 0),
    ("rate(a_X[1m])", 10_000),
    ("rate(sparse[1m])", 10_000),
    ("rate(a_X[1m] smoothed)", 0),
    ("rate(a_X[1m] smoothed)", 10_000),
    ("rate(sparse[1m] smoothed)", 10_000),
    ("double_exponential_smoothing(a_X[1d], 0.3, 0.3)", 0),
    ("changes(a_X[1d])", 0),
    ("rate(a_X[1d])", 0),
    ("absent_over_time(a_X[1d])", 0),
    ("-a_X", 0),
    ("a_X - b_X", 0),
    ("a_X - b_X", 10_000),
    ("a_X and b_X{l=~'.*[0-4]$'}", 0),
    ("a_X or b_X{l=~'.*[0-4]$'}", 0),
    ("a_X unless b_X{l=~'.*[0-4]$'}", 0),
    ("a_X and b_X{l='notfound'}", 0),
    ("abs(a_X)", 0),
    ("label_replace(a_X, 'l2', '$1', 'l', '(.*)')", 0),
    ("label_join(a_X, 'l2', '-', 'l', 'l')", 0),
    ("sum(a_X)", 0),
    ("avg(a_X)", 0),
    ("sum without (l)(h_X)", 0),
    ("sum without (le)(h_X)", 0),
    ("sum by (l)(h_X)", 0),
    ("sum by (le)(h_X)", 0),
    ("count_values('value', h_X)", 100),
    ("topk(1, a_X)", 0),
    ("topk(5, a_X)", 0),
    ("limitk(1, a_X)", 0),
    ("limitk(5, a_X)", 0),
    ("limit_ratio(0.1, a_X)", 0),
    ("limit_ratio(0.5, a_X)", 0),
    ("limit_ratio(-0.5, a_X)", 0),
    ("rate(a_X[1m]) + rate(b_X[1m])", 0),
    ("sum without (l)(rate(a_X[1m]))", 0),
    ("sum without (l)(rate(a_X[1m])) / sum without (l)(rate(b_X[1m]))", 0),
    ("histogram_quantile(0.9, rate(h_X[5m]))", 0),
    ("a_X + on(l) group_right a_one", 0),
    ("count({__name__!=\"\"})", 1),
    ("count({__name__!=\"\",l=\"\"})", 1),
    ("quantile_over_time(time() % 100 / 100, a_X[1m:10s] @ 86400)", 0),
    ("timestamp(a_X)", 0),
];

/// Measures the shapes whose name, `expr=…,steps=…`, contains `part`, each for `milliseconds` and at least
/// [`RUNS_MIN`] times after a warm-up. `dir` is a folder for the database.
pub(crate) fn run(dir: &str, milliseconds: u64, part: &str) -> Result<(), Error> {
    let db = open(Path::new(dir), DAY_MS)?;
    append(&db)?;
    db.compact()?;
    if db.blocks().len() != 1 {
        return Err(format!("{} blocks instead of one", db.blocks().len()).into());
    }
    let spawn = OsSpawn::new("query", THREADS)?;
    let time = Duration::from_millis(milliseconds);
    for (expr, steps) in cases() {
        // As Go prints it.
        let name = format!("expr={expr},steps={steps}").replace(' ', "_");
        if !name.contains(part) {
            continue;
        }
        let at_ms = |interval: usize| interval as i64 * INTERVAL_MS;
        let range_ms =
            Steps { start_ms: at_ms(INTERVALS - steps), end_ms: at_ms(INTERVALS), step_ms: INTERVAL_MS };
        black_box(range(&db, &spawn, &expr, range_ms).map_err(|e| format!("{expr}: {e}"))?);
        let (started, mut runs) = (Instant::now(), 0);
        while runs < RUNS_MIN || started.elapsed() < time {
            black_box(range(&db, &spawn, &expr, range_ms)?);
            runs += 1;
        }
        let ns = started.elapsed().as_nanos() / u128::from(runs);
        println!("{{\"name\":\"{}\",\"ns\":{ns}}}", name.replace('"', "\\\""));
    }
    db.close()?;
    Ok(())
}

/// Expressions and steps, in Prometheus' order.
fn cases() -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for &(shape, steps) in SHAPES {
        let sizes: &[&str] = if shape.contains('X') { &["one", "hundred"] } else { &[""] };
        for size in sizes {
            let expr = shape.replace('X', size);
            match steps {
                0 => all.extend([(expr.clone(), 1), (expr, 1000)]),
                _ => all.push((expr, steps)),
            }
        }
    }
    all
}

/// `a_`, `b_` and the classic histogram `h_`, of one, ten and a hundred series.
fn metrics() -> Vec<Labels> {
    let mut all = Vec::new();
    for (size, series) in [("one", 1), ("ten", 10), ("hundred", 100)] {
        for l in 0..series {
            let l = if size == "one" { String::new() } else { l.to_string() };
            for name in ["a", "b"] {
                all.push(Labels::from_pairs([("__name__", format!("{name}_{size}")), ("l", l.clone())]));
            }
            for le in (0..10).map(|le| le.to_string()).chain(["+Inf".to_owned()]) {
                let name = ("__name__", format!("h_{size}"));
                all.push(Labels::from_pairs([name, ("l", l.clone()), ("le", le)]));
            }
        }
    }
    all
}

fn append(db: &Db) -> Result<(), Error> {
    let metrics = metrics();
    let count = metrics.len() as f64;
    let mut series = vec![SeriesRef::NONE; metrics.len()];
    for s in 0..INTERVALS {
        let t_ms = s as i64 * INTERVAL_MS;
        let mut app = db.appender();
        for (i, (labels, series)) in metrics.iter().zip(&mut series).enumerate() {
            *series = app.append(*series, labels, t_ms, 0, s as f64 + i as f64 / count)?;
        }
        let sparse =
            Labels::from_pairs([("__name__", "sparse".to_owned()), ("l", (s / SPARSE_SAMPLES).to_string())]);
        app.append(SeriesRef::NONE, &sparse, t_ms, 0, s as f64 / count)?;
        app.commit()?;
    }
    Ok(())
}
