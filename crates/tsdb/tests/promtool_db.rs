//! A directory with blocks, a checkpoint, a log and head chunks, written here with kills in
//! between, is dumped by promtool: the one that `NARTHEX_PROMTOOL` names, else the one on the path.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::{Dump, dump_bits};
use model::{Labels, SeriesRef};
use storage::{ManualClock, OsFs, OsSpawn};
use tsdb::{Db, DbOptions, WalCompression};

const START_MS: i64 = 1_767_225_600_000;

fn open(dir: &Path, compression: WalCompression) -> Db {
    let spawn = Arc::new(OsSpawn::new("test", 2).unwrap());
    let mut o = DbOptions::new(dir, Arc::new(OsFs), Arc::new(ManualClock::new(START_MS)), spawn);
    o.wal_segment_bytes = 32 * 1024;
    o.wal_compression = compression;
    Db::open(o).unwrap()
}

/// Four and a half hours of 30 series, one of which is not always there.
fn fill(dir: &Path, second: WalCompression) -> Dump {
    let labels = |i: i64| {
        let i = i.to_string();
        Labels::from_pairs([("__name__", "narthex_db_test"), ("i", i.as_str()), ("é", "ü \"quoted\"\n")])
    };
    let mut want = Dump::new();
    let mut db = open(dir, WalCompression::Snappy);
    for k in 0..1080i64 {
        let t = START_MS + k * 15_000;
        let mut a = db.appender();
        for i in 0..30 {
            if i == 29 && (200..700).contains(&k) {
                continue;
            }
            let v = if i % 5 == 0 {
                f64::from_bits((k * 31 + i) as u64 ^ 0x4023_4567_89ab_cdef)
            } else {
                (k * i) as f64
            };
            a.append(SeriesRef::NONE, &labels(i), t + i, 0, v).unwrap();
            want.entry(labels(i).to_string()).or_default().insert(t + i, dump_bits(v));
        }
        a.commit().unwrap();
        if k % 10 == 9 {
            db.tick().unwrap();
        }
        if k == 500 || k == 1000 {
            let compression = if k == 500 { second } else { WalCompression::None };
            drop(db);
            db = open(dir, compression);
        }
    }
    assert!(!db.blocks().is_empty());
    db.close().unwrap();
    want
}

#[test]
fn promtool_dumps_what_was_appended() {
    let test = "promtool_dumps_what_was_appended";
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::var_os("NARTHEX_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let version = match Command::new(&program).arg("--version").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(e) => return common::skip(test, "promtool", &format!("promtool: {e}")),
    };
    // Releases before 2.44 do not know zstd.
    let old = version.contains(" version 2.");
    let want = fill(dir.path(), if old { WalCompression::Snappy } else { WalCompression::Zstd });
    let names: Vec<_> =
        std::fs::read_dir(dir.path().join("wal")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().any(|n| n.to_string_lossy().starts_with("checkpoint.")), "{names:?}");
    let output = Command::new(&program).args(["tsdb", "dump"]).arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut got = Dump::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut parts = line.rsplitn(3, ' ');
        let (t, v, labels) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        // Releases before 3.0 do not quote names.
        let labels = labels.replace(" é=", " \"é\"=");
        got.entry(labels).or_default().insert(t.parse().unwrap(), dump_bits(v.parse().unwrap()));
    }
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
    for (labels, samples) in &want {
        let got = &got[labels];
        let lost = samples.iter().find(|(t, v)| got.get(t) != Some(v));
        assert!(
            lost.is_none() && got.len() == samples.len(),
            "{labels}: {lost:?}, {} of {}",
            got.len(),
            samples.len()
        );
    }
}
