//! A real process that appends, cuts, merges, deletes by age and truncates its log on a real disk, and is
//! killed with SIGKILL at any moment, again and again over the same directory. What it acknowledged is
//! there after each kill, in whole commits, and nothing that was never sent.
//!
//! `NARTHEX_TORTURE_KILLS` is the number of kills, `NARTHEX_TORTURE_SEED` where the moments come from.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::{Columns, Labels, SeriesRef};
use storage::{Clock, ManualClock, OsFs, OsSpawn, Queryable, SelectHints, Spawn};
use testkit::series::Noise;
use tsdb::{Db, DbOptions};

const SERIES: i64 = 20;
const RANGE_MS: i64 = 10_000;
const RETENTION_MS: i64 = 60_000;
const STEP_MS: i64 = 97;

fn open(dir: &Path, clock: &Arc<ManualClock>, spawn: Arc<dyn Spawn>) -> Db {
    let clock: Arc<dyn Clock> = clock.clone();
    let mut o = DbOptions::new(dir, Arc::new(OsFs), clock, spawn);
    o.min_block_duration_ms = RANGE_MS;
    o.wal_segment_bytes = 64 * 1024;
    o.settings.retention_ms = RETENTION_MS;
    Db::open(o).unwrap()
}

/// Samples by time: value, and how many series have it. All series must agree.
fn read(db: &Db) -> BTreeMap<i64, (f64, i64)> {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = db.querier(i64::MIN, i64::MAX).unwrap().select(&hints, &[]).unwrap();
    let mut out = BTreeMap::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        for (t, v) in c.t.iter().zip(&c.v) {
            let (value, n) = out.entry(*t).or_insert((*v, 0));
            assert_eq!(value, v, "at {t}");
            *n += 1;
        }
    }
    out
}

/// The process that is killed: commit number n has the value n at time n × step. Says so when a commit
/// has returned. Does nothing where no directory is given.
#[test]
fn child() {
    let Some(dir) = std::env::var_os("NARTHEX_KILL_DIR") else { return };
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let spawn = Arc::new(OsSpawn::new("test", 2).unwrap());
    let db = open(Path::new(&dir), &clock, spawn.clone());
    let upkeep = db.clone();
    spawn.spawn(Box::new(move || {
        loop {
            upkeep.tick().unwrap();
            // Every run looks for what is past retention.
            clock.advance_ms(61_000);
            std::thread::sleep(Duration::from_millis(1));
        }
    }));
    let mut n = read(&db).last_key_value().map_or(1, |(_, (v, _))| *v as i64 + 1);
    let mut out = std::io::stdout().lock();
    loop {
        let mut a = db.appender();
        for i in 0..SERIES {
            let labels = Labels::from_pairs([("__name__", "n"), ("i", &i.to_string())]);
            a.append(SeriesRef::NONE, &labels, n * STEP_MS, 0, n as f64).unwrap();
        }
        a.commit().unwrap();
        writeln!(out, "acknowledged {n}").unwrap();
        n += 1;
    }
}

#[test]
fn killed_again_and_again() {
    let number = |name, or| std::env::var(name).map_or(or, |text| text.parse::<u64>().unwrap());
    let (kills, seed) = (number("NARTHEX_TORTURE_KILLS", 8), number("NARTHEX_TORTURE_SEED", 1));
    let dir = tempfile::tempdir().unwrap();
    let mut noise = Noise::new(seed);
    let (mut acknowledged, mut blocks, mut expired) = (0, 0, 0);
    for kill in 0..kills {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env("NARTHEX_KILL_DIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut last = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| {
            // A line that the kill cut short says nothing.
            let said = lines.next()?.ok()?;
            if let Some(n) = said.strip_prefix("acknowledged ") {
                acknowledged = n.parse::<i64>().unwrap().max(acknowledged);
            }
            Some(said)
        };
        // Some kills come while it opens, most while it works.
        if !noise.chance(10) {
            while last(&mut lines).is_some_and(|said| !said.starts_with("acknowledged")) {}
        }
        let until = std::time::Instant::now() + Duration::from_micros(noise.below(120_000));
        while std::time::Instant::now() < until && last(&mut lines).is_some() {}
        process.kill().unwrap();
        let status = process.wait().unwrap();
        assert!(status.code().is_none(), "kill {kill}, seed {seed}: it ended by itself: {status}");
        while let Some(said) = last(&mut lines) {
            assert!(!said.contains("panicked"), "{said}");
        }

        let clock = Arc::new(ManualClock::new(0));
        let db = open(dir.path(), &clock, Arc::new(storage::Inline));
        let got = read(&db);
        let newest = got.last_key_value().map_or(0, |(_, (v, _))| *v as i64);
        let what = format!("kill {kill}, seed {seed}: {acknowledged} acknowledged, {newest} there");
        assert!(newest == acknowledged || newest == acknowledged + 1, "{what}");
        let from = got.first_key_value().map_or(1, |(_, (v, _))| *v as i64);
        assert!(from == 1 || from * STEP_MS >= RANGE_MS, "{what}");
        assert!(from == 1 || (newest - from) * STEP_MS >= RETENTION_MS - RANGE_MS, "{what}: from {from}");
        for (n, (t, (v, series))) in (from..).zip(&got) {
            assert_eq!((*t, *v, *series), (n * STEP_MS, n as f64, SERIES), "{what}");
        }
        assert_eq!(got.len() as i64, newest - from + 1, "{what}");
        acknowledged = newest;
        blocks = blocks.max(db.blocks().len());
        expired = from - 1;
        drop(db);
    }
    eprintln!(
        "{kills} kills, seed {seed}: {acknowledged} commits, {blocks} blocks at once, {expired} expired"
    );
    assert!(kills < 8 || blocks > 0, "it was killed while it had blocks");
}
