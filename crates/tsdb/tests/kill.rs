//! A real process that appends, cuts, merges, deletes by age and truncates its log on a real disk, and is
//! killed with SIGKILL at any moment, again and again over the same directory. What it acknowledged is
//! there after each kill, in whole commits, and nothing that was never sent.
//!
//! `NARTHEX_TORTURE_KILLS` is the number of kills, `NARTHEX_TORTURE_SEED` where the moments come from.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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

/// The time of number `n` that appenders race for; they come in any order.
fn shared_ms(n: i64) -> i64 {
    1_000_000 + n * STEP_MS
}

fn shared() -> Labels {
    Labels::from_pairs([("__name__", "shared")])
}

fn open_shared(dir: &Path, window_ms: i64) -> Db {
    let mut o = DbOptions::new(
        dir,
        Arc::new(OsFs),
        Arc::new(ManualClock::new(0)),
        Arc::new(OsSpawn::new("test", 2).unwrap()),
    );
    o.min_block_duration_ms = RANGE_MS;
    o.wal_segment_bytes = 64 * 1024;
    o.settings.out_of_order_window_ms = window_ms;
    Db::open(o).unwrap()
}

/// The numbers that are there, all at their times.
fn read_shared(db: &Db, (start_ms, end_ms): (i64, i64)) -> Vec<i64> {
    let hints = SelectHints { start_ms, end_ms, ..SelectHints::default() };
    let set = db.querier(start_ms, end_ms).unwrap().select(&hints, &[]).unwrap();
    let mut c = Columns::default();
    if !set.is_empty() {
        set.read(0, &mut c).unwrap();
    }
    assert!(c.t.windows(2).all(|w| w[0] < w[1]), "times rise");
    let all = c.v.iter().map(|v| *v as i64).collect::<Vec<_>>();
    assert!(c.t.iter().zip(&all).all(|(t, n)| *t == shared_ms(*n)), "a sample that was never sent");
    all
}

/// The process that is killed: appenders race for one series. Says after each commit whether its sample is
/// there, or was refused because another had gone ahead.
#[test]
fn shared_child() {
    let Some(dir) = std::env::var_os("NARTHEX_KILL_SHARED_DIR") else { return };
    let window_ms = std::env::var("NARTHEX_KILL_WINDOW").unwrap().parse().unwrap();
    let db = open_shared(Path::new(&dir), window_ms);
    let newest = read_shared(&db, (i64::MIN, i64::MAX)).into_iter().max().unwrap_or(0);
    // Some of those that are not there may have been sent.
    let next = AtomicI64::new(newest + 100);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let mut a = db.appender();
                    let took = a.append(SeriesRef::NONE, &shared(), shared_ms(n), 0, n as f64).is_ok();
                    std::thread::yield_now();
                    a.commit().unwrap();
                    let there = !read_shared(&db, (shared_ms(n), shared_ms(n))).is_empty();
                    assert!(took || !there);
                    println!("{} {n}", if there { "acknowledged" } else { "refused" });
                }
            });
        }
        threads.spawn(|| {
            loop {
                db.tick().unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    });
}

/// What was seen is there after the kill, and what was refused is not: commits apply again in the order in
/// which they did.
#[test]
fn killed_while_appenders_race_for_a_series() {
    let number = |name, or| std::env::var(name).map_or(or, |text| text.parse::<u64>().unwrap());
    let (kills, seed) = (number("NARTHEX_TORTURE_KILLS", 6), number("NARTHEX_TORTURE_SEED", 1));
    for window_ms in [0, 3600 * 1000] {
        let dir = tempfile::tempdir().unwrap();
        let mut noise = Noise::new(seed);
        let (mut seen, mut refused) = (BTreeSet::new(), BTreeSet::new());
        for kill in 0..kills / 2 {
            let mut process = Command::new(std::env::current_exe().unwrap())
                .args(["shared_child", "--exact", "--nocapture", "--test-threads=1"])
                .env("NARTHEX_KILL_SHARED_DIR", dir.path())
                .env("NARTHEX_KILL_WINDOW", window_ms.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
            let mut last = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| {
                let said = lines.next()?.ok()?;
                assert!(!said.contains("panicked"), "{said}");
                let number = said.split_once(' ').and_then(|(what, n)| Some((what, n.parse::<i64>().ok()?)));
                match number {
                    Some(("acknowledged", n)) => _ = seen.insert(n),
                    Some(("refused", n)) => _ = refused.insert(n),
                    _ => {}
                }
                Some(said)
            };
            while last(&mut lines).is_some_and(|said| !said.starts_with("acknowledged")) {}
            let until = std::time::Instant::now() + Duration::from_micros(noise.below(100_000));
            while std::time::Instant::now() < until && last(&mut lines).is_some() {}
            process.kill().unwrap();
            let status = process.wait().unwrap();
            assert!(status.code().is_none(), "kill {kill}, seed {seed}: it ended by itself: {status}");
            while last(&mut lines).is_some() {}
            let got: BTreeSet<i64> =
                read_shared(&open_shared(dir.path(), window_ms), (i64::MIN, i64::MAX)).into_iter().collect();
            let lost: Vec<_> = seen.difference(&got).take(5).collect();
            let back: Vec<_> = refused.intersection(&got).take(5).collect();
            let what = format!("kill {kill}, seed {seed}, window {window_ms}");
            assert!(lost.is_empty() && back.is_empty(), "{what}: lost {lost:?}, refused and there {back:?}");
        }
        assert!(!seen.is_empty() && (window_ms == 0 || refused.is_empty()), "{} refused", refused.len());
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
