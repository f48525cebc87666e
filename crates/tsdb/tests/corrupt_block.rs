//! A sealed block with a damaged chunk, met by a query and by a merge: as in Prometheus the query fails and says where,
//! other series and times answer, the merge marks the blocks it failed on and leaves them, and everything else goes on.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use model::{Columns, Labels, Matcher, SeriesRef};
use storage::{Fs, Inline, ManualClock, MemFs, Queryable, SelectHints, StorageError};
use tsdb::{Db, DbOptions};

const RANGE_MS: i64 = 10_000;

fn labels(series: i64) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &series.to_string())])
}

fn add(db: &Db, times: std::ops::Range<i64>) {
    for t in times.step_by(100) {
        let mut a = db.appender();
        for i in 0..2 {
            a.append(SeriesRef::NONE, &labels(i), t, 0, (t * (i + 3)) as f64 * 1.07).unwrap();
        }
        a.commit().unwrap();
    }
}

fn read(db: &Db, series: i64, (start_ms, end_ms): (i64, i64)) -> Result<Vec<i64>, StorageError> {
    let hints = SelectHints { start_ms, end_ms, ..SelectHints::default() };
    let matcher = Matcher::equal("i", series.to_string());
    let set = db.querier(start_ms, end_ms)?.select(&hints, &[matcher])?;
    let mut c = Columns::default();
    for i in 0..set.len() {
        set.read(i, &mut c)?;
    }
    Ok(c.t)
}

fn chunk_files(db: &Db) -> Vec<PathBuf> {
    db.blocks().iter().map(|b| Path::new("data").join(b.ulid.to_string()).join("chunks/000001")).collect()
}

#[test]
fn a_query_says_where_and_a_merge_leaves_it() {
    let fs = MemFs::new();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let clock = Arc::new(ManualClock::new(0));
    let mut o = DbOptions::new("data", Arc::new(fs.clone()), clock.clone(), Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    let said = lines.clone();
    o.log = Some(Arc::new(move |_, text| said.lock().unwrap().push(text.to_owned())));
    let db = Db::open(o.clone()).unwrap();
    add(&db, 0..2 * RANGE_MS);
    db.tick().unwrap();
    assert_eq!(db.blocks().len(), 1, "one block, and the next range open");
    let damaged = chunk_files(&db).remove(0);
    db.close().unwrap();
    // Behind the header, a length of two bytes and the encoding: in the first chunk of the first series.
    let mut bytes = fs.read(&damaged).unwrap();
    bytes[8 + 3 + 40] ^= 0x10;
    fs.create(&damaged).unwrap().append(&bytes).unwrap();

    let db = Db::open(o).unwrap();
    let why = read(&db, 0, (0, RANGE_MS - 1)).unwrap_err().to_string();
    let place = format!("{}: wrong checksum", damaged.display());
    assert!(why.contains(&place), "{why}");
    assert_eq!(read(&db, 1, (0, RANGE_MS - 1)).unwrap().len(), 100, "another series of the block");
    assert_eq!(read(&db, 0, (RANGE_MS, 2 * RANGE_MS)).unwrap().len(), 100, "another time of the series");

    // Enough for a merge of the first three blocks: it fails, is told and marked; cutting goes on.
    add(&db, 2 * RANGE_MS..5 * RANGE_MS);
    let why = db.tick().unwrap_err().to_string();
    assert!(why.contains(&place), "{why}");
    assert!(lines.lock().unwrap().iter().any(|l| l.starts_with("compaction failed: ") && l.contains(&place)));
    let failed = |db: &Db| db.blocks().iter().filter(|b| b.compaction.failed).count();
    assert_eq!((db.blocks().len(), failed(&db)), (4, 3));
    assert_eq!(db.refuses_writes(), None);
    clock.advance_ms(120_000);
    add(&db, 5 * RANGE_MS..9 * RANGE_MS);
    db.tick().unwrap();
    assert_eq!(failed(&db), 3, "they are left alone");
    assert!(db.blocks().iter().any(|b| b.compaction.level == 2), "others are merged");
    assert_eq!(read(&db, 1, (0, 9 * RANGE_MS)).unwrap().len(), 900);
    let why = read(&db, 0, (0, 9 * RANGE_MS)).unwrap_err().to_string();
    assert!(why.contains(&place), "{why}");
}
