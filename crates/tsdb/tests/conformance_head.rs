//! Data directories of Prometheus 3.16, whole and damaged, opened, served and opened again.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::head_files::head_chunks;
use common::{Dump, conformance, dump_bits, read_dump, unpack};
use model::Columns;
use storage::{Fs, Inline, ManualClock, Queryable, SelectHints};
use tsdb::{Db, DbOptions};

fn open(fs: Arc<dyn Fs>) -> Db {
    let clock = Arc::new(ManualClock::new(1_767_260_000_000));
    Db::open(DbOptions::new("data", fs, clock, Arc::new(Inline))).unwrap()
}

fn dump(db: &Db) -> Dump {
    let querier = db.querier(i64::MIN, i64::MAX).unwrap();
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = querier.select(&hints, &[]).unwrap();
    let mut out = Dump::new();
    let mut last = None;
    for i in 0..set.len() {
        let labels = set.labels(i);
        assert!(last.as_ref().is_none_or(|l| *l < labels), "series come in order of labels");
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        let samples = c.t.iter().copied().zip(c.v.iter().map(|v| dump_bits(*v))).collect();
        out.insert(labels.to_string(), samples);
        last = Some(labels);
    }
    out.retain(|_, s: &mut std::collections::BTreeMap<i64, u64>| !s.is_empty());
    out
}

fn assert_same(what: &str, got: &Dump, want: &Dump) {
    for (labels, samples) in want {
        let Some(mine) = got.get(labels) else { panic!("{what}: no series {labels}") };
        let lost = samples.iter().find(|(t, v)| mine.get(t) != Some(v));
        assert!(
            lost.is_none(),
            "{what}: {labels}: lost or changed: {lost:?}, have {:?}",
            lost.map(|l| mine.get(l.0))
        );
        let new = mine.iter().find(|(t, _)| !samples.contains_key(t));
        assert!(new.is_none(), "{what}: {labels}: never sent: {new:?}");
    }
    let new: Vec<_> = got.keys().filter(|k| !want.contains_key(*k)).collect();
    assert!(new.is_empty(), "{what}: new series {new:?}");
}

/// Opens a folder's data, compares, and opens what that left behind: after a kill and after a close.
fn check(folder: &str) -> Option<(Arc<dyn Fs>, Db)> {
    let dir = conformance(folder, folder)?;
    let want = read_dump(&dir);
    let fs = unpack(&dir);
    let db = open(fs.clone());
    assert_same(folder, &dump(&db), &want);
    drop(db);
    let again = open(fs.clone());
    assert_same(&format!("{folder} after a kill"), &dump(&again), &want);
    again.close().unwrap();
    let db = open(fs.clone());
    assert_same(&format!("{folder} after a close"), &dump(&db), &want);
    Some((fs, db))
}

#[test]
fn blocks_and_log() {
    let Some((_, db)) = check("a-blocks-wal") else { return };
    assert_eq!(db.blocks().len(), 2);
    assert!(db.replay_report().mapped_chunks > 0);
    assert_eq!(db.replay_report().wal_repaired, None);
}

#[test]
fn checkpoint_and_log() {
    let Some((_, db)) = check("a2-checkpoint") else { return };
    assert_eq!(db.replay_report().unknown_series_samples, 0);
}

#[test]
fn damaged_logs_are_cut_off() {
    for folder in ["f-torn-cut", "f-torn-flip", "f-torn-zero", "f-torn-page-boundary"] {
        let Some(dir) = conformance(folder, folder) else { return };
        let fs = unpack(&dir);
        let db = open(fs.clone());
        let why = db.replay_report().wal_repaired.clone().unwrap();
        assert!(why.starts_with("corruption in segment data/wal/00000002 at "), "{why}");
        drop(db);
        // The bytes that Prometheus left of the segment.
        let after = std::fs::read_to_string(dir.join("files-after-serving.jsonl")).unwrap();
        let size = after.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        let size = size.into_iter().find(|l| l["path"] == "wal/00000002").unwrap()["size"].as_u64().unwrap();
        assert_eq!(fs.open_read(Path::new("data/wal/00000002")).unwrap().len().unwrap(), size, "{folder}");
        let Some((_, db)) = check(folder) else { return };
        assert_eq!(db.replay_report().wal_repaired, None, "repaired once and for all");
    }
}

#[test]
fn damaged_head_chunks_are_made_again() {
    let Some(dir) = conformance("f-torn-head-chunk", "f-torn-head-chunk") else { return };
    let db = open(unpack(&dir));
    let why = db.replay_report().head_chunks_dropped.clone().unwrap();
    assert!(why.contains("chunks_head/000001: checksum mismatch"), "{why}");
    check("f-torn-head-chunk");
}

#[test]
fn a_missing_segment_is_refused() {
    let Some(dir) = conformance("f-torn-missing-segment", "f-torn-missing-segment") else { return };
    let clock = Arc::new(ManualClock::new(0));
    let err = Db::open(DbOptions::new("data", unpack(&dir), clock, Arc::new(Inline))).err().unwrap();
    assert!(err.to_string().ends_with("segments are not sequential"), "{err}");
}

/// Series, first and last time and number of samples of all full chunks in the head-chunks files.
fn full_chunks(fs: &dyn Fs) -> Vec<(u64, i64, i64, u64)> {
    let samples = |data: &[u8]| u64::from(u16::from_be_bytes([data[0], data[1]]));
    let chunks = head_chunks(fs).into_iter().map(|c| (c.series, c.min_ms, c.max_ms, samples(&c.data)));
    let mut out: Vec<_> = chunks.collect();
    out.sort_unstable();
    out
}

/// From the log alone come the same chunks that Prometheus cut.
#[test]
fn chunks_are_cut_where_prometheus_cuts() {
    for folder in ["a-blocks-wal", "f-torn-head-chunk"] {
        let Some(dir) = conformance("chunks_are_cut_where_prometheus_cuts", folder) else { return };
        // Of the damaged folder only the log is used; its whole chunks are listed with another one.
        let listed = if folder == "a-blocks-wal" { dir.clone() } else { dir.join("../f-torn-cut") };
        let lines = std::fs::read_to_string(listed.join("chunks_head.jsonl")).unwrap();
        let mut want: Vec<_> = lines
            .lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap())
            .filter(|l| l.get("series_ref").is_some())
            .map(|l| {
                let n = |name: &str| l[name].as_i64().unwrap();
                (n("series_ref") as u64, n("mint"), n("maxt"), n("samples") as u64)
            })
            .collect();
        want.sort_unstable();
        let fs = unpack(&dir);
        fs.remove_dir_all(Path::new("data/chunks_head")).unwrap();
        open(fs.clone()).close().unwrap();
        assert!(!want.is_empty());
        assert_eq!(full_chunks(&*fs), want, "{folder}");
    }
}
