//! What a series costs an agent.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::alloc::System;
use std::sync::Arc;

use cap::Cap;
use model::{Labels, SeriesRef};
use storage::{Inline, OsFs, SystemClock};
use tsdb::agent::{AgentDb, AgentOptions};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// As of a thousand targets with so many series each.
fn labels(target: usize, i: usize) -> Labels {
    let instance = format!("10.0.{}.{}:9100", target / 250, target % 250);
    let name = format!("node_metric_{:03}_total", i % 200);
    let device = format!("dev{}", i / 200);
    Labels::from_pairs([
        ("__name__", name.as_str()),
        ("job", "node"),
        ("instance", &instance),
        ("device", &device),
        ("mode", ["idle", "user", "system"][i % 3]),
    ])
}

fn fill(db: &AgentDb, targets: usize, per_target: usize) {
    for target in 0..targets {
        let mut app = db.appender();
        for i in 0..per_target {
            app.append(SeriesRef::NONE, &labels(target, i), 1, 0, 1.0).unwrap();
        }
        app.commit().unwrap();
    }
}

/// `NARTHEX_AGENT_SERIES=1000000` measures a million; the bound is for each number.
#[test]
fn a_series_takes_little() {
    let series: usize = std::env::var("NARTHEX_AGENT_SERIES").map_or(100_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    // On disk, so that the log does not count.
    let options =
        AgentOptions::new(dir.path(), Arc::new(OsFs), Arc::new(SystemClock::default()), Arc::new(Inline));
    let before = ALLOCATOR.allocated();
    let db = AgentDb::open(options.clone()).unwrap();
    fill(&db, series / 1000, 1000);
    let each = (ALLOCATOR.allocated() - before) as f64 / series as f64;
    assert_eq!(db.num_series() as usize, series);
    db.close().unwrap();
    drop(db);
    let before = ALLOCATOR.allocated();
    let db = AgentDb::open(options).unwrap();
    let again = (ALLOCATOR.allocated() - before) as f64 / series as f64;
    assert_eq!(db.num_series() as usize, series);
    eprintln!("{series} series: {each:.1} bytes each, {again:.1} after a restart");
    assert!(each < 100.0 && again < 100.0, "{each} {again}");
}
