//! A disk that is full or fails: writes are refused with a clear error, reads go on, and what was
//! acknowledged is there after the next start.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use model::{Columns, Labels, SeriesRef};
use storage::{AppendError, Fs, Inline, ManualClock, MemFs, Queryable, SelectHints, StorageError};
use testkit::faults::SmallDisk;
use tsdb::{Db, DbOptions, WalSync};

fn open(disk: &SmallDisk) -> Db {
    let mut o =
        DbOptions::new("data", Arc::new(disk.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
    o.wal_sync = WalSync::Commit;
    Db::open(o).unwrap()
}

fn disk(left: i64) -> SmallDisk {
    SmallDisk::new(MemFs::new(), left)
}

fn series(i: i64) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())])
}

fn add(db: &Db, t: i64) -> Result<(), StorageError> {
    let mut a = db.appender();
    for i in 0..20 {
        // Noise, so that chunks and log do not compress away.
        let v = (t * (i + 7)) as f64 * 1.000_7;
        a.append(SeriesRef::NONE, &series(i), t, 0, v).map_err(|e| match e {
            AppendError::ReadOnly(why) => StorageError::ReadOnly(why),
            other => panic!("{other}"),
        })?;
    }
    a.commit()
}

fn times(db: &Db) -> Vec<i64> {
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, ..SelectHints::default() };
    let set = db.querier(0, i64::MAX).unwrap().select(&hints, &[]).unwrap();
    let mut all: Vec<Vec<i64>> = Vec::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        all.push(c.t);
    }
    assert!(all.windows(2).all(|w| w[0] == w[1]), "all series have the same samples");
    all.pop().unwrap_or_default()
}

/// Appends until it is refused; returns the times acknowledged.
fn fill(db: &Db) -> (Vec<i64>, StorageError) {
    let mut acknowledged = Vec::new();
    loop {
        let t = 1000 * (1 + acknowledged.len() as i64);
        match add(db, t) {
            Ok(()) => acknowledged.push(t),
            Err(e) => return (acknowledged, e),
        }
    }
}

#[test]
fn a_full_disk_stops_writes_and_not_reads() {
    for room in [3_000, 40_001, 150_007] {
        let disk = disk(room);
        let db = open(&disk);
        let (acknowledged, e) = fill(&db);
        assert!(e.to_string().contains("no space left on device"), "{e}");
        assert_eq!(times(&db), acknowledged, "what was refused is not seen");
        let refusal = db.refuses_writes().unwrap();
        assert!(refusal.contains("data/wal/00000000"), "{refusal}");
        disk.set_left(1 << 40);
        assert!(matches!(add(&db, 1 << 40), Err(StorageError::ReadOnly(_))), "room alone does not heal it");
        let refused = db.appender().append(SeriesRef::NONE, &series(99), 1 << 40, 0, 1.0);
        assert!(matches!(refused, Err(AppendError::ReadOnly(_))));
        let failed =
            db.metrics().into_iter().find(|m| m.name == "prometheus_tsdb_wal_writes_failed_total").unwrap();
        assert!(failed.value >= 1.0);
        drop(db);
        let disk = SmallDisk::new(disk.files().snapshot(), 1 << 40);
        let db = open(&disk);
        assert_eq!(times(&db), acknowledged);
        add(&db, 1 << 20).unwrap();
    }
}

#[test]
fn a_failed_sync_stops_writes() {
    let disk = disk(1 << 30);
    let db = open(&disk);
    add(&db, 1000).unwrap();
    disk.set_fails_sync(true);
    let e = add(&db, 2000).unwrap_err();
    assert!(e.to_string().contains("data/wal/00000000"), "{e}");
    disk.set_fails_sync(false);
    assert!(matches!(add(&db, 3000), Err(StorageError::ReadOnly(_))));
    assert_eq!(times(&db), [1000]);
}

#[test]
fn a_read_only_disk_is_refused_by_name_or_stops_writes() {
    let disk = disk(1 << 30);
    disk.set_read_only(true);
    let o = DbOptions::new("data", Arc::new(disk.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
    let e = Db::open(o.clone()).err().unwrap();
    assert_eq!(e.to_string(), "create data: read-only file system");
    disk.set_read_only(false);
    let db = open(&disk);
    add(&db, 1000).unwrap();
    disk.set_read_only(true);
    let e = add(&db, 2000).unwrap_err();
    assert!(e.to_string().contains("data/wal/00000000: read-only file system"), "{e}");
    disk.set_read_only(false);
    assert!(matches!(add(&db, 3000), Err(StorageError::ReadOnly(_))), "writes stay refused");
    assert_eq!(times(&db), [1000]);
    drop(db);
    disk.set_read_only(true);
    let e = Db::open(o).err().unwrap();
    assert_eq!(e.to_string(), "lock DB directory: read-only file system");
    disk.set_read_only(false);
    let db = open(&disk);
    assert_eq!(times(&db), [1000]);
    add(&db, 4000).unwrap();
}

#[test]
fn one_process_at_a_time() {
    let disk = disk(1 << 30);
    let db = open(&disk);
    let o = DbOptions::new("data", Arc::new(disk.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
    let e = Db::open(o.clone()).err().unwrap();
    assert!(e.to_string().starts_with("lock DB directory: "), "{e}");
    let mut late = db.appender();
    late.append(SeriesRef::NONE, &series(1), 1, 0, 1.0).unwrap();
    db.close().unwrap();
    db.close().unwrap();
    assert!(matches!(late.commit(), Err(StorageError::Closed)));
    assert!(matches!(db.querier(0, 1).err(), Some(StorageError::Closed)));
    assert!(matches!(db.tick(), Err(StorageError::Closed)));
    Db::open(o).unwrap();
}

#[test]
fn a_block_for_which_there_was_no_room_is_cut_later() {
    let mut cut_later = 0;
    for room in (10_000..200_000).step_by(15_000) {
        let disk = disk(1 << 30);
        let db = open(&disk);
        let all: Vec<i64> = (1..=240).map(|k| k * 60_000).collect();
        all.iter().for_each(|t| add(&db, *t).unwrap());
        disk.set_left(room);
        let Err(e) = db.tick() else { continue };
        assert!(e.to_string().contains("no space left on device"), "{e}");
        assert_eq!(times(&db), all);
        disk.set_left(1 << 40);
        if db.refuses_writes().is_some() {
            // There was no room for the head's own chunks.
            continue;
        }
        cut_later += 1;
        assert!(db.blocks().is_empty());
        db.tick().unwrap();
        assert_eq!((db.blocks().len(), times(&db)), (1, all.clone()));
        add(&db, 241 * 60_000).unwrap();
        let left: Vec<_> = disk.files().read_dir(Path::new("data")).unwrap();
        assert!(left.iter().all(|e| !e.name.contains("tmp")), "{left:?}");
    }
    assert!(cut_later > 0);
}
