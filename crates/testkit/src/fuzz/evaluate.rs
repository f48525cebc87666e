//! The evaluator against random expressions over random series.

use std::sync::LazyLock;

use promql::{Cancel, QueryError, QueryOptions, QueryResult, SampleValue, Value};
use promql_syntax::{Expr, ParseOptions, parse};
use storage::{Inline, ManualClock, OsSpawn, Spawn, VecStore};

use super::world::{INTERVAL_MS, world};
use super::{Choices, expression};

const DEPTH_MAX: usize = 4;
const STEPS_MAX: usize = 30;

static THREADS: LazyLock<OsSpawn> =
    LazyLock::new(|| OsSpawn::new("fuzz", 3).expect("the system gives a few threads"));

/// Whatever the series and the expression: the query ends and does not panic, several threads answer as one does, to
/// the bit, and a range of one step answers as an instant.
pub fn evaluate(data: &[u8]) {
    let mut c = Choices::new(data);
    let start_ms = c.below(60) as i64 * INTERVAL_MS + c.pick(&[0, 0, 1, 7_000]);
    let step_ms = c.pick(&[INTERVAL_MS, 1, 40_000, 60_000, 301_000]);
    let end_ms = start_ms + step_ms * c.below(STEPS_MAX) as i64;
    let opts = QueryOptions {
        lookback_ms: c.pick(&[300_000, 20_000, 15_000]),
        max_samples: c.pick(&[100_000, 100_000, 500]),
        default_subquery_step_ms: 30_000,
        delayed_name_removal: c.chance(5),
        use_start_timestamps: c.chance(5),
        type_and_unit_labels: c.chance(3),
        ..QueryOptions::default()
    };
    let depth = 1 + c.below(DEPTH_MAX);
    let text = expression(&mut c, depth);
    let store = world(&mut c);
    let Ok(expr) = parse(&text, &ParseOptions::all()) else { return };
    let range = |spawn: &dyn Spawn, end_ms, opts: &QueryOptions| {
        let clock = ManualClock::new(0);
        promql::range(&store, spawn, &clock, &expr, start_ms, end_ms, step_ms, opts, &Cancel::new())
    };
    let (one, several) = (range(&Inline, end_ms, &opts), range(&*THREADS, end_ms, &opts));
    assert_eq!(shown(&one, &text), shown(&several, &text), "{text}: one thread and several");
    // Where the limit strikes depends on the kind of query.
    if opts.max_samples > 500 {
        as_instant(&store, &expr, &text, start_ms, &opts, &range(&Inline, start_ms, &opts));
    }
}

fn as_instant(
    store: &VecStore,
    expr: &Expr,
    text: &str,
    t_ms: i64,
    opts: &QueryOptions,
    range: &Result<QueryResult, QueryError>,
) {
    let clock = ManualClock::new(0);
    let instant = promql::instant(store, &Inline, &clock, expr, t_ms, opts, &Cancel::new());
    // A range query says that it does not sort.
    if text.contains("sort") {
        let values = |r: &Result<QueryResult, QueryError>| r.as_ref().ok().map(|r| points(&r.value));
        assert_eq!(values(&instant), values(range), "{text}: at {t_ms} and from there to there");
    } else {
        assert_eq!(shown(&instant, text), shown(range, text), "{text}: at {t_ms} and from there to there");
    }
}

/// All that a client sees of an answer.
fn shown(r: &Result<QueryResult, QueryError>, query: &str) -> Vec<String> {
    match r {
        Err(why) => vec![why.to_string()],
        Ok(r) => {
            let mut out = points(&r.value);
            out.extend(r.annotations.warnings(query, 0));
            out.extend(r.annotations.infos(query, 0));
            out
        }
    }
}

/// Series with their points, in order of labels; NaNs by their bits.
fn points(value: &Value) -> Vec<String> {
    let float = |t: i64, v: f64| format!("{t} {:x}", v.to_bits());
    let mut out: Vec<String> = match value {
        Value::Scalar(t, v) => vec![format!("{{}} {}", float(*t, *v))],
        Value::String(t, s) => vec![format!("{t} {s:?}")],
        Value::Vector(samples) => samples
            .iter()
            .map(|s| match &s.value {
                SampleValue::Float(v) => format!("{} {}", s.labels, float(s.t_ms, *v)),
                SampleValue::Histogram(h) => format!("{} {} {h:?}", s.labels, s.t_ms),
            })
            .collect(),
        Value::Matrix(series) => series
            .iter()
            .map(|s| {
                let floats = s.t.iter().zip(&s.v).map(|(t, v)| float(*t, *v));
                let histograms = s.h.iter().map(|(t, h)| format!("{t} {h:?}"));
                let all: Vec<String> = floats.chain(histograms).collect();
                format!("{} {}", s.labels, all.join(" "))
            })
            .collect(),
    };
    out.sort_unstable();
    out
}
