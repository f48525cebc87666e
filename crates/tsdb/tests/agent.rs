//! An agent's database: what it takes, what it logs, what it forgets, and what it is after a restart.
#![allow(clippy::unwrap_used)]

mod agent_world;

use std::path::Path;
use std::sync::Arc;

use agent_world::{Value, World, labels, named};
use model::{Histogram, Labels, Metadata, MetricType, SeriesRef};
use storage::{AppendError, Exemplar, Fs, HistogramValue, MemFs};
use tsdb::agent::{AgentDb, AgentOptions};
use tsdb::tail::TailPosition;

fn world() -> World {
    World::new(Arc::new(MemFs::new()), |_| {})
}

fn floats(values: &[(i64, f64)]) -> Vec<(i64, Value)> {
    values.iter().map(|(t, v)| (*t, Value::Float(*v))).collect()
}

#[test]
fn samples_are_logged_in_order_and_late_ones_refused() {
    let mut w = world();
    let r = w.append("a", 10, 1.0).unwrap();
    for (t, why) in [(10, "the same time"), (9, "before it")] {
        assert_eq!(w.append("a", t, 1.0), Err(AppendError::OutOfOrder), "{why}");
    }
    let mut app = w.db.appender();
    app.append_known(r, 20, 2.0).unwrap();
    // Only what has been committed counts, as with Prometheus.
    app.append_known(r, 15, 3.0).unwrap();
    assert_eq!(app.append_known(SeriesRef(77), 1, 1.0), Err(AppendError::UnknownSeries));
    app.commit().unwrap();
    assert_eq!(w.log()[&named("a")], floats(&[(10, 1.0), (20, 2.0), (15, 3.0)]));
    assert_eq!(w.metric("prometheus_agent_out_of_order_samples_total"), 3.0, "two refused, one overtaken");
    assert_eq!(w.metric("prometheus_agent_samples_appended_total"), 3.0);
    let mut app = w.db.appender();
    let none = app.append(SeriesRef::NONE, &Labels::empty(), 1, 0, 1.0);
    assert_eq!(none, Err(AppendError::InvalidLabels("empty labelset: invalid sample".to_owned())));
    drop(app);
    for _ in 0..2 {
        assert_eq!(w.append("a", 20, 1.0), Err(AppendError::OutOfOrder));
        assert_eq!(w.db.num_series(), 1);
        w.reopen();
    }
    assert_eq!(w.append("a", 21, 4.0), Ok(r), "the reference is the same after a restart");
    let new = w.append("b", 1, 4.0).unwrap();
    assert!(new.0 > r.0);
}

#[test]
fn a_window_lets_late_samples_in() {
    let mut w = World::new(Arc::new(MemFs::new()), |o| o.out_of_order_window_ms = 100);
    w.append("a", 1000, 1.0).unwrap();
    w.append("a", 901, 2.0).unwrap();
    w.append("a", 1000, 3.0).unwrap();
    assert_eq!(w.append("a", 900, 2.0), Err(AppendError::OutOfOrder));
    assert_eq!(w.log()[&named("a")], floats(&[(1000, 1.0), (901, 2.0), (1000, 3.0)]));
    w.reopen();
    assert_eq!(w.append("a", 900, 2.0), Err(AppendError::OutOfOrder), "the newest counts, not the last");
}

#[test]
fn rolled_back_samples_leave_nothing_but_the_series() {
    let w = world();
    let mut app = w.db.appender();
    let r = app.append(SeriesRef::NONE, &labels("a"), 10, 0, 1.0).unwrap();
    app.rollback();
    assert_eq!(w.db.num_series(), 1);
    let mut app = w.db.appender();
    app.append_known(r, 5, 2.0).unwrap();
    app.commit().unwrap();
    assert_eq!(w.log()[&named("a")], floats(&[(5, 2.0)]));
}

#[test]
fn histograms_exemplars_metadata_and_starts() {
    let mut w = World::new(Arc::new(MemFs::new()), |o| {
        o.start_timestamps = true;
        o.metadata_records = true;
    });
    let h = Histogram { count: 3, zero_count: 3, ..Histogram::default() };
    let exemplar = |id: &str, t| Exemplar {
        labels: Labels::from_pairs([("id", id)]),
        value: 0.5,
        timestamp_ms: Some(t),
    };
    let help =
        |help: &str| Metadata { kind: MetricType::Counter, help: help.to_owned(), unit: String::new() };
    let mut app = w.db.appender();
    let r = app.append(SeriesRef::NONE, &labels("f"), 100, 90, 1.0).unwrap();
    let unknown = app.append_exemplar(SeriesRef::NONE, &labels("none"), &exemplar("x", 1));
    assert_eq!(unknown, Err(AppendError::UnknownSeries));
    app.append_exemplar(r, &Labels::empty(), &exemplar("x", 99)).unwrap();
    app.append_exemplar(r, &Labels::empty(), &exemplar("x", 99)).unwrap();
    app.append_exemplar(SeriesRef::NONE, &labels("f"), &exemplar("y", 98)).unwrap();
    let long = exemplar(&"z".repeat(127), 100);
    assert_eq!(app.append_exemplar(r, &Labels::empty(), &long), Err(AppendError::ExemplarTooLong));
    app.update_metadata(r, &labels("f"), &help("one")).unwrap();
    app.update_metadata(r, &labels("f"), &Metadata::default()).unwrap();
    let hr =
        app.append_histogram(SeriesRef::NONE, &labels("h"), 100, 80, HistogramValue::Integer(&h)).unwrap();
    let broken = Histogram { count: 1, zero_count: 3, ..Histogram::default() };
    let invalid = app.append_histogram(hr, &labels("h"), 101, 0, HistogramValue::Integer(&broken));
    assert!(matches!(invalid, Err(AppendError::InvalidHistogram(_))), "{invalid:?}");
    app.commit().unwrap();
    let mut app = w.db.appender();
    app.update_metadata(r, &labels("f"), &help("one")).unwrap();
    // Zeros where series began: before the sample, and behind what is there.
    assert_eq!(app.append_start_zero(r, &labels("f"), (110, 105), None), Ok(r));
    assert_eq!(app.append_start_zero(r, &labels("f"), (110, 110), None), Ok(r));
    assert_eq!(app.append_start_zero(r, &labels("f"), (110, 100), None), Ok(r));
    let new =
        app.append_start_zero(SeriesRef::NONE, &labels("new"), (110, 50), Some(HistogramValue::Integer(&h)));
    app.append_known(new.unwrap(), 110, 1.0).unwrap();
    app.commit().unwrap();
    let check = |w: &World| {
        let mut reader = w.reader(Some(TailPosition::default()));
        reader.read();
        assert_eq!(
            reader.log[&named("f")],
            [
                (100, Value::Float(1.0)),
                (99, Value::Exemplar(0.5)),
                (98, Value::Exemplar(0.5)),
                (105, Value::Float(0.0))
            ]
        );
        assert_eq!(reader.log[&named("h")], [(100, Value::Histogram(3.0))]);
        assert_eq!(reader.log[&named("new")], [(110, Value::Float(1.0)), (50, Value::Histogram(0.0))]);
        assert_eq!(reader.starts[0], 90);
        assert_eq!(reader.metadata, [(named("f"), "one".to_owned())].into());
    };
    check(&w);
    w.reopen();
    check(&w);
    let late =
        w.db.appender().append_histogram(SeriesRef::NONE, &labels("h"), 100, 0, HistogramValue::Integer(&h));
    assert_eq!(late, Err(AppendError::OutOfOrder), "the times of histograms come back, too");
    let mut app = w.db.appender();
    app.update_metadata(r, &labels("f"), &help("one")).unwrap();
    app.update_metadata(r, &labels("f"), &help("two")).unwrap();
    app.commit().unwrap();
    let mut reader = w.reader(Some(TailPosition::default()));
    reader.read();
    assert_eq!(reader.metadata, [(named("f"), "two".to_owned())].into());
}

#[test]
fn one_process_has_the_directory() {
    let fs = Arc::new(MemFs::new());
    let w = World::new(fs.clone(), |_| {});
    assert_eq!(w.metric("prometheus_agent_clean_start"), 1.0);
    let second = AgentDb::open(w.options.clone()).err().unwrap().to_string();
    assert!(second.starts_with("lock DB directory: "), "{second}");
    w.append("a", 1, 1.0).unwrap();
    let mut open = w.db.appender();
    let _ = open.append(SeriesRef::NONE, &labels("a"), 2, 0, 1.0);
    w.db.close().unwrap();
    assert!(open.commit().is_err());
    w.db.close().unwrap();
    let again = World::new(fs, |_| {});
    assert_eq!(again.log()[&named("a")], floats(&[(1, 1.0)]));
    let free = World::new(Arc::new(MemFs::new()), |o| o.no_lockfile = true);
    assert_eq!(free.metric("prometheus_agent_clean_start"), -1.0);
}

/// Series without samples, and the log before what is needed.
#[test]
fn the_log_is_truncated_and_live_series_stay() {
    for from_memory in [false, true] {
        let mut w = World::new(Arc::new(MemFs::new()), |o| o.checkpoint_from_memory = from_memory);
        let now = 1_000_000;
        let old = w.append("old", now - 20_000, 1.0).unwrap();
        let live = w.append("live", now - 50, 1.0).unwrap();
        let mut t = w.fill(8, now - 9000);
        w.db.tick().unwrap();
        assert_eq!(w.metric("prometheus_agent_truncate_duration_seconds_count"), 0.0, "not due yet");
        w.truncate();
        assert_eq!(w.metric("prometheus_agent_active_series"), 2.0, "{from_memory}");
        let first = |w: &World| w.files().into_iter().find(|f| !f.starts_with("checkpoint")).unwrap();
        assert_eq!(first(&w), "00000005", "{:?}: two thirds of those before the current one", w.files());
        assert_eq!(w.metric("prometheus_agent_checkpoint_creations_total"), 1.0);
        // What is gone stays in the log as long as a segment may have samples of it.
        assert_eq!(w.metric("prometheus_agent_deleted_series"), 1.0);
        w.reopen();
        assert_eq!(w.append("live", now - 50, 2.0), Err(AppendError::OutOfOrder), "{from_memory}");
        assert_eq!(w.append("live", now - 49, 2.0), Ok(live));
        let again = w.append("old", now - 20_001, 2.0).unwrap();
        assert_eq!(again, old, "its record is still there, so it is the same series after a restart");
        for _ in 0..3 {
            t = w.fill(6, t);
            w.truncate();
        }
        assert_eq!(w.metric("prometheus_agent_deleted_series"), 0.0);
        w.reopen();
        assert!(w.append("old", now - 30_000, 3.0).unwrap().0 > live.0, "it is gone, and a new one");
    }
}

/// A held segment stays as long as the longest time says.
#[test]
fn what_readers_need_stays_until_it_is_too_old() {
    let w = world();
    let mut reader = w.reader(Some(TailPosition::default()));
    let t = w.fill(8, 1_000_000);
    w.truncate();
    assert!(w.files().contains(&"00000000".to_owned()), "{:?}", w.files());
    // What is sent, and read on, may go.
    reader.read();
    reader.release(t);
    assert_eq!(reader.log[&named("filler")].len() as i64, t - 1_000_000);
    w.truncate();
    assert!(!w.files().contains(&"00000000".to_owned()), "{:?}", w.files());
    let behind = reader.position();

    w.fill(8, t);
    for _ in 0..8 {
        w.truncate();
    }
    let kept = format!("{:08}", behind.wal.segment);
    assert!(w.files().contains(&kept), "{kept} in {:?}", w.files());
    for _ in 0..8 {
        w.truncate();
    }
    assert!(!w.files().contains(&kept), "{kept} in {:?}: it is older than the longest time", w.files());
}

/// Between append and commit nothing that a sample needs is forgotten.
#[test]
fn series_that_an_appender_holds_stay() {
    let w = world();
    let r = w.append("a", 1, 1.0).unwrap();
    w.append("b", 1, 1.0).unwrap();
    let mut open = w.db.appender();
    open.append_known(r, 1_000_000, 2.0).unwrap();
    w.fill(6, 999_000);
    w.truncate();
    open.commit().unwrap();
    assert!(w.log().contains_key(&named("a")), "its record is in the log");
    w.truncate();
    assert_eq!(w.append("a", 1_000_001, 3.0), Ok(r));
    w.clock.advance_ms(60_000);
    w.db.tick().unwrap();
    let again = w.append("a", 2_000_000, 3.0).unwrap();
    assert_ne!(again, r, "nobody holds it any more");
}

#[test]
fn a_damaged_log_is_cut_off_and_a_damaged_checkpoint_is_not() {
    let fs = MemFs::new();
    let mut w = World::new(Arc::new(fs.clone()), |_| {});
    for t in 1..100 {
        w.append("a", t, t as f64).unwrap();
    }
    let path = Path::new("data/wal/00000000");
    let mut bytes = fs.read(path).unwrap();
    let at = bytes.len() * 2 / 3;
    bytes[at] ^= 0xff;
    fs.create(path).unwrap().append(&bytes).unwrap();
    w.reopen();
    let report = w.db.replay_report().clone();
    let why = report.wal_repaired.unwrap();
    assert!(why.starts_with("corruption in segment data/wal/00000000 at "), "{why}");
    assert_eq!(w.metric("prometheus_agent_corruptions_total"), 1.0);
    let left = w.log()[&named("a")].len() as i64;
    assert!((40..80).contains(&left), "{left}");
    assert_eq!(w.append("a", left, 0.0), Err(AppendError::OutOfOrder));
    w.append("a", left + 1, 0.0).unwrap();
    w.reopen();
    assert_eq!(w.db.replay_report().wal_repaired, None);

    w.fill(8, 1_000_000);
    w.truncate();
    let checkpoint = w.files().into_iter().find(|f| f.starts_with("checkpoint")).unwrap();
    let path = Path::new("data/wal").join(checkpoint).join("00000000");
    let mut bytes = fs.read(&path).unwrap();
    bytes[10] ^= 0xff;
    fs.create(&path).unwrap().append(&bytes).unwrap();
    let why =
        AgentDb::open(AgentOptions { no_lockfile: true, ..w.options.clone() }).err().unwrap().to_string();
    assert!(why.starts_with("backfill checkpoint: corruption in segment "), "{why}");
}

/// A series that was forgotten and came back is in the log under two references.
#[test]
fn a_series_under_two_names_is_one_after_a_restart() {
    for from_memory in [false, true] {
        let mut w = World::new(Arc::new(MemFs::new()), |o| o.checkpoint_from_memory = from_memory);
        let first = w.append("a", 1000, 1.0).unwrap();
        let t = w.fill(6, 1_000_000);
        w.truncate();
        let second = w.append("a", 1_000_010, 2.0).unwrap();
        assert_ne!(first, second);
        w.reopen();
        assert_eq!(w.db.num_series(), 2);
        assert_eq!(w.append("a", 1_000_010, 3.0), Err(AppendError::OutOfOrder), "its samples count");
        assert_eq!(w.append("a", 1_000_011, 3.0), Ok(first));
        assert_eq!(w.log()[&named("a")], floats(&[(1_000_010, 2.0), (1_000_011, 3.0)]));
        // The second name stays as long as a segment or a checkpoint uses it.
        assert_eq!(w.metric("prometheus_agent_deleted_series"), 1.0);
        let t = w.fill(9, t);
        w.truncate();
        w.reopen();
        assert_eq!(w.append("a", 1_000_010, 3.0), Err(AppendError::OutOfOrder), "{from_memory}");
        assert_eq!(w.db.replay_report().unknown_series_samples, 0);
        w.clock.advance_ms(20_000);
        w.append("a", 1_020_000, 4.0).unwrap();
        w.fill(9, t);
        w.truncate();
        assert_eq!(w.metric("prometheus_agent_deleted_series"), 0.0, "{from_memory}");
    }
}
