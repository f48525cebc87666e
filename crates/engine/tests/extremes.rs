//! Times, steps and values at the ends of their ranges: errors or answers, never a panic.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Bench, T0, wait};
use engine::embed::SeriesBatch;
use engine::query::QueryTimes;
use engine::scrape::{ScrapeInput, ScrapeTime};
use engine::{EngineError, ErrorCode};
use model::Labels;

const TIMES: [i64; 9] =
    [i64::MIN, i64::MIN + 1, -62_135_596_800_000, -1, 0, T0, 253_402_300_799_999, i64::MAX - 1, i64::MAX];
const STEPS: [i64; 6] = [i64::MIN, -1, 0, 1, 60_000, i64::MAX];

const QUERIES: [&str; 24] = [
    "a",
    "1",
    "time()",
    "a offset 100y",
    "a offset -100y",
    "a @ 0",
    "a @ 9223372036854775.807",
    "a @ -9223372036854775.808",
    "a @ start() offset -1ms",
    "a @ end()",
    "rate(a[100y])",
    "increase(a[1ms])",
    "sum_over_time(a[1h] offset 290y)",
    "avg_over_time(a[1h:1m])",
    "max_over_time(a[100y:90y] offset 100y)",
    "count_over_time(a[1h:1m] @ 9223372036854775)",
    "min_over_time(rate(a[5m])[1h:1m])[1h:1m]",
    "predict_linear(a[1h], 1e300)",
    "timestamp(a)",
    "year(vector(-1e300)) + minute(vector(1e300)) + day_of_year(vector(NaN))",
    "absent(a)",
    "vector(1) + on() a",
    "topk(9223372036854775807, a)",
    "quantile(-Inf, a)",
];

fn check_no_fault(query: &str, times: QueryTimes, got: Result<(), EngineError>) {
    if let Err(e) = got {
        assert_ne!(e.code, ErrorCode::Internal, "{query} at {times:?}: {e}");
    }
}

fn ask_everything(b: &Bench) {
    for query in QUERIES {
        for start_ms in TIMES {
            let times = QueryTimes::Instant(start_ms);
            check_no_fault(query, times, b.ask(query, times).map(drop));
            for end_ms in TIMES {
                for step_ms in STEPS {
                    // As the HTTP API, which bounds the number of steps.
                    if step_ms > 0 && end_ms.saturating_sub(start_ms) / step_ms > 11_000 {
                        continue;
                    }
                    let times = QueryTimes::Range { start_ms, end_ms, step_ms };
                    check_no_fault(query, times, b.ask(query, times).map(drop));
                }
            }
        }
    }
}

#[test]
fn queries_at_any_time() {
    let b = Bench::new();
    ask_everything(&b);
    let t = b.target(|_| {});
    for second in 0..5 {
        b.scrape(&t, second * 30, &format!("a {second}\n"));
    }
    ask_everything(&b);
}

#[test]
fn too_many_steps_are_refused_before_they_take_memory() {
    let b = Bench::new();
    for query in ["1", "a", "time()", "vector(1)"] {
        let times = QueryTimes::Range { start_ms: i64::MIN, end_ms: i64::MAX, step_ms: 1 };
        assert_eq!(b.ask(query, times).unwrap_err().code, ErrorCode::QueryExecution);
    }
}

#[test]
fn samples_at_any_time() {
    let newest = r#"{__name__="b", instance="h:1", job="j"} 2"#;
    // The text format has no negative timestamps; an embedder has.
    for first in TIMES {
        let b = Bench::new();
        let t = b.target(|_| {});
        let labels = Labels::from_pairs([("__name__", "a")]);
        let batch = SeriesBatch { labels, timestamps: vec![first], values: vec![1.0] };
        wait(|done| b.engine.append(vec![batch], done)).unwrap();
        for (ms, second) in TIMES.into_iter().filter(|ms| *ms >= 0).zip(1..) {
            let r = b.scrape(&t, second, &format!("a 1 {ms}\nb 2\n"));
            assert_eq!(r.error, None, "{ms} after {first}");
        }
        b.check(9, "b", &[newest]);
        wait(|done| b.engine.maintain(done)).unwrap();
        b.check(9, "b", &[newest]);
        let again = Bench::over(b.fs.snapshot(), T0 + 60_000);
        again.check(9, "b", &[newest]);
    }
}

#[test]
fn a_batch_from_the_future_leaves_room_for_the_present() {
    let b = Bench::new();
    let batch = |timestamps: Vec<i64>| {
        let values = vec![1.0; timestamps.len()];
        vec![SeriesBatch { labels: Labels::from_pairs([("__name__", "a")]), timestamps, values }]
    };
    let r = wait(|done| b.engine.append(batch(vec![T0, T0 + 600_001, i64::MAX]), done)).unwrap();
    assert_eq!((r.appended, r.out_of_bounds), (1, 2));
    let t = b.target(|_| {});
    for timestamp_ms in [T0 + 3_600_000, i64::MAX] {
        let input = ScrapeInput::<Vec<u8>>::Failed("down".to_owned());
        let time = ScrapeTime { timestamp_ms, elapsed_seconds: f64::NAN };
        let e = wait(|done| t.scrape(input, time, done)).unwrap_err();
        assert_eq!(e.code, ErrorCode::InvalidArgument);
        let e = wait(|done| t.mark_stale(timestamp_ms, done)).unwrap_err();
        assert_eq!(e.code, ErrorCode::InvalidArgument);
    }
    b.scrape(&t, 1, "b 1\n");
    b.check(1, "b", &[r#"{__name__="b", instance="h:1", job="j"} 1"#]);
}
