//! A full disk: scrapes are refused with a clear error and a metric, queries go on, and after the
//! next start no scrape is there by halves.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Bench, T0};
use engine::{EngineOptions, ErrorCode};
use storage::{Inline, MemFs};
use testkit::faults::SmallDisk;

const SERIES: usize = 40;

/// Noise, so that the log does not compress it away; every value of a scrape has the same floor.
fn text(second: i64) -> String {
    (0..SERIES).map(|i| format!("a{{i=\"{i}\"}} {second}.{}\n", (second * 7919 + 13) % 997)).collect()
}

#[test]
fn a_full_disk_stops_scrapes_and_nothing_else() {
    for room in [0, 1, 100, 3000, 7001] {
        let fs = MemFs::new();
        let disk = SmallDisk::new(fs.clone(), i64::MAX);
        let b = Bench::on(Arc::new(disk.clone()), fs, T0, EngineOptions::default(), Arc::new(Inline));
        let t = b.target(|_| {});
        b.scrape(&t, 0, &text(0));
        assert_eq!(b.metric("narthex_storage_read_only"), 0.0);

        disk.set_left(room);
        let scrape = |second| b.put(&t, second, common::body(text(second).as_bytes(), common::TEXT, ""));
        let mut second = 1;
        let first = loop {
            match scrape(second) {
                Ok(r) => assert_eq!(r.error, None),
                Err(e) => break e,
            }
            second += 1;
        };
        assert_eq!(first.code, ErrorCode::Io, "{first}");
        assert!(first.message.contains("no space left on device"), "{first}");
        let next = scrape(second + 1).unwrap_err();
        assert_eq!(next.code, ErrorCode::ReadOnly, "{next}");
        assert!(next.message.contains("no space left on device"), "{next}");
        let e = common::wait(|done| t.mark_stale(T0 + (second + 2) * 1000, done)).unwrap_err();
        assert_eq!(e.code, ErrorCode::ReadOnly, "{e}");

        let logged: Vec<_> = b.engine.take_logs().into_iter().filter(|l| l.level == "error").collect();
        assert_eq!(logged.len(), 1, "{logged:?}");
        assert!(logged[0].text.contains("no space left on device"), "{logged:?}");

        // Reads go on, with the last scrape that was acknowledged.
        b.check(second, "count(a)", &[&format!("{{}} {SERIES}")]);
        b.check(second, "count by (v) (floor(a))", &[&format!("{{}} {SERIES}")]);
        b.check(second, "max(floor(a))", &[&format!("{{}} {}", second - 1)]);
        assert_eq!(b.metric("narthex_storage_read_only"), 1.0);
        assert_eq!(b.metric("prometheus_tsdb_wal_writes_failed_total"), 1.0);

        // The next start, with room again.
        let again = Bench::over(b.fs.snapshot(), T0 + second * 1000);
        again.check(second, "count by (n) (count_over_time(a[1h]))", &[&format!("{{}} {SERIES}")]);
        let complete = format!("{{}} {second}");
        again.check(second, "min(count_over_time(a[1h]))", &[&complete]);
        again.check(second, "max(count_over_time(a[1h]))", &[&complete]);
        again.check(second, "min(count_over_time(up[1h]))", &[&complete]);
        let t = again.target(|_| {});
        again.scrape(&t, second + 60, &text(second + 60));
        again.check(second + 60, "min(floor(a))", &[&format!("{{}} {}", second + 60)]);
    }
}

#[test]
fn closing_a_full_disk_says_so_and_releases_the_directory() {
    let fs = MemFs::new();
    let disk = SmallDisk::new(fs.clone(), i64::MAX);
    let b = Bench::on(Arc::new(disk.clone()), fs.clone(), T0, EngineOptions::default(), Arc::new(Inline));
    let t = b.target(|_| {});
    b.scrape(&t, 0, &text(0));
    disk.set_left(0);
    common::wait(|done| b.engine.close(done)).unwrap_err();
    common::wait(|done| b.engine.close(done)).unwrap();
    let again = Bench::over(fs, T0);
    again.check(0, "count(a)", &[&format!("{{}} {SERIES}")]);
}
