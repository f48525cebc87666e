//! A select whose answer is no longer wanted ends at the next question, wherever that comes: while
//! series are looked for in the head and in blocks, merged and sorted, and while a long one is read.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Columns, Labels, MatchOp, Matcher, SeriesRef};
use storage::{
    Inline, ManualClock, MemFs, Projection, Queryable, STOP_STRETCH, SelectHints, SeriesSet, Stop,
    StorageError,
};
use tsdb::{Db, DbOptions};

const RANGE_MS: i64 = 120_000;
const SERIES: usize = 3 * STOP_STRETCH;

fn open() -> Db {
    let clock = Arc::new(ManualClock::new(0));
    let mut o = DbOptions::new(Path::new("data"), Arc::new(MemFs::new()), clock, Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    Db::open(o).unwrap()
}

fn append(db: &Db, t_ms: i64) {
    let mut a = db.appender();
    for i in 0..SERIES {
        // In no order of labels.
        let id = (i * 7919 % SERIES).to_string();
        let labels = Labels::from_pairs([("__name__", "m"), ("id", &id)]);
        a.append(SeriesRef::NONE, &labels, t_ms, 0, 1.0).unwrap();
    }
    a.commit().unwrap();
}

/// A stop that comes with question `n`, and how often it was asked.
fn after(n: usize) -> (Stop, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    (Stop::when(move || count.fetch_add(1, Ordering::Relaxed) >= n), asked)
}

fn select(db: &Db, stop: Stop, projection: Projection) -> Result<Box<dyn SeriesSet>, StorageError> {
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, projection, stop, ..SelectHints::default() };
    let any = [("__name__", "m"), ("id", ".*1.*|.+")];
    let matchers = any.map(|(name, value)| Matcher::new(MatchOp::Regex, name, value).unwrap());
    db.querier(0, i64::MAX).unwrap().select(&hints, &matchers)
}

/// Each of the questions that a whole select asks can end it; how many there are at least.
fn check(db: &Db, places: &str, at_least: usize) -> usize {
    let mut fewest = usize::MAX;
    for projection in [Projection::All, Projection::Only(vec!["id".into()])] {
        let (stop, asked) = after(usize::MAX);
        assert_eq!(select(db, stop, projection.clone()).unwrap().len(), SERIES, "{places}");
        let all = asked.load(Ordering::Relaxed);
        assert!(all >= at_least, "{places}: asked {all} times");
        for n in 0..all {
            let (stop, asked) = after(n);
            let stopped = select(db, stop, projection.clone());
            assert!(matches!(stopped, Err(StorageError::Stopped)), "{places}: {n} of {all}");
            assert_eq!(asked.load(Ordering::Relaxed), n + 1, "{places}: nothing is done afterwards");
        }
        fewest = fewest.min(all);
    }
    fewest
}

#[test]
fn a_select_ends_at_the_next_question() {
    let walks = SERIES / STOP_STRETCH;
    let db = open();
    append(&db, 0);
    append(&db, RANGE_MS);
    // Values, series, and the sort.
    let head = check(&db, "head", 2 * walks + walks);
    append(&db, 2 * RANGE_MS);
    db.tick().unwrap();
    // Besides: values and series of the block, and the merge.
    check(&db, "head and block", head + 2 * walks + walks);
}

#[test]
fn a_long_series_is_left_while_it_is_read() {
    let samples = 40_000;
    let one = [Matcher::new(MatchOp::Equal, "__name__", "long").unwrap()];
    let db = open();
    let labels = Labels::from_pairs([("__name__", "long")]);
    let mut a = db.appender();
    for t_ms in 0..samples {
        a.append(SeriesRef::NONE, &labels, t_ms, 0, t_ms as f64).unwrap();
    }
    a.commit().unwrap();
    let check = |places: &str| {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let raised = stop.clone();
        let hints = SelectHints {
            start_ms: 0,
            end_ms: i64::MAX,
            stop: Stop::when(move || raised.load(Ordering::Relaxed)),
            ..SelectHints::default()
        };
        let set = db.querier(0, i64::MAX).unwrap().select(&hints, &one).unwrap();
        let mut columns = Columns::default();
        set.read(0, &mut columns).unwrap();
        assert!(columns.len() >= samples as usize, "{places}");
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(set.read(0, &mut columns), Err(StorageError::Stopped)), "{places}");
    };
    check("head");
    let mut a = db.appender();
    a.append(SeriesRef::NONE, &labels, 3 * RANGE_MS, 0, 1.0).unwrap();
    a.commit().unwrap();
    db.tick().unwrap();
    check("block");
}
