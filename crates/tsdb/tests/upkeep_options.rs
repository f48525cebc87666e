//! When blocks are cut and merged, and into what files, as far as the operator has a say.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use model::{Labels, SeriesRef};
use storage::{Fs, Inline, ManualClock, MemFs};
use tsdb::{Db, DbOptions};

const RANGE_MS: i64 = 1000;
const UPLOADS: &str = "uploads.json";

fn open(fs: &MemFs, change: impl FnOnce(&mut DbOptions)) -> (Db, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0));
    let mut o = DbOptions::new("data", Arc::new(fs.clone()), clock.clone(), Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    change(&mut o);
    (Db::open(o).unwrap(), clock)
}

/// Samples of ten series up to `end_ms`, a tenth of the range apart.
fn fill(db: &Db, end_ms: i64) {
    let mut app = db.appender();
    for i in 0..10 {
        let labels = Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())]);
        for t in (0..end_ms).step_by(100) {
            app.append(SeriesRef::NONE, &labels, t, 0, t as f64).unwrap();
        }
    }
    app.commit().unwrap();
}

fn spans(db: &Db) -> Vec<(i64, i64)> {
    db.blocks().iter().map(|m| (m.min_ms, m.max_ms)).collect()
}

#[test]
fn a_block_is_cut_once_the_delay_has_passed() {
    let (db, clock) = open(&MemFs::new(), |o| o.compaction_delay_ms = 5000);
    fill(&db, 3000);
    for (advance_ms, cut) in [(0, false), (4999, false), (1, true)] {
        clock.advance_ms(advance_ms);
        db.tick().unwrap();
        assert_eq!(!spans(&db).is_empty(), cut, "after {advance_ms}");
    }
    assert_eq!(spans(&db), [(0, 1000), (1000, 2000)], "one delay for all that waited");
}

#[test]
fn blocks_are_merged_once_they_are_uploaded() {
    let fs = MemFs::new();
    let (db, _clock) = open(&fs, |o| o.uploads_file = Some(UPLOADS.into()));
    let put = |uploaded: &[String]| {
        let text = format!(r#"{{"version":1,"uploaded":{uploaded:?}}}"#);
        fs.create(Path::new(UPLOADS)).unwrap().append(text.as_bytes()).unwrap();
    };
    put(&[]);
    fill(&db, 5000);
    db.tick().unwrap();
    let single = [(0, 1000), (1000, 2000), (2000, 3000), (3000, 4000)];
    assert_eq!(spans(&db), single);
    let names: Vec<_> = db.blocks().iter().map(|m| m.ulid.to_string()).collect();
    put(&names[..2]);
    db.tick().unwrap();
    assert_eq!(spans(&db), single);
    put(&names);
    db.tick().unwrap();
    assert_eq!(spans(&db), [(0, 3000), (3000, 4000)]);
}

#[test]
fn chunks_have_the_samples_they_are_meant_to_have() {
    for (samples_per_chunk, chunks) in [(0, 1), (120, 1), (40, 3), (20, 5)] {
        let mut o =
            DbOptions::new("data", Arc::new(MemFs::new()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
        o.samples_per_chunk = samples_per_chunk;
        let db = Db::open(o).unwrap();
        let mut app = db.appender();
        let labels = Labels::from_pairs([("__name__", "m")]);
        for t in 0..100 {
            app.append(SeriesRef::NONE, &labels, t, 0, t as f64).unwrap();
        }
        app.commit().unwrap();
        assert_eq!(db.head_stats(10).num_chunks, chunks, "{samples_per_chunk}");
    }
}

#[test]
fn chunk_segments_end_at_the_size_given() {
    for (bytes, several) in [(None, false), (Some(100), true)] {
        let fs = MemFs::new();
        let (db, _clock) = open(&fs, |o| o.chunk_segment_bytes = bytes);
        fill(&db, 2000);
        db.tick().unwrap();
        let dir = Path::new("data").join(db.blocks()[0].ulid.to_string()).join("chunks");
        assert_eq!(fs.read_dir(&dir).unwrap().len() > 1, several, "{bytes:?}");
    }
}
