//! What must be in the ring of exemplars. It is made large enough for all of a run, so that none is lost
//! but by a crash, by switching the ring off, or because the log no longer has it.

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, SeriesRef};
use storage::{Appender, Exemplar, ExemplarQuerier};
use tsdb::Db;

use super::samples::labels;

/// Every so many samples there is an exemplar.
const EVERY: u64 = 16;

/// Series and time: a run sends one exemplar at a time of a series, whose value is that time.
type Key = (usize, i64);

/// An exemplar in a transaction, and whether there was a ring when it came.
pub(super) type Pending = (Key, bool);

#[derive(Default)]
pub(super) struct Exemplars {
    max: usize,
    must: BTreeSet<Key>,
    sent: BTreeSet<Key>,
    ends_ms: BTreeMap<usize, i64>,
}

fn exemplar((series, t): Key) -> Exemplar {
    let id = format!("{series}-{t}");
    Exemplar { labels: Labels::from_pairs([("id", &*id)]), value: t as f64, timestamp_ms: Some(t) }
}

impl Exemplars {
    pub(super) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// Adds an exemplar to a sample now and then.
    pub(super) fn append(&self, a: &mut dyn Appender, key: Key, n: u64) -> Option<Pending> {
        let due = n.is_multiple_of(EVERY);
        let taken = due && a.append_exemplar(SeriesRef::NONE, &labels(key.0), &exemplar(key)).is_ok();
        taken.then_some((key, self.max > 0))
    }

    pub(super) fn committed(&mut self, pending: Vec<Pending>, acknowledged: bool) {
        for ((series, t), kept) in pending {
            self.sent.insert((series, t));
            let end_ms = self.ends_ms.entry(series).or_insert(i64::MIN);
            if acknowledged && t > *end_ms {
                *end_ms = t;
                if kept && self.max > 0 {
                    self.must.insert((series, t));
                }
            }
        }
    }

    pub(super) fn resized(&mut self, max: usize) {
        self.max = max;
        if max == 0 {
            // What is in the log counts again when that is replayed.
            self.must.clear();
        }
    }

    fn read(&self, db: &Db, when: &str) -> BTreeSet<Key> {
        let mut out = BTreeSet::new();
        for each in db.exemplars(i64::MIN, i64::MAX, &[Vec::new()]).unwrap() {
            let series: usize = each.series.get("i").unwrap().parse().unwrap();
            assert_eq!(each.series, labels(series));
            for e in each.exemplars {
                let key = (series, e.timestamp_ms.unwrap());
                assert_eq!(e, exemplar(key));
                assert!(self.sent.contains(&key), "{when}: exemplar {key:?}: never sent");
                assert!(out.insert(key), "{when}: exemplar {key:?} comes twice");
            }
        }
        out
    }

    /// While the database runs nothing is lost.
    pub(super) fn check(&self, db: &Db) {
        let got = self.read(db, "while it runs");
        let lost: Vec<_> = self.must.difference(&got).take(3).collect();
        assert!(lost.is_empty(), "exemplars lost: {lost:?}");
    }

    /// After a start the log has those of the time that the head has; `whole` says whether it can have lost
    /// any. Goes on with what is there.
    pub(super) fn verify(&mut self, db: &Db, whole: bool, when: &str) {
        let got = self.read(db, when);
        let from_ms = db.head_range_ms().map_or(i64::MAX, |(from_ms, _)| from_ms);
        let lost: Vec<_> =
            self.must.iter().filter(|key| key.1 >= from_ms && !got.contains(key)).take(3).collect();
        assert!(!whole || lost.is_empty(), "{when}: exemplars lost: {lost:?}");
        self.ends_ms.clear();
        got.iter().for_each(|(series, t)| _ = self.ends_ms.insert(*series, *t));
        // Others came late, and a smaller window refuses them at the next start.
        self.must.retain(|key| got.contains(key));
    }
}
