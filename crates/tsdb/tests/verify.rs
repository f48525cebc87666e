//! The check of a directory: finds nothing in what Prometheus has written, the damage in what was
//! damaged, and any bit that is flipped where a checksum or another file contradicts it.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;

use model::{Labels, SeriesRef};
use storage::{Fs, Inline, ManualClock, MemFs};
use tsdb::verify::{Event, Finding, verify};
use tsdb::{Db, DbOptions};

fn findings(fs: &dyn Fs, dir: &Path) -> Vec<Finding> {
    let mut out = Vec::new();
    verify(fs, dir, &mut |event| {
        if let Event::Found(f) = event {
            out.push(f);
        }
        true
    })
    .unwrap();
    out
}

/// A block, head chunks and a log, by a database of our own.
fn small() -> MemFs {
    let fs = MemFs::new();
    let clock = Arc::new(ManualClock::new(0));
    let db = Db::open(DbOptions::new("data", Arc::new(fs.clone()), clock, Arc::new(Inline))).unwrap();
    for i in 0..900i64 {
        let mut a = db.appender();
        for job in ["a", "b", "c"] {
            let labels = Labels::from_pairs([("__name__", "up"), ("job", job)]);
            a.append(SeriesRef::NONE, &labels, i * 15_000, 0, (i * i) as f64).unwrap();
        }
        a.commit().unwrap();
    }
    db.compact().unwrap();
    db.close().unwrap();
    fs
}

fn files(fs: &MemFs, dir: &Path, out: &mut Vec<std::path::PathBuf>) {
    for e in fs.read_dir(dir).unwrap() {
        let path = dir.join(&e.name);
        if e.is_dir { files(fs, &path, out) } else { out.push(path) }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let fs = small();
    let dir = Path::new("data");
    assert_eq!(findings(&fs, dir), []);
    let mut all = Vec::new();
    files(&fs, dir, &mut all);
    assert!(all.iter().any(|p| p.ends_with("index")) && all.iter().any(|p| p.starts_with("data/wal")));
    let mut state = 1u64;
    for path in all {
        let whole = fs.read(&path).unwrap();
        for _ in 0..60 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let Some(at) = (state >> 33).checked_rem(whole.len() as u64) else { break };
            let (at, bit) = (at as usize, 1u8 << (state >> 61));
            // What nothing contradicts: where the block came from.
            if path.ends_with("meta.json") && at > String::from_utf8_lossy(&whole).find("compaction").unwrap()
            {
                continue;
            }
            let mut bad = whole.clone();
            bad[at] ^= bit;
            fs.create(&path).unwrap().append(&bad).unwrap();
            let found = findings(&fs, dir);
            // A span may be said to be wider than its samples.
            let wider = path.ends_with("meta.json") && {
                let line = whole[..at].iter().rposition(|b| *b == b'\n').unwrap_or(0);
                whole[line..].trim_ascii_start().starts_with(b"\"minTime\"")
                    || whole[line..].trim_ascii_start().starts_with(b"\"maxTime\"")
            };
            assert!(!found.is_empty() || wider, "{} byte {at} bit {bit:#x}", path.display());
        }
        fs.create(&path).unwrap().append(&whole).unwrap();
    }
    assert_eq!(findings(&fs, dir), []);
}

#[test]
fn strays_and_holes_are_found() {
    let fs = small();
    fs.create(Path::new("data/notes.txt")).unwrap();
    fs.create_dir_all(Path::new("data/01M81ZHRY277S4V0P2N6YWKFGF.tmp-for-creation")).unwrap();
    let last = fs.read_dir(Path::new("data/wal")).unwrap().pop().unwrap();
    let hole = format!("data/wal/{:08}", last.name.parse::<u32>().unwrap_or(1) + 2);
    fs.create(Path::new(&hole)).unwrap();
    let found = findings(&fs, Path::new("data"));
    assert_eq!(found.iter().filter(|f| f.kind == "stray").count(), 2, "{found:?}");
    assert!(found.iter().any(|f| f.what.contains("not sequential")), "{found:?}");
}

#[test]
fn of_what_prometheus_wrote_only_the_damaged_is_found() {
    for (folder, kind) in [
        ("a-blocks-wal", None),
        ("a2-checkpoint", None),
        ("b-histograms", None),
        ("c-out-of-order", None),
        ("d-xor2", None),
        ("d2-xor2-start-timestamps", None),
        ("e-tombstones", None),
        ("e-tombstones-cleaned", None),
        ("f-torn-flip", Some("log")),
        ("f-torn-cut", Some("log")),
        ("f-torn-zero", Some("log")),
        ("f-torn-page-boundary", Some("log")),
        ("f-torn-head-chunk", Some("head chunk")),
        ("f-torn-missing-segment", Some("log")),
    ] {
        let Some(dir) = common::conformance("verify", folder) else { continue };
        let found = findings(&*common::unpack(&dir), Path::new("data"));
        assert_eq!(!found.is_empty(), kind.is_some(), "{folder}: {found:#?}");
        // A damaged log names fewer series: what belongs to them is found too.
        assert!(found.iter().all(|f| Some(f.kind) == kind), "{folder}: {found:#?}");
    }
}
