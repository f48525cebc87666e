//! What an operator asks for, through the engine: settings, deleting, cleaning, copying; and what
//! happens where the upkeep itself is at fault.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Bench, T0};
use engine::options::Features;
use engine::{EngineError, EngineOptions, ErrorCode, FloatEncoding, StorageSettings};
use storage::{Inline, MemFs};
use testkit::faults::SmallDisk;

const SERIES: [&str; 3] = ["a{i=\"1\"}", "a{i=\"2\"}", "b"];

/// Ten scrapes of three series, a second apart.
fn filled() -> Bench {
    let b = Bench::new();
    let t = b.target(|_| {});
    for second in 0..10 {
        let lines: Vec<String> = SERIES.iter().map(|s| format!("{s} {second}\n")).collect();
        b.scrape(&t, second, &lines.concat());
    }
    b
}

fn delete(b: &Bench, selectors: &[&str], start_ms: i64, end_ms: i64) -> Result<(), EngineError> {
    let selectors = selectors.iter().map(|s| (*s).to_owned()).collect();
    common::wait(|done| b.engine.delete_series(selectors, start_ms, end_ms, done))
}

#[test]
fn deleting_is_by_selector_and_time() {
    let b = filled();
    delete(&b, &["a{i=\"1\"}", "b"], T0 + 3000, T0 + 5000).unwrap();
    let left = ["{i=\"1\"} 7", "{i=\"2\"} 10"];
    b.check(9, "sum by (i) (count_over_time(a[1m]))", &left);
    b.check(9, "sum(count_over_time(b[1m]))", &["{} 7"]);
    // A selector without matchers selects nothing.
    delete(&b, &["{}"], i64::MIN, i64::MAX).unwrap();
    b.check(9, "sum by (i) (count_over_time(a[1m]))", &left);
    delete(&b, &["a"], i64::MIN, i64::MAX).unwrap();
    b.check(9, "count(a)", &[]);
    b.check(9, "count(b)", &["{} 1"]);
}

#[test]
fn a_bad_selector_deletes_nothing() {
    let b = filled();
    let e = delete(&b, &["b", "a{"], i64::MIN, i64::MAX).unwrap_err();
    assert_eq!(e.code, ErrorCode::QueryParse);
    assert_eq!(e.message, "1:3: parse error: unexpected end of input inside braces");
    b.check(9, "count(b)", &["{} 1"]);
}

#[test]
fn a_snapshot_is_a_database() {
    let b = filled();
    delete(&b, &["b"], T0 + 3000, T0 + 5000).unwrap();
    common::wait(|done| b.engine.clean_tombstones(done)).unwrap();
    common::wait(|done| b.engine.snapshot("one".to_owned(), true, done)).unwrap();
    common::wait(|done| b.engine.snapshot("none".to_owned(), false, done)).unwrap();
    for name in ["", "..", ".hidden", "a/b", "/abs"] {
        let e = common::wait(|done| b.engine.snapshot(name.to_owned(), true, done)).unwrap_err();
        assert_eq!(e.code, ErrorCode::InvalidArgument, "{e}");
    }
    let options = |name: &str| EngineOptions {
        dir: EngineOptions::default().dir.join("snapshots").join(name),
        ..EngineOptions::default()
    };
    let open =
        |name| Bench::on(Arc::new(b.fs.clone()), b.fs.clone(), T0 + 9000, options(name), Arc::new(Inline));
    let copy = open("one");
    copy.check(9, "sum by (i) (count_over_time(a[1m]))", &["{i=\"1\"} 10", "{i=\"2\"} 10"]);
    copy.check(9, "sum(count_over_time(b[1m]))", &["{} 7"]);
    open("none").check(9, "count({__name__=~\".+\"})", &[]);
}

#[test]
fn settings_change_while_open() {
    let b = filled();
    let apply = |s| common::wait(|done| b.engine.apply_storage(s, done));
    assert_eq!(b.metric("prometheus_tsdb_retention_limit_seconds"), 1_296_000.0);
    let other =
        StorageSettings { retention_ms: 60_000, retention_bytes: 1 << 30, ..StorageSettings::default() };
    apply(other).unwrap();
    assert_eq!(b.metric("prometheus_tsdb_retention_limit_seconds"), 60.0);
    assert_eq!(b.metric("prometheus_tsdb_retention_limit_bytes"), 1_073_741_824.0);
}

#[test]
fn start_timestamps_need_an_encoding_that_holds_them() {
    let xor = StorageSettings { float_encoding: Some(FloatEncoding::Xor), ..StorageSettings::default() };
    let mut features = Features::default();
    features.enable("st-storage").unwrap();
    let options = EngineOptions { features, ..EngineOptions::default() };
    let fs = MemFs::new();
    let b = Bench::on(Arc::new(fs.clone()), fs, T0, options, Arc::new(Inline));
    let e = common::wait(|done| b.engine.apply_storage(xor, done)).unwrap_err();
    assert_eq!(e.code, ErrorCode::InvalidArgument);
    assert_eq!(
        e.message,
        "float chunk encoding \"xor\" is incompatible with start-timestamp storage; XOR chunks do not store \
         start timestamps, use \"xor2\""
    );
    common::wait(|done| b.engine.apply_storage(StorageSettings::default(), done)).unwrap();
}

#[test]
fn a_fault_in_the_upkeep_stops_writes_and_nothing_else() {
    let fs = MemFs::new();
    let disk = SmallDisk::new(fs.clone(), i64::MAX);
    let b = Bench::on(Arc::new(disk.clone()), fs, T0, EngineOptions::default(), Arc::new(Inline));
    let t = b.target(|_| {});
    b.scrape(&t, 0, "a 1\n");

    disk.set_panics(true);
    let e = common::wait(|done| b.engine.maintain(done)).unwrap_err();
    assert_eq!(
        (e.code, e.message.as_str()),
        (ErrorCode::Internal, "a fault in the core: a fault while listing")
    );
    disk.set_panics(false);

    assert_eq!(b.metric("narthex_storage_read_only"), 1.0);
    let e = b.put(&t, 1, common::body(b"a 2\n", common::TEXT, "")).unwrap_err();
    assert_eq!(e.code, ErrorCode::ReadOnly, "{e}");
    assert!(e.message.contains("a fault while listing"), "{e}");
    let logged: Vec<_> = b.engine.take_logs().into_iter().filter(|l| l.level == "error").collect();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].text.contains("nothing more is stored until a restart"), "{logged:?}");

    // What it left behind is not touched again; queries go on, and so does closing.
    for e in [
        common::wait(|done| b.engine.maintain(done)).unwrap_err(),
        delete(&b, &["a"], i64::MIN, i64::MAX).unwrap_err(),
    ] {
        assert_eq!(e.code, ErrorCode::ReadOnly, "{e}");
    }
    b.check(0, "sum(a)", &["{} 1"]);
    let again = Bench::over(b.fs.snapshot(), T0);
    again.check(0, "count(a)", &["{} 1"]);
}
