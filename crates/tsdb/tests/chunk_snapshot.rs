//! Chunk snapshots: after a restart everything is as after one that replays the whole log, with every
//! kind of sample; also behind a kill, with the feature on and off in turn, and with a snapshot that is
//! damaged anywhere.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use model::{Columns, Labels, Matcher, STALE_NAN_BITS, SeriesRef};
use proptest::prelude::*;
use storage::{
    Exemplar, ExemplarQuerier, ExemplarSeries, Fs, HistogramValue, Inline, ManualClock, MemFs, Queryable,
    SelectHints,
};
use tsdb::verify::{Event, Finding, verify};
use tsdb::{Db, DbOptions, LogLevel, WalCompression};

const RANGE_MS: i64 = 100_000;

#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    starts: bool,
    xor2: bool,
    window_ms: i64,
    compression: WalCompression,
}

fn options(fs: &MemFs, kind: Kind, snapshot: bool) -> DbOptions {
    let mut o = DbOptions::new("data", Arc::new(fs.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    o.wal_segment_bytes = 64 * 1024;
    o.wal_compression = kind.compression;
    o.start_timestamps = kind.starts;
    o.snapshot_on_close = snapshot;
    o.settings.out_of_order_window_ms = kind.window_ms;
    o.settings.exemplars_max = 25;
    if kind.xor2 {
        o.settings.float_encoding = chunk::Encoding::Xor2;
    }
    o
}

fn open(fs: &MemFs, kind: Kind, snapshot: bool) -> Db {
    Db::open(options(fs, kind, snapshot)).unwrap()
}

fn labels(name: &str, i: i64) -> Labels {
    Labels::from_pairs([("__name__", name), ("i", &i.to_string()), ("job", "a")])
}

fn integer(t: i64, gauge: bool, custom: bool) -> Histogram {
    let k = t / 1000 % 97;
    let buckets = vec![k, 1, 2 - k % 2];
    // The buckets are the running sums of these differences.
    let count = (k + (k + 1) + (k + 3 - k % 2)) as u64;
    Histogram {
        counter_reset_hint: if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
        schema: if custom { model::histogram::CUSTOM_BUCKETS_SCHEMA } else { 1 },
        custom_values: if custom { vec![1.0, 2.5, 4.0, 8.0] } else { Vec::new() },
        count,
        sum: t as f64 / 7.0,
        positive_spans: vec![
            Span { offset: 0, length: 2 },
            Span { offset: (k % 3 > 1 && !custom).into(), length: 1 },
        ],
        positive_buckets: buckets,
        ..Histogram::default()
    }
}

fn float(t: i64) -> FloatHistogram {
    integer(t, false, false).to_float()
}

/// Appends samples of all kinds for the times `from .. to`, 1,000 ms apart.
fn fill(db: &Db, kind: Kind, from: i64, to: i64) {
    for t in (from..to).step_by(1000) {
        let st = if kind.starts { from - 500 } else { 0 };
        let mut a = db.appender();
        for i in 0..5 {
            let v =
                if (t / 1000 + i) % 11 == 0 { f64::from_bits(STALE_NAN_BITS) } else { (t * i) as f64 / 3.0 };
            let r = a.append(SeriesRef::NONE, &labels("float", i), t + i, st, v).unwrap();
            let id = Labels::from_pairs([("trace", t.to_string())]);
            let exemplar = Exemplar { labels: id, value: t as f64, timestamp_ms: Some(t) };
            if t % 3000 == i * 1000 {
                a.append_exemplar(r, &Labels::empty(), &exemplar).unwrap();
            }
        }
        for (i, h) in
            [integer(t, false, false), integer(t, true, false), integer(t, false, true)].iter().enumerate()
        {
            let labels = labels("histogram", i as i64);
            a.append_histogram(SeriesRef::NONE, &labels, t, st, HistogramValue::Integer(h)).unwrap();
        }
        let h = float(t);
        a.append_histogram(SeriesRef::NONE, &labels("float_histogram", 0), t, st, HistogramValue::Float(&h))
            .unwrap();
        if t % 4000 == 0 {
            // One that comes and goes.
            a.append(SeriesRef::NONE, &labels("rare", t / 16_000), t, st, 1.0).unwrap();
        }
        a.commit().unwrap();
        if kind.window_ms > 0 && t % 2000 == 0 {
            let mut a = db.appender();
            a.append(SeriesRef::NONE, &labels("float", 1), t - 7_300, st, -1.0).unwrap();
            a.append(SeriesRef::NONE, &labels("late", 1), t - 5_400, st, -2.0).unwrap();
            let h = float(t);
            let late = labels("float_histogram", 0);
            a.append_histogram(SeriesRef::NONE, &late, t - 3_500, st, HistogramValue::Float(&h)).unwrap();
            a.commit().unwrap();
        }
    }
    db.delete(from + 2000, from + 4000, &[Matcher::equal("i", "2")]).unwrap();
}

/// What a query sees of a sample.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Float(u64),
    Histogram(FloatHistogram),
}

type State = (Vec<(Labels, Vec<(i64, i64, Value)>)>, Vec<ExemplarSeries>);

/// All samples, with their start timestamps, and all exemplars. Hints depend on where chunks end.
fn state(db: &Db) -> State {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = db.querier(i64::MIN, i64::MAX).unwrap().select(&hints, &[]).unwrap();
    let mut out = Vec::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        let mut values: Vec<Value> = c.v.iter().map(|v| Value::Float(v.to_bits())).collect();
        for (at, h) in &c.h {
            let counter_reset_hint = match h.counter_reset_hint {
                CounterResetHint::Gauge => CounterResetHint::Gauge,
                _ => CounterResetHint::Unknown,
            };
            let mut h = FloatHistogram { counter_reset_hint, ..(**h).clone() };
            h.compact(0);
            values[*at as usize] = Value::Histogram(h);
        }
        let st = |i: usize| c.st.get(i).copied().unwrap_or(0);
        out.push((set.labels(i), values.into_iter().enumerate().map(|(i, v)| (c.t[i], st(i), v)).collect()));
    }
    out.sort_by(|(a, _): &(Labels, Vec<_>), (b, _)| a.cmp(b));
    out.retain(|(_, samples)| !samples.is_empty());
    (out, db.exemplars(i64::MIN, i64::MAX, &[Vec::new()]).unwrap())
}

fn snapshots(fs: &dyn Fs) -> Vec<PathBuf> {
    let entries = fs.read_dir(Path::new("data")).unwrap().into_iter();
    let found = entries.filter(|e| e.name.starts_with("chunk_snapshot."));
    found.map(|e| Path::new("data").join(e.name)).collect()
}

/// What the check of the data directory says.
fn findings(fs: &MemFs) -> Vec<Finding> {
    let mut all = Vec::new();
    verify(fs, Path::new("data"), &mut |event| {
        all.extend(if let Event::Found(finding) = event { Some(finding) } else { None });
        true
    })
    .unwrap();
    all
}

#[track_caller]
fn assert_same(a: &State, b: &State) {
    for (a, b) in a.0.iter().zip(&b.0) {
        assert_eq!(a, b);
    }
    assert_eq!(a.0.len(), b.0.len());
    assert_eq!(a.1, b.1);
}

fn kinds() -> Vec<Kind> {
    vec![
        Kind::default(),
        Kind { xor2: true, compression: WalCompression::None, ..Kind::default() },
        Kind { starts: true, xor2: true, compression: WalCompression::Zstd, ..Kind::default() },
        Kind { starts: true, window_ms: 20_000, ..Kind::default() },
        Kind { window_ms: 20_000, ..Kind::default() },
    ]
}

#[test]
fn a_restart_changes_nothing() {
    for kind in kinds() {
        let fs = MemFs::new();
        let db = open(&fs, kind, true);
        // The same without snapshots.
        let plain_fs = MemFs::new();
        let mut plain = open(&plain_fs, kind, false);
        let both = |db: &Db, plain: &Db, from: i64, to: i64| {
            fill(db, kind, from, to);
            fill(plain, kind, from, to);
            assert_same(&state(db), &state(plain));
        };
        both(&db, &plain, 0, 47_000);
        let before = state(&db);
        assert!(before.0.len() >= 12 && before.1.len() > 2);
        db.close().unwrap();
        assert_eq!(snapshots(&fs).len(), 1);
        assert_eq!(findings(&fs), [] as [Finding; 0]);

        // From the snapshot alone.
        let db = open(&fs, kind, true);
        let report = db.replay_report().clone();
        assert_eq!((report.snapshot_series, report.wal_samples), (before.0.len() as u64, 0), "{kind:?}");
        assert_same(&state(&db), &before);

        // More samples, and a kill: the snapshot and what the log has behind it.
        both(&db, &plain, 50_000, 68_000);
        let killed = fs.snapshot();
        drop(db);
        let fs = killed;
        let db = open(&fs, kind, true);
        let report = db.replay_report().clone();
        assert!(report.snapshot_series > 0 && report.wal_samples > 0);
        assert_same(&state(&db), &state(&plain));

        // Blocks are cut, the log is truncated, and the next snapshot takes the place of the first.
        both(&db, &plain, 70_000, 290_000);
        db.tick().unwrap();
        plain.tick().unwrap();
        assert!(!db.blocks().is_empty());
        assert_same(&state(&db), &state(&plain));
        db.close().unwrap();
        assert_eq!(snapshots(&fs).len(), 1);
        let db = open(&fs, kind, true);
        assert_eq!(db.replay_report().wal_samples, 0);
        assert_same(&state(&db), &state(&plain));

        // The old snapshot, the feature off in between, and a kill.
        drop(db);
        let fs = fs.snapshot();
        let db = open(&fs, kind, false);
        assert_eq!(db.replay_report().snapshot_series, 0);
        both(&db, &plain, 290_000, 320_000);
        drop(db);
        let fs = fs.snapshot();
        let db = open(&fs, kind, true);
        assert!(db.replay_report().snapshot_series > 0);
        both(&db, &plain, 320_000, 340_000);
        drop(plain);
        plain = open(&plain_fs.snapshot(), kind, false);
        assert_same(&state(&db), &state(&plain));
    }
}

#[test]
fn an_unchanged_head_is_not_written_again() {
    let fs = MemFs::new();
    let db = open(&fs, Kind::default(), true);
    fill(&db, Kind::default(), 0, 10_000);
    db.close().unwrap();
    let first = snapshots(&fs);
    let db = open(&fs, Kind::default(), true);
    db.close().unwrap();
    // A log has a new segment at every start.
    assert_ne!(snapshots(&fs), first);
    assert_eq!(snapshots(&fs).len(), 1);
}

#[test]
fn no_snapshot_without_the_feature_or_with_a_failed_log() {
    let fs = MemFs::new();
    let db = open(&fs, Kind::default(), false);
    fill(&db, Kind::default(), 0, 10_000);
    db.close().unwrap();
    assert_eq!(snapshots(&fs), Vec::<PathBuf>::new());
    let db = open(&fs, Kind::default(), true);
    db.refuse("no more");
    assert!(db.close().is_err());
    assert_eq!(snapshots(&fs), Vec::<PathBuf>::new());
}

/// Opens a damaged database: everything must be there, from the log if not from the snapshot. Returns
/// whether the snapshot was dropped, and what was said.
fn open_damaged(fs: &MemFs, kind: Kind, want: &State) -> (bool, String) {
    let said = Arc::new(Mutex::new(String::new()));
    let mut o = options(fs, kind, true);
    let text = said.clone();
    o.log = Some(Arc::new(move |level, line: &str| {
        if level != LogLevel::Info {
            text.lock().unwrap().push_str(line);
        }
    }));
    let db = Db::open(o).unwrap();
    assert_same(&state(&db), want);
    let dropped = db.replay_report().snapshot_dropped.is_some();
    assert_eq!(dropped, snapshots(fs).is_empty());
    let failed = db.metrics().into_iter().find(|m| m.name == "prometheus_tsdb_snapshot_replay_error_total");
    assert_eq!(failed.unwrap().value, f64::from(u8::from(dropped)));
    drop(db);
    let said = said.lock().unwrap().clone();
    (dropped, said)
}

#[test]
fn damage_anywhere_loses_nothing() {
    let kind = Kind { window_ms: 20_000, compression: WalCompression::None, ..Kind::default() };
    let fs = MemFs::new();
    let db = open(&fs, kind, true);
    fill(&db, kind, 0, 12_000);
    let want = state(&db);
    db.close().unwrap();
    let file = snapshots(&fs).remove(0).join("00000000");
    let bytes = fs.read(&file).unwrap();
    assert_eq!(bytes.len() % 32_768, 0);
    let content = bytes.len() - bytes.iter().rev().take_while(|b| **b == 0).count();
    let whole = &bytes[..];
    let damaged = |bytes: &[u8]| {
        let fs = fs.snapshot();
        fs.create(&file).unwrap().append(bytes).unwrap();
        let found = findings(&fs);
        assert!(found.iter().all(|f| f.kind == "snapshot"), "{found:?}");
        assert_eq!(found.is_empty(), bytes == whole);
        open_damaged(&fs, kind, &want)
    };
    assert!(!damaged(&bytes).0);
    let mut dropped = 0;
    for at in (0..content).chain([content + 1, bytes.len() - 1]) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let (noticed, said) = damaged(&bytes);
        dropped += usize::from(noticed);
        assert_eq!(
            noticed,
            said.contains("data/chunk_snapshot.000000.") && said.contains("00000000 at "),
            "{said}"
        );
    }
    // The rest are bits that mean nothing.
    assert!(dropped > content * 99 / 100, "{dropped} of {content}");
    for len in (0..content).step_by(37).chain([content, bytes.len() - 1]) {
        assert!(damaged(&bytes[..len]).0, "{len}");
    }
    let gone = fs.snapshot();
    gone.remove_file(&file).unwrap();
    assert!(open_damaged(&gone, kind, &want).0);
}

#[test]
fn damaged_neighbours_lose_nothing() {
    let kind = Kind { compression: WalCompression::None, ..Kind::default() };
    let fs = MemFs::new();
    let db = open(&fs, kind, true);
    fill(&db, kind, 0, 300_000);
    let want = state(&db);
    db.close().unwrap();
    let wal = |n: u32| PathBuf::from(format!("data/wal/{n:08}"));
    // A log that does not reach the snapshot.
    let position = snapshots(&fs).remove(0);
    let segment: u32 = position.to_str().unwrap()[20..26].parse().unwrap();
    assert!(segment > 0);
    let short = fs.snapshot();
    short.remove_file(&wal(segment)).unwrap();
    let db = open(&short, kind, true);
    assert!(db.replay_report().snapshot_dropped.is_some());
    assert!(snapshots(&short).is_empty());
    // Head chunks that are damaged: with the snapshot gone the log fills the head.
    let chunks = Path::new("data/chunks_head/000001");
    let bytes = fs.read(chunks).unwrap();
    for (at, feature) in [(8, true), (bytes.len() / 2, true), (bytes.len() / 2, false)] {
        let damaged = fs.snapshot();
        let mut bytes = bytes.clone();
        bytes[at] ^= 4;
        damaged.create(chunks).unwrap().append(&bytes).unwrap();
        let db = open(&damaged, kind, feature);
        let report = db.replay_report();
        assert!(report.head_chunks_dropped.is_some());
        assert_eq!(report.snapshot_series, 0);
        assert_same(&state(&db), &want);
        assert!(snapshots(&damaged).is_empty(), "what it relies on has gone");
        drop(db);
        assert_same(&state(&open(&damaged.snapshot(), kind, true)), &want);
    }
    // A log that is cut off while nobody looks at the snapshot, and goes on in its place.
    let cut = fs.snapshot();
    let mut bytes = cut.read(&wal(segment)).unwrap();
    bytes[7] ^= 1;
    cut.create(&wal(segment)).unwrap().append(&bytes).unwrap();
    let db = open(&cut, kind, false);
    assert!(db.replay_report().wal_repaired.is_some());
    assert!(snapshots(&cut).is_empty());
}

#[test]
fn references_are_never_given_twice() {
    let kind = Kind::default();
    let fs = MemFs::new();
    let db = open(&fs, kind, true);
    let add = |db: &Db, name: &str, t: i64| {
        let mut a = db.appender();
        let r = a.append(SeriesRef::NONE, &labels(name, 0), t, 0, t as f64).unwrap();
        a.commit().unwrap();
        r
    };
    add(&db, "stays", 0);
    let gone = add(&db, "goes", 1);
    for t in 1..4 {
        add(&db, "stays", t * RANGE_MS);
    }
    db.tick().unwrap();
    assert_eq!(db.num_series(), 1);
    db.close().unwrap();
    let db = open(&fs, kind, true);
    assert!(db.replay_report().snapshot_series == 1);
    let new = add(&db, "new", 4 * RANGE_MS);
    assert!(new > gone, "{new:?} {gone:?}");
}

/// A series that went and came back has two references, and the log, its head chunks and its late samples
/// use both.
#[test]
fn series_of_two_names() {
    let kind = Kind { window_ms: 3 * RANGE_MS, ..Kind::default() };
    let fs = MemFs::new();
    let plain_fs = MemFs::new();
    let mut dbs = [open(&fs, kind, true), open(&plain_fs, kind, false)];
    let mut files = [fs, plain_fs];
    let add = |db: &Db, name: &str, times: &mut dyn Iterator<Item = i64>| {
        let mut a = db.appender();
        for t in times {
            a.append(SeriesRef::NONE, &labels(name, 0), t, 0, t as f64).unwrap();
        }
        a.commit().unwrap();
    };
    let start = 3 * RANGE_MS;
    for (db, fs) in dbs.iter_mut().zip(&mut files) {
        add(db, "comes back", &mut (start..start + 3000).step_by(10));
        add(db, "stays", &mut (0..4).map(|k| start + k * RANGE_MS));
        db.tick().unwrap();
        // Under its second reference, with full chunks and late samples.
        add(db, "comes back", &mut (0..3000).step_by(10).map(|t| start + 3 * RANGE_MS + t));
        add(db, "comes back", &mut (0..3000).step_by(20).map(|t| start + 3 * RANGE_MS - 5 + t));
        *fs = fs.snapshot();
    }
    let [fs, plain_fs] = files;
    // Killed: the log has both, and the first one wins. Then from snapshots, twice.
    drop(dbs);
    let want = state(&open(&plain_fs, kind, false));
    assert!(want.0[0].1.len() > 700);
    for _ in 0..3 {
        let db = open(&fs, kind, true);
        assert_same(&state(&db), &want);
        assert_eq!(db.replay_report().unknown_wbl_samples, 0);
        db.close().unwrap();
    }
    let db = open(&fs, kind, true);
    assert!(db.replay_report().snapshot_series > 0);
    add(&db, "comes back", &mut (0..3000).step_by(10).map(|t| start + 3 * RANGE_MS + 3000 + t));
    db.close().unwrap();
    let from_snapshot = state(&open(&fs, kind, true));
    let from_log = state(&open(&fs.snapshot(), kind, false));
    assert_same(&from_snapshot, &from_log);
}

#[derive(Clone, Debug)]
enum Step {
    Fill(i64),
    Tick,
    Close(bool),
    Kill(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1i64..90).prop_map(Step::Fill),
        1 => Just(Step::Tick),
        2 => prop::bool::weighted(0.8).prop_map(Step::Close),
        2 => prop::bool::weighted(0.8).prop_map(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Beside a database that is never closed.
    #[test]
    fn any_order_of_restarts(steps in prop::collection::vec(step(), 1..14), which in 0usize..5) {
        let kind = kinds()[which];
        let mut fs = MemFs::new();
        let mut db = open(&fs, kind, true);
        let plain = open(&MemFs::new(), kind, false);
        let mut now = 0;
        for step in steps {
            match step {
                Step::Fill(n) => {
                    fill(&db, kind, now, now + n * 1000);
                    fill(&plain, kind, now, now + n * 1000);
                    now += n * 1000;
                }
                Step::Tick => {
                    db.tick().unwrap();
                    plain.tick().unwrap();
                }
                Step::Close(snapshot) => {
                    db.close().unwrap();
                    db = open(&fs, kind, snapshot);
                }
                Step::Kill(snapshot) => {
                    fs = fs.snapshot();
                    db = open(&fs, kind, snapshot);
                }
            }
            assert_same(&state(&db), &state(&plain));
        }
    }
}
