//! A directory whose head chunks overlap under two references of one series: nobody writes one, but a restored copy
//! or a fault of another program can be one.

use std::path::Path;
use std::sync::Arc;

use chunk::Encoding;
use model::{Columns, Labels};
use storage::{Fs, Inline, ManualClock, MemFs, Queryable, SelectHints, Spawn};

use super::{Db, DbOptions, WalCompression, WalSync};
use crate::head_chunks::{HeadChunks, NewChunk};
use crate::wal::record::RefSample;
use crate::wal::{CommitRecords, RecordBuffers, Wal, WalOptions};

const STEP_MS: i64 = 10;

fn put(chunks: &HeadChunks, series: u64, (first, last): (i64, i64)) {
    let mut e = chunk::XorEncoder::new();
    (first..=last).for_each(|n| e.append(n * STEP_MS, n as f64));
    let (min_ms, max_ms) = (first * STEP_MS, last * STEP_MS);
    let data = e.into_bytes();
    chunks.put(&NewChunk {
        series,
        min_ms,
        max_ms,
        encoding: Encoding::Xor,
        out_of_order: false,
        data: &data,
    });
}

fn log(wal: &Wal, series: u64, (first, last): (i64, i64)) {
    let samples: Vec<_> = (first..=last).map(|n| RefSample { series, t: n * STEP_MS, v: n as f64 }).collect();
    let records = CommitRecords { samples: &samples, ..CommitRecords::default() };
    wal.log_commit(&[records], &mut RecordBuffers::default(), || {}).unwrap();
}

fn numbers(db: &Db) -> Vec<i64> {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = db.querier(i64::MIN, i64::MAX).unwrap().select(&hints, &[]).unwrap();
    assert_eq!(set.len(), 1, "one series");
    let mut c = Columns::default();
    set.read(0, &mut c).unwrap();
    assert!(c.t.iter().zip(&c.v).all(|(t, v)| *t == *v as i64 * STEP_MS));
    c.v.iter().map(|v| *v as i64).collect()
}

#[test]
fn the_head_is_filled_from_the_log_alone() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let spawn: Arc<dyn Spawn> = Arc::new(Inline);
    let data = Path::new("data");
    fs.create_dir_all(data).unwrap();
    let chunks = HeadChunks::open(fs.clone(), data.join("chunks_head")).unwrap();
    put(&chunks, 1, (0, 100));
    put(&chunks, 2, (50, 150));
    chunks.close().unwrap();
    let wal = Wal::open(WalOptions {
        dir: data.join("wal"),
        fs: fs.clone(),
        spawn: spawn.clone(),
        segment_bytes: 32 * 1024,
        compression: WalCompression::None,
        sync: WalSync::Segment,
        start_timestamps: false,
    })
    .unwrap();
    let labels = Labels::from_pairs([("__name__", "twice")]);
    wal.add_series(1, &labels);
    log(&wal, 1, (0, 100));
    wal.add_series(2, &labels);
    log(&wal, 2, (101, 170));
    wal.close().unwrap();

    let options = DbOptions::new(data, fs.clone(), Arc::new(ManualClock::new(0)), spawn);
    let all: Vec<i64> = (0..=170).collect();
    let db = Db::open(options.clone()).unwrap();
    let why = db.replay_report().head_chunks_dropped.clone().unwrap();
    assert!(
        why.contains("overlap on a duplicate series record: series ref 1, [0, 1000] and [500, 1500]"),
        "{why}"
    );
    assert_eq!(numbers(&db), all);
    db.close().unwrap();
    // What was dropped does not come back.
    let db = Db::open(options).unwrap();
    assert_eq!(db.replay_report().head_chunks_dropped, None);
    assert_eq!(numbers(&db), all);
}
