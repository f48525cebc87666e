//! Commits and queries on several threads: a query sees whole commits only, and all that were
//! acknowledged before it began.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use model::{Columns, Labels, Matcher, SeriesRef};
use storage::{Inline, ManualClock, MemFs, Querier, Queryable, SelectHints};
use tsdb::{Db, DbOptions};

const WRITERS: usize = 2;
/// More than a page, so that a commit is applied in several steps.
const SERIES: i64 = 400;
const ROUNDS: i64 = 300;

fn labels(writer: usize, i: i64) -> Labels {
    let half = if i % 2 == 0 { "even" } else { "odd" };
    Labels::from_pairs([("__name__", "m"), ("half", half), ("i", &i.to_string()), ("w", &writer.to_string())])
}

fn write(db: &Db, writer: usize, done: &AtomicI64) {
    let mut refs = vec![SeriesRef::NONE; SERIES as usize];
    for round in 1..=ROUNDS {
        let mut a = db.appender();
        for i in 0..SERIES {
            let r = &mut refs[i as usize];
            *r = a.append(*r, &labels(writer, i), round * 1000, 0, round as f64).unwrap();
        }
        a.commit().unwrap();
        done.store(round, Ordering::SeqCst);
    }
}

/// The newest round that each series of a writer shows; all must show the same.
fn round_of(querier: &dyn Querier, writer: usize, half: &str) -> i64 {
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, ..SelectHints::default() };
    let matchers = [Matcher::equal("w", writer.to_string()), Matcher::equal("half", half)];
    let set = querier.select(&hints, &matchers).unwrap();
    let mut rounds = Vec::new();
    let mut c = Columns::default();
    for i in 0..set.len() {
        c.clear();
        set.read(i, &mut c).unwrap();
        assert!(c.t.iter().zip(1..).all(|(t, k)| *t == k * 1000), "no sample is missing in between");
        rounds.push(c.len() as i64);
    }
    rounds.dedup();
    assert!(rounds.len() <= 1, "half a commit: {rounds:?}");
    let round = rounds.first().copied().unwrap_or(0);
    assert!(round == 0 || set.len() as i64 == SERIES / 2);
    round
}

fn check(db: &Db, done: &[AtomicI64]) {
    let before: Vec<i64> = done.iter().map(|d| d.load(Ordering::SeqCst)).collect();
    let querier = db.querier(0, i64::MAX).unwrap();
    for (writer, acknowledged) in before.into_iter().enumerate() {
        let even = round_of(&*querier, writer, "even");
        let odd = round_of(&*querier, writer, "odd");
        assert_eq!(even, odd, "two selects of one query see the same commits");
        assert!(even >= acknowledged, "{even} < {acknowledged}");
    }
}

#[test]
fn queries_see_whole_commits() {
    let clock = Arc::new(ManualClock::new(0));
    let db = Db::open(DbOptions::new("data", Arc::new(MemFs::new()), clock, Arc::new(Inline))).unwrap();
    let done: [AtomicI64; WRITERS] = Default::default();
    let finished = AtomicBool::new(false);
    std::thread::scope(|s| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                s.spawn(|| {
                    while !finished.load(Ordering::SeqCst) {
                        check(&db, &done);
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|w| {
                s.spawn({
                    let (db, done) = (&db, &done);
                    move || write(db, w, &done[w])
                })
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(|w| w.join()).collect();
        finished.store(true, Ordering::SeqCst);
        ended.into_iter().for_each(|w| w.unwrap());
        readers.into_iter().for_each(|r| r.join().unwrap());
    });
    check(&db, &done);
    assert_eq!(db.num_series(), WRITERS as u64 * SERIES as u64);
}
