//! Many targets scraped at once while queries run: a query sees whole scrapes only.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use common::{Bench, T0, TEXT, body};
use engine::query::{QueryLimits, QueryTimes};
use engine::scrape::{ScrapeTime, Target};
use engine::{EngineOptions, ErrorCode};
use model::Labels;
use promql::{Cancel, SampleValue, Value};
use storage::{MemFs, OsSpawn};

const TARGETS: usize = 6;
const SERIES: usize = 300;
const SCRAPES: i64 = 60;

fn bench() -> Bench {
    let fs = MemFs::new();
    let threads = Arc::new(OsSpawn::new("test", 3).unwrap());
    let b = Bench::on(Arc::new(fs.clone()), fs, T0, EngineOptions::default(), threads);
    b.clock.set_ms(T0 + SCRAPES * 1000);
    b
}

fn text(number: i64) -> Vec<u8> {
    (0..SERIES).map(|i| format!("a{{i=\"{i}\"}} {number}\n")).collect::<String>().into_bytes()
}

/// Scrapes again and again: each end begins the next.
fn keep_scraping(target: Target, number: i64, done: mpsc::Sender<()>) {
    if number == SCRAPES {
        done.send(()).unwrap();
        return;
    }
    let time = ScrapeTime { timestamp_ms: T0 + number * 1000, elapsed_seconds: 0.0 };
    let again = target.clone();
    target.scrape(body(&text(number), TEXT, ""), time, move |r| {
        assert_eq!(r.unwrap().error, None);
        keep_scraping(again, number + 1, done);
    });
}

#[test]
fn a_query_never_sees_half_a_scrape() {
    let b = bench();
    let (done, finished) = mpsc::channel();
    for i in 0..TARGETS {
        let t = b.target(|o| o.labels = Labels::from_pairs([("job", format!("j{i}"))]));
        keep_scraping(t, 0, done.clone());
    }
    drop(done);
    let end = QueryTimes::Instant(T0 + SCRAPES * 1000);
    let mut looks = 0;
    let mut left = TARGETS;
    while left > 0 {
        left -= finished.try_iter().count();
        let queries = [
            // Values of a target's series differ, or some are missing.
            format!("(max by (job) (a) != min by (job) (a)) or (count by (job) (a) != {SERIES})"),
            "max by (job) (count_over_time(a[1h])) != min by (job) (count_over_time(a[1h]))".to_owned(),
            "sum by (job) (up) < 1".to_owned(),
        ];
        for query in queries {
            let Value::Vector(torn) = b.ask(&query, end).unwrap().value else { panic!() };
            assert!(torn.is_empty(), "{query}: {torn:?}");
        }
        looks += 1;
    }
    assert!(looks > 0);
    let Value::Vector(all) = b.ask("count(a)", end).unwrap().value else { panic!() };
    assert_eq!(all[0].value, SampleValue::Float((TARGETS * SERIES) as f64));
}

#[test]
fn closing_takes_in_what_was_accepted() {
    let b = bench();
    let targets: Vec<Target> = (0..TARGETS)
        .map(|i| b.target(|o| o.labels = Labels::from_pairs([("job", format!("j{i}"))])))
        .collect();
    let accepted = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = mpsc::channel();
    for (number, t) in targets.iter().enumerate() {
        let (tx, accepted) = (tx.clone(), accepted.clone());
        let time = ScrapeTime { timestamp_ms: T0, elapsed_seconds: 0.0 };
        t.scrape(body(&text(number as i64), TEXT, ""), time, move |r| {
            accepted.fetch_add(usize::from(r.is_ok()), Ordering::SeqCst);
            tx.send(()).unwrap();
        });
    }
    common::wait(|done| b.engine.close(done)).unwrap();
    drop(tx);
    assert_eq!(rx.iter().count(), TARGETS);
    assert_eq!(accepted.load(Ordering::SeqCst), TARGETS);
    let again = Bench::over(b.fs.clone(), T0);
    again.check(0, "count(a)", &[&format!("{{}} {}", TARGETS * SERIES)]);
}

#[test]
fn closing_ends_a_long_query() {
    let b = bench();
    let (tx, rx) = mpsc::channel();
    let long = "count(sum_over_time(vector(time())[400d:1s]) > sum_over_time(vector(1)[400d:1s]))".to_owned();
    let times = QueryTimes::Instant(T0);
    b.engine.query(long, times, QueryLimits::default(), Cancel::new(), move |r| tx.send(r).unwrap());
    common::wait(|done| b.engine.close(done)).unwrap();
    if let Err(e) = rx.recv().unwrap() {
        assert_eq!(e.code, ErrorCode::Closed, "{e}");
    }
    let e = b.ask("1", times).unwrap_err();
    assert_eq!(e.code, ErrorCode::Closed, "{e}");
    let e = common::wait(|done| b.engine.maintain(done)).unwrap_err();
    assert_eq!(e.code, ErrorCode::Closed, "{e}");
}
