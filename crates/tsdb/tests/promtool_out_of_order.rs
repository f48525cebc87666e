//! Late samples that are in the log of late samples, in head chunks and in blocks, written here with
//! kills in between, are dumped by promtool: the one that `NARTHEX_PROMTOOL` names, else the one on
//! the path.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::{Dump, dump_bits};
use model::{Labels, SeriesRef};
use storage::{ManualClock, OsFs, OsSpawn};
use tsdb::{Db, DbOptions};

const START_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;

fn open(dir: &Path) -> Db {
    let spawn = Arc::new(OsSpawn::new("test", 2).unwrap());
    let mut o = DbOptions::new(dir, Arc::new(OsFs), Arc::new(ManualClock::new(START_MS)), spawn);
    o.wal_segment_bytes = 32 * 1024;
    o.settings.out_of_order_window_ms = 3 * HOUR_MS;
    Db::open(o).unwrap()
}

fn labels(i: i64) -> Labels {
    Labels::from_pairs([("__name__", "narthex_ooo_test"), ("i", i.to_string().as_str())])
}

fn add(db: &Db, want: &mut Dump, samples: impl IntoIterator<Item = (i64, i64)>) {
    let mut a = db.appender();
    for (i, t) in samples {
        let v = ((t / 1000) % 1009 * (i + 1)) as f64;
        a.append(SeriesRef::NONE, &labels(i), t, 0, v).unwrap();
        want.entry(labels(i).to_string()).or_default().insert(t, dump_bits(v));
    }
    a.commit().unwrap();
}

fn assert_dumped(program: &std::ffi::OsStr, dir: &Path, want: &Dump) {
    let output = Command::new(program).args(["tsdb", "dump"]).arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut got = Dump::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut parts = line.rsplitn(3, ' ');
        let (t, v, labels) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        got.entry(labels.to_owned()).or_default().insert(t.parse().unwrap(), dump_bits(v.parse().unwrap()));
    }
    assert!(got.keys().eq(want.keys()), "{:?}", got.keys());
    for (labels, samples) in want {
        let lost: Vec<_> = samples.iter().filter(|(t, v)| got[labels].get(t) != Some(v)).take(3).collect();
        let (mine, all) = (got[labels].len(), samples.len());
        assert!(lost.is_empty() && mine == all, "{labels}: lost {lost:?}, {mine} of {all}");
    }
}

#[test]
fn promtool_dumps_late_samples() {
    let test = "promtool_dumps_late_samples";
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let program = std::env::var_os("NARTHEX_PROMTOOL").unwrap_or_else(|| "promtool".into());
    if let Err(e) = Command::new(&program).arg("--version").output() {
        return common::skip(test, "promtool", &format!("promtool: {e}"));
    }
    let mut want = Dump::new();
    let mut db = open(dir);
    // Ten series every 15 s for an hour and a half; some of their samples half an hour later, and one
    // series with nothing else.
    for k in 0..360 {
        let t = START_MS + HOUR_MS + k * 15_000;
        add(&db, &mut want, (0..10).filter(|i| (k + i) % 5 != 0).map(|i| (i, t)));
        if k >= 120 {
            let late = t - HOUR_MS / 2;
            add(
                &db,
                &mut want,
                (0..10).filter(|i| (k + i) % 5 == 0).map(|i| (i, late)).chain([(10, late - 7)]),
            );
        }
        if k == 200 {
            drop(db);
            db = open(dir);
        }
        db.tick().unwrap();
    }
    // Killed.
    assert_dumped(&program, dir, &want);
    db.close().unwrap();
    drop(db);
    assert!(std::fs::read_dir(dir.join("wbl")).unwrap().count() > 0);
    assert_dumped(&program, dir, &want);
    // All of it into blocks.
    let db = open(dir);
    add(&db, &mut want, [(11, START_MS + 8 * HOUR_MS)]);
    db.tick().unwrap();
    assert!(db.blocks().len() > 1 || db.blocks()[0].compaction.level > 1);
    add(&db, &mut want, [(10, START_MS + 8 * HOUR_MS - 1)]);
    db.close().unwrap();
    assert_dumped(&program, dir, &want);
}
