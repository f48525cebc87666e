//! Logs that our own writer never writes, and others may.

use std::path::Path;
use std::sync::Arc;

use model::{Columns, Labels};
use storage::{Fs, Inline, LabelHints, ManualClock, MemFs, OsSpawn, Queryable, SelectHints, Spawn};

use crate::wal::fragment::Fragmenter;
use crate::wal::record::{RefSample, kind, put_samples, put_series};
use crate::{Db, DbOptions};

fn named(i: u64) -> Labels {
    Labels::from_pairs([("__name__", "up"), ("instance", &*format!("host-{i}"))])
}

fn series(all: &[(u64, Labels)]) -> Vec<u8> {
    let mut record = Vec::new();
    all.iter().for_each(|(r, labels)| put_series(&mut record, *r, labels));
    record
}

fn samples(all: &[(u64, i64, f64)]) -> Vec<u8> {
    let all: Vec<_> = all.iter().map(|&(series, t, v)| RefSample { series, t, v }).collect();
    let mut record = Vec::new();
    put_samples(&mut record, &all);
    record
}

/// Opens a database over a log of these records.
fn open(records: &[Vec<u8>], spawn: Arc<dyn Spawn>) -> Db {
    let fs = MemFs::new();
    fs.create_dir_all(Path::new("data/wal")).unwrap();
    let (mut fragmenter, mut bytes) = (Fragmenter::new(128 << 20), Vec::new());
    records.iter().for_each(|r| fragmenter.put(0, r, &mut bytes));
    let mut file = fs.create(Path::new("data/wal/00000000")).unwrap();
    file.append(&bytes).unwrap();
    drop(file);
    Db::open(DbOptions::new("data", Arc::new(fs), Arc::new(ManualClock::new(0)), spawn)).unwrap()
}

/// All series in order, with the times of their samples.
fn all(db: &Db) -> Vec<(String, Vec<i64>)> {
    let q = db.querier(0, 10_000).unwrap();
    let hints = SelectHints { start_ms: 0, end_ms: 10_000, ..SelectHints::default() };
    let set = q.select(&hints, &[]).unwrap();
    let mut all: Vec<_> = (0..set.len())
        .map(|i| {
            let mut columns = Columns::default();
            set.read(i, &mut columns).unwrap();
            (set.labels(i).to_string(), columns.t)
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_series_may_be_named_again_and_again() {
    for spawn in [Arc::new(Inline) as Arc<dyn Spawn>, Arc::new(OsSpawn::new("test", 2).unwrap())] {
        // Enough of them for several threads; each is named a second time within the record, and
        // a third time later.
        let many: Vec<(u64, Labels)> =
            (0..500).flat_map(|i| [(1 + i, named(i)), (1001 + i, named(i))]).collect();
        let again: Vec<(u64, Labels)> =
            (0..500).flat_map(|i| [(1 + i, named(i)), (2001 + i, named(i))]).collect();
        let values: Vec<_> = (0..500)
            .flat_map(|i| [(1 + i, 1000, 1.0), (1001 + i, 2000, 2.0), (2001 + i, 3000, 3.0)])
            .collect();
        let db = open(&[series(&many), samples(&values[..1]), series(&again), samples(&values)], spawn);
        let mut want: Vec<_> = (0..500).map(|i| (named(i).to_string(), vec![1000, 2000, 3000])).collect();
        want.sort();
        assert_eq!(all(&db), want);
        assert_eq!(db.replay_report().series, 500);
        assert_eq!(db.replay_report().unknown_series_samples, 0);
        let values =
            db.querier(0, 10_000).unwrap().label_values("instance", LabelHints::default(), &[]).unwrap();
        assert_eq!(values.len(), 500);
    }
}

#[test]
fn a_reference_given_twice_belongs_to_the_later_series() {
    let log = [
        series(&[(1, named(1)), (2, named(2))]),
        samples(&[(1, 1000, 1.0), (2, 1000, 1.0)]),
        series(&[(2, named(3))]),
        samples(&[(1, 2000, 1.0), (2, 2000, 1.0)]),
    ];
    let db = open(&log, Arc::new(Inline));
    let want = [(named(1).to_string(), vec![1000, 2000]), (named(3).to_string(), vec![2000])];
    assert_eq!(all(&db), want);
}

#[test]
fn labels_in_disorder_are_put_in_order() {
    // b="2", a="1", c="" in this order, and the same set as our own writer has it.
    let mut record = vec![kind::SERIES];
    record.extend_from_slice(&7u64.to_be_bytes());
    record.extend_from_slice(b"\x03\x01b\x012\x01a\x011\x01c\x00");
    let plain = Labels::from_pairs([("a", "1"), ("b", "2")]);
    let log = [record, series(&[(9, plain.clone())]), samples(&[(7, 1000, 1.0), (9, 2000, 1.0)])];
    let db = open(&log, Arc::new(Inline));
    assert_eq!(all(&db), [(plain.to_string(), vec![1000, 2000])]);
    // A record that ends too early is where the log ends; what was before it stays.
    let mut torn = series(&[(3, named(3)), (4, named(4))]);
    torn.truncate(torn.len() - 1);
    let log = [series(&[(1, named(1))]), samples(&[(1, 1000, 1.0)]), torn, samples(&[(1, 2000, 1.0)])];
    let db = open(&log, Arc::new(Inline));
    assert_eq!(all(&db), [(named(1).to_string(), vec![1000])]);
    assert!(db.replay_report().wal_repaired.is_some());
}
