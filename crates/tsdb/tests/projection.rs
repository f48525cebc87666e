//! A select that needs some labels only, or no order: the same series with the same samples, whether
//! they lie in the head, in a block or in both.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use model::{Columns, Labels, SeriesRef};
use storage::{Inline, ManualClock, MemFs, Projection, Querier, Queryable, SelectHints};
use tsdb::{Db, DbOptions};

const RANGE_MS: i64 = 120_000;
const STEP_MS: i64 = 15_000;

fn labels(i: usize) -> Labels {
    let (instance, mode) = ((i % 7).to_string(), ["user", "idle", ""][i % 3]);
    // Appended in an order that is not that of labels.
    let id = (97 * i % 100).to_string();
    Labels::from_pairs([("__name__", "m"), ("id", &id), ("instance", &instance), ("mode", mode)])
}

fn open() -> Db {
    let fs = MemFs::new();
    let clock = Arc::new(ManualClock::new(0));
    let mut o = DbOptions::new(Path::new("data"), Arc::new(fs), clock, Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    Db::open(o).unwrap()
}

fn append(db: &Db, from_ms: i64, to_ms: i64) {
    let mut t = from_ms;
    while t < to_ms {
        let mut a = db.appender();
        for i in 0..100 {
            a.append(SeriesRef::NONE, &labels(i), t, 0, (t + i as i64) as f64).unwrap();
        }
        a.commit().unwrap();
        t += STEP_MS;
    }
}

/// Labels and samples of each series, sorted.
fn answer(querier: &dyn Querier, projection: &Projection, any_order: bool) -> Vec<(Labels, Vec<(i64, u64)>)> {
    let hints = SelectHints {
        start_ms: 0,
        end_ms: i64::MAX,
        projection: projection.clone(),
        any_order,
        ..SelectHints::default()
    };
    let set = querier.select(&hints, &[]).unwrap();
    let mut all: Vec<_> = (0..set.len())
        .map(|i| {
            let mut c = Columns::default();
            set.read(i, &mut c).unwrap();
            (set.labels(i), c.t.iter().copied().zip(c.v.iter().map(|v| v.to_bits())).collect::<Vec<_>>())
        })
        .collect();
    assert!(any_order || *projection != Projection::All || all.is_sorted_by(|a, b| a.0 < b.0));
    all.sort();
    all
}

#[test]
fn a_projection_leaves_out_labels_and_nothing_else() {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let by = names(&["instance", "mode", "nowhere"]);
    let check = |db: &Db, places: &str, leaves_out: bool| {
        let querier = db.querier(0, i64::MAX).unwrap();
        let whole = answer(querier.as_ref(), &Projection::All, false);
        assert_eq!(whole.len(), 100, "{places}");
        assert!(whole.iter().all(|(_, samples)| samples.len() == whole[0].1.len()), "{places}");
        assert_eq!(answer(querier.as_ref(), &Projection::All, true), whole, "{places}");
        let kept = |keep: &dyn Fn(&str) -> bool| {
            let mut kept: Vec<_> = whole
                .iter()
                .map(|(l, s)| (Labels::from_pairs(l.iter().filter(|(n, _)| keep(n))), s.clone()))
                .collect();
            kept.sort();
            kept
        };
        let only = answer(querier.as_ref(), &Projection::Only(by.clone()), true);
        let without = answer(querier.as_ref(), &Projection::Without(by.clone()), true);
        if leaves_out {
            assert_eq!(only, kept(&|n| by.iter().any(|b| b == n)), "{places}");
            assert_eq!(without, kept(&|n| by.iter().all(|b| b != n)), "{places}");
        } else {
            assert_eq!((&only, &without), (&whole, &whole), "{places}");
        }
    };
    let db = open();
    append(&db, 0, RANGE_MS + RANGE_MS / 4);
    check(&db, "head", true);
    append(&db, RANGE_MS + RANGE_MS / 4, 2 * RANGE_MS);
    db.tick().unwrap();
    assert_eq!(db.blocks().len(), 1);
    // Head and block must find each other's series, so both give all labels.
    check(&db, "head and block", false);
    let querier = db.querier(0, RANGE_MS - 1).unwrap();
    let only = answer(querier.as_ref(), &Projection::Only(by.clone()), true);
    assert_eq!(only.len(), 100);
    assert!(only.iter().all(|(l, _)| l.iter().all(|(n, _)| by.iter().any(|b| b == n))));
}
