//! What `promtool tsdb bench write` does, into our database: rounds of a hundred scrapes 30 s apart,
//! a thousand series to an appender, series known by reference after the first scrape of a round.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use model::{Labels, SeriesRef};
use storage::{OsFs, OsSpawn, Spawn, SystemClock};
use tsdb::{Db, DbOptions};

const INTERVAL_MS: i64 = 30_000;
const ROUND_SCRAPES: usize = 100;
const SHARD_SERIES: usize = 1000;

pub(crate) fn run(
    file: &str,
    series: usize,
    scrapes: usize,
    dir: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(file)?;
    let labels: Vec<Labels> = text.lines().take(series).map(parse).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let spawn = Arc::new(OsSpawn::new("append", threads)?);
    let db = Db::open(DbOptions::new(dir, Arc::new(OsFs), Arc::new(SystemClock::default()), spawn.clone()))?;
    let total = AtomicU64::new(0);
    let failed = std::sync::Mutex::new(None);
    let started = Instant::now();
    let shards: Vec<&[Labels]> = labels.chunks(SHARD_SERIES).collect();
    for round in (0..scrapes).step_by(ROUND_SCRAPES) {
        let base_ms = INTERVAL_MS * round as i64;
        spawn.for_each(shards.len(), &|i| match shard(&db, shards[i], base_ms) {
            Ok(n) => drop(total.fetch_add(n, Ordering::Relaxed)),
            Err(e) => *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(e.to_string()),
        });
    }
    let wall = started.elapsed().as_secs_f64();
    db.close()?;
    if let Some(e) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(e.into());
    }
    println!("{{\"samples\":{},\"wallSeconds\":{wall}}}", total.load(Ordering::Relaxed));
    Ok(())
}

fn shard(db: &Db, labels: &[Labels], base_ms: i64) -> Result<u64, Box<dyn std::error::Error>> {
    let mut refs = vec![SeriesRef::NONE; labels.len()];
    let mut value = 123_456_789f64;
    let mut total = 0;
    for scrape in 1..=ROUND_SCRAPES {
        let t = base_ms + INTERVAL_MS * scrape as i64;
        value += 1000.0;
        let mut app = db.appender();
        for (l, r) in labels.iter().zip(&mut refs) {
            if r.is_none() {
                *r = app.append(*r, l, t, 0, value)?;
            } else {
                app.append_known(*r, t, value)?;
            }
            total += 1;
        }
        app.commit()?;
    }
    Ok(total)
}

/// `{"name":"value",…}` without escapes, as promtool reads it.
fn parse(line: &str) -> Labels {
    let plain: String = line.chars().filter(|c| !matches!(c, '"' | '{' | '}')).collect();
    Labels::from_pairs(plain.split(',').filter_map(|p| p.split_once(':')))
}
