//! Compaction: 50,000 series × 480 samples (two hours at 15 s) out of the head into a block, and three
//! such blocks into one of six hours. Prints the processor time of the working thread, which other
//! work on the machine hardly changes; run two builds in turn to compare them.
//!
//! `cargo bench -p tsdb --bench compaction [-- SERIES RUNS]`
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, SeriesRef};
use storage::{OsFs, OsSpawn, SystemClock};
use tsdb::block::{Block, Ulid};
use tsdb::compact::Compactor;
use tsdb::{Db, DbOptions};

const STEP_MS: i64 = 15_000;
const SAMPLES: usize = 480;
/// A multiple of six hours, so that the three blocks fill a range.
const START_MS: i64 = 1_767_225_600_000;

fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A thousand series to an instance, as a node exporter has them.
fn labels(i: usize) -> Labels {
    let (instance, series) = (i / 1000, i % 1000);
    let (metric, device) = (series / 8, series % 8);
    Labels::from_pairs([
        ("__name__", &*format!("bench_metric_{metric:03}")),
        ("cpu", &(metric % 16).to_string()),
        ("device", &format!("nvme{device}n1")),
        ("instance", &format!("node-{instance:03}")),
        ("job", "node"),
        ("mode", "read"),
    ])
}

/// 20 % constant, 40 % integer counters, 10 % counters of centiseconds, 20 % multiples of a page, 10 %
/// gauges of three decimals.
fn value(i: usize, step: usize) -> f64 {
    let id = i as u64;
    let noise = mix(id.wrapping_mul(1000).wrapping_add(step as u64));
    let base = mix(id) % 1_000_000_000;
    match i % 10 {
        0 | 1 => (base % 100_000) as f64,
        2..=5 => (base + step as u64 * (100 + id % 900) + noise % 100) as f64,
        6 => (base + step as u64 * 100 + noise % 60) as f64 / 100.0,
        7 | 8 => ((base % 4_000_000 + noise % 5000) * 4096) as f64,
        _ => (base % 100) as f64 + (noise % 1000) as f64 / 1000.0,
    }
}

fn fill(dir: &Path, series: usize, from_step: usize) -> Db {
    let spawn = Arc::new(OsSpawn::new("bench", 2).unwrap());
    let db = Db::open(DbOptions::new(dir, Arc::new(OsFs), Arc::new(SystemClock::default()), spawn)).unwrap();
    let mut refs = vec![SeriesRef::NONE; series];
    for step in from_step..from_step + SAMPLES {
        let mut a = db.appender();
        for (i, r) in refs.iter_mut().enumerate() {
            let t = START_MS + step as i64 * STEP_MS;
            if r.is_none() {
                *r = a.append(*r, &labels(i), t, 0, value(i, step)).unwrap();
            } else {
                a.append_known(*r, t, value(i, step)).unwrap();
            }
        }
        a.commit().unwrap();
    }
    db
}

/// Nanoseconds that this thread has run.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

fn report(what: &str, mut took_ns: Vec<u64>, samples: u64) {
    took_ns.sort_unstable();
    let median = took_ns[took_ns.len() / 2] as f64;
    let (ms, each) = (median / 1e6, median / samples as f64);
    println!("{what}: {ms:.1} ms of CPU, {each:.2} ns a sample (median of {})", took_ns.len());
}

fn only_block(dir: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.find(|p| p.join("meta.json").exists()).unwrap()
}

fn main() {
    let args: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let series = args.first().copied().unwrap_or(50_000);
    let runs = args.get(1).copied().unwrap_or(5);
    let work = tempfile::tempdir().unwrap();
    let mut parents = Vec::new();
    for part in 0..3 {
        let dir = work.path().join(format!("db{part}"));
        let db = fill(&dir, series, part * SAMPLES);
        let mut took = Vec::new();
        let copy = work.path().join(format!("copy{part}"));
        for run in 0..if part == 0 { runs } else { 1 } {
            if run > 0 {
                std::fs::remove_dir_all(&copy).unwrap();
            }
            let before = cpu_ns();
            db.snapshot(&copy, true).unwrap();
            took.push(cpu_ns() - before);
        }
        if part == 0 {
            report("head to block", took, (series * SAMPLES) as u64);
        }
        db.close().unwrap();
        parents.push(Block::open(&OsFs, &only_block(&copy)).unwrap());
    }
    let mut took = Vec::new();
    for run in 0..runs {
        let dir = work.path().join("merged");
        std::fs::create_dir_all(&dir).unwrap();
        let before = cpu_ns();
        Compactor::new(Arc::new(OsFs), &dir).merge(Ulid::new(1, run as u128), &parents).unwrap();
        took.push(cpu_ns() - before);
        std::fs::remove_dir_all(&dir).unwrap();
    }
    report("three blocks to one", took, (3 * series * SAMPLES) as u64);
}
