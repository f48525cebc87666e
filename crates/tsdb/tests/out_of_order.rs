//! Samples that come late: against a map under random appends, commits, queries, upkeep and kills,
//! with a crash after every step of a compaction, and the corners one by one.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::steps::Steps;
use model::histogram::{Histogram, Span};
use model::{Columns, Labels, Matcher, SeriesRef};
use proptest::prelude::*;
use storage::{
    AppendError, Appender, Fs, HistogramValue, Inline, ManualClock, MemFs, Querier, Queryable, SelectHints,
};
use tsdb::{Db, DbOptions, DbSettings};

const RANGE_MS: i64 = 10_000;
const WINDOW_MS: i64 = 30_000;
const START_MS: i64 = 1_000_000;

fn open_with(fs: Arc<dyn Fs>, window_ms: i64, change: impl FnOnce(&mut DbOptions)) -> Db {
    let mut o = DbOptions::new("data", fs, Arc::new(ManualClock::new(0)), Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    o.wal_segment_bytes = 32 * 1024;
    o.settings.out_of_order_window_ms = window_ms;
    change(&mut o);
    Db::open(o).unwrap()
}

fn open(fs: &MemFs) -> Db {
    open_with(Arc::new(fs.clone()), WINDOW_MS, |_| {})
}

fn labels(series: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &series.to_string()), ("all", "yes")])
}

/// Samples by series: floats by their bits, histograms by their count.
type Samples = BTreeMap<String, BTreeMap<i64, u64>>;

fn read(querier: &dyn Querier) -> Samples {
    read_between(querier, i64::MIN, i64::MAX)
}

fn read_between(querier: &dyn Querier, start_ms: i64, end_ms: i64) -> Samples {
    let hints = SelectHints { start_ms, end_ms, ..SelectHints::default() };
    let set = querier.select(&hints, &[Matcher::equal("all", "yes")]).unwrap();
    let mut out = Samples::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        assert!(c.t.windows(2).all(|w| w[0] < w[1]), "{:?}", c.t);
        let mut values: Vec<u64> = c.v.iter().map(|v| v.to_bits()).collect();
        c.h.iter().for_each(|(at, h)| values[*at as usize] = h.count as u64);
        if !c.is_empty() {
            out.insert(set.labels(i).to_string(), c.t.into_iter().zip(values).collect());
        }
    }
    out
}

fn read_all(db: &Db) -> Samples {
    read(&*db.querier(i64::MIN, i64::MAX).unwrap())
}

fn times(db: &Db, series: usize) -> Vec<i64> {
    read_all(db).remove(&labels(series).to_string()).unwrap_or_default().into_keys().collect()
}

fn add(db: &Db, series: usize, times: impl IntoIterator<Item = i64>) {
    let mut a = db.appender();
    for t in times {
        a.append(SeriesRef::NONE, &labels(series), t, 0, t as f64).unwrap();
    }
    a.commit().unwrap();
}

fn metric(db: &Db, name: &str) -> f64 {
    db.metrics().iter().filter(|m| m.name == name).map(|m| m.value).sum()
}

fn wbl_bytes(fs: &dyn Fs) -> u64 {
    fs.read_dir(Path::new("data/wbl")).unwrap_or_default().iter().map(|e| e.len).sum()
}

// The random model.

const SERIES: usize = 5;
const APPENDERS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    /// `n` samples `step_ms` apart, which may be negative, from `ahead_ms` behind the newest of all.
    Append {
        appender: usize,
        series: usize,
        ahead_ms: i64,
        step_ms: i64,
        n: usize,
        v: u64,
        histogram: bool,
    },
    Commit(usize),
    Rollback(usize),
    Tick,
    Check,
    OpenQuery,
    CheckQuery,
    Kill,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    let append = (
        0..APPENDERS,
        0..SERIES,
        -(WINDOW_MS + RANGE_MS)..8000i64,
        -700i64..700,
        1usize..60,
        any::<u64>(),
        prop::bool::weighted(0.15),
    );
    prop_oneof![
        10 => append.prop_map(|(appender, series, ahead_ms, step_ms, n, v, histogram)| {
            Op::Append { appender, series, ahead_ms, step_ms, n, v, histogram }
        }),
        6 => (0..APPENDERS).prop_map(Op::Commit),
        1 => (0..APPENDERS).prop_map(Op::Rollback),
        2 => Just(Op::Tick),
        1 => Just(Op::Check),
        1 => Just(Op::OpenQuery),
        1 => Just(Op::CheckQuery),
        1 => Just(Op::Kill),
        1 => Just(Op::Close),
    ]
}

/// What has been acknowledged: one of these values at each time.
type State = BTreeMap<String, BTreeMap<i64, BTreeSet<u64>>>;

struct Tx {
    appender: Box<dyn Appender>,
    samples: Vec<(usize, i64, u64)>,
}

struct World {
    fs: MemFs,
    db: Db,
    state: State,
    now_ms: i64,
    /// The newest time ever tried: a head begins where its first appender looks.
    tried_ms: i64,
    tx: [Option<Tx>; APPENDERS],
    queries: VecDeque<(Box<dyn Querier>, State)>,
}

fn histogram(n: u64) -> Histogram {
    Histogram {
        count: 2 * n,
        sum: n as f64,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![n as i64, 0],
        ..Histogram::default()
    }
}

fn assert_same(got: &Samples, want: &State) {
    for (labels, samples) in want {
        let empty = BTreeMap::new();
        let mine = got.get(labels).unwrap_or(&empty);
        let there = |(t, values): &(&i64, &BTreeSet<u64>)| mine.get(t).is_some_and(|v| values.contains(v));
        let lost: Vec<_> = samples.iter().filter(|s| !there(s)).take(3).collect();
        let new: Vec<_> = mine.keys().filter(|t| !samples.contains_key(t)).take(3).collect();
        assert!(lost.is_empty() && new.is_empty(), "{labels}: lost {lost:?}, never sent {new:?}");
    }
    assert!(got.keys().all(|k| want.contains_key(k)));
}

impl World {
    fn new() -> Self {
        let fs = MemFs::new();
        let db = open(&fs);
        let tx = Default::default();
        Self {
            fs,
            db,
            state: State::new(),
            now_ms: START_MS,
            tried_ms: i64::MIN,
            tx,
            queries: VecDeque::new(),
        }
    }

    fn append(&mut self, i: usize, series: usize, t: i64, v: u64, of_histogram: bool) {
        self.tried_ms = self.tried_ms.max(t);
        let Self { db, tx, .. } = self;
        let tx = tx[i].get_or_insert_with(|| Tx { appender: db.appender(), samples: Vec::new() });
        let (done, v) = if of_histogram {
            let h = histogram(v % 1000);
            let value = HistogramValue::Integer(&h);
            (tx.appender.append_histogram(SeriesRef::NONE, &labels(series), t, 0, value), h.count)
        } else {
            // The stale marker becomes a histogram behind histograms.
            let v = if f64::from_bits(v).is_nan() { 0 } else { v };
            (tx.appender.append(SeriesRef::NONE, &labels(series), t, 0, f64::from_bits(v)), v)
        };
        match done {
            Ok(_) => tx.samples.push((series, t, v)),
            Err(AppendError::TooOld) => assert!(t < self.tried_ms - WINDOW_MS, "{t}"),
            Err(AppendError::DuplicateTimestamp(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn commit(&mut self, i: usize) {
        let Some(tx) = self.tx[i].take() else { return };
        tx.appender.commit().unwrap();
        for (series, t, v) in tx.samples {
            self.now_ms = self.now_ms.max(t);
            self.state.entry(labels(series).to_string()).or_default().entry(t).or_default().insert(v);
        }
    }

    fn check(&self) {
        assert_same(&read_all(&self.db), &self.state);
    }

    /// Opens a copy of the files as they are; everything in memory is lost.
    fn kill(&mut self) {
        let fs = self.fs.snapshot();
        self.tx = Default::default();
        self.queries.clear();
        self.db = open(&fs);
        self.fs = fs;
        self.check();
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Append { appender, series, ahead_ms, step_ms, n, v, histogram } => {
                let start = self.now_ms + ahead_ms;
                for k in 0..n {
                    let v = v.wrapping_add(k as u64 / 2);
                    self.append(appender, series, start + step_ms * k as i64, v, histogram);
                }
            }
            Op::Commit(i) => self.commit(i),
            Op::Rollback(i) => {
                if let Some(tx) = self.tx[i].take() {
                    tx.appender.rollback();
                }
            }
            Op::Tick => self.db.tick().unwrap(),
            Op::Check => self.check(),
            Op::OpenQuery => {
                let q = self.db.querier(i64::MIN, i64::MAX).unwrap();
                self.queries.push_back((q, self.state.clone()));
            }
            Op::CheckQuery => {
                if let Some((q, state)) = self.queries.pop_front() {
                    assert_same(&read(&*q), &state);
                }
            }
            Op::Kill => self.kill(),
            Op::Close => {
                self.tx = Default::default();
                self.db.close().unwrap();
                self.kill();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_a_map(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
        world.check();
    }
}

// A crash at every step.

#[test]
fn nothing_is_lost_in_a_crash_while_compacting() {
    for overlapping in [true, false] {
        let steps = Steps::new();
        let fs: Arc<dyn Fs> = Arc::new(steps.clone());
        let options = |o: &mut DbOptions| o.overlapping_compaction = overlapping;
        let mut db = open_with(fs.clone(), WINDOW_MS, options);
        for i in 0..3 {
            add(&db, i, (START_MS..START_MS + 14_000).step_by(100));
        }
        // Late ones behind, within and before it, some chunks full; a series with nothing else.
        for i in 1..4 {
            add(&db, i, (0..80).map(|k| START_MS - 12_000 + 1 + (k * 37 % 80) * 300));
        }
        db.delete(START_MS - 9000, START_MS - 8000, &[Matcher::equal("i", "2")]).unwrap();
        // Enough segments for a checkpoint.
        for _ in 0..4 {
            add(&db, 4, [db.head_range_ms().unwrap().1 + 1]);
            db.close().unwrap();
            db = open_with(fs.clone(), WINDOW_MS, options);
        }
        add(&db, 0, [START_MS + 15_500]);
        let want = read_all(&db);
        steps.on.store(true, Ordering::SeqCst);
        db.tick().unwrap();
        steps.on.store(false, Ordering::SeqCst);
        assert!(db.blocks().iter().any(|m| m.compaction.has_hint("from-out-of-order")) || overlapping);
        assert_eq!(read_all(&db), want);
        let checkpoint = |fs: &dyn Fs| {
            fs.read_dir(Path::new("data/wal")).unwrap().iter().any(|e| e.name.starts_with("checkpoint."))
        };
        assert!(checkpoint(&steps));
        let states = std::mem::take(&mut *steps.states.lock().unwrap());
        assert!(states.len() > 50, "{}", states.len());
        for (i, state) in states.into_iter().enumerate() {
            let again = open_with(Arc::new(state.clone()), WINDOW_MS, options);
            assert!(read_all(&again) == want, "step {i}");
            again.tick().unwrap();
            assert!(read_all(&again) == want, "step {i}, compacted again");
            drop(again);
            let again = open_with(Arc::new(state.snapshot()), WINDOW_MS, options);
            assert!(read_all(&again) == want, "step {i}, opened again");
        }
    }
}

// Corners.

#[test]
fn what_is_late_and_what_too_old() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, [START_MS]);
    let mut a = db.appender();
    let mut append = |t, refuse| {
        a.refuse_out_of_order(refuse);
        a.append(SeriesRef::NONE, &labels(0), t, 0, 1.0).map(|_| ())
    };
    assert_eq!(append(START_MS - WINDOW_MS, false), Ok(()));
    assert_eq!(append(START_MS - WINDOW_MS - 1, false), Err(AppendError::TooOld));
    assert_eq!(append(START_MS - 1, true), Err(AppendError::OutOfOrder));
    assert_eq!(append(START_MS + 1, true), Ok(()));
    a.refuse_out_of_order(false);
    a.commit().unwrap();
    assert_eq!(times(&db, 0), [START_MS - WINDOW_MS, START_MS, START_MS + 1]);
    assert_eq!(metric(&db, "prometheus_tsdb_too_old_samples_total"), 1.0);
    assert_eq!(metric(&db, "prometheus_tsdb_out_of_order_samples_total"), 1.0);
    assert_eq!(metric(&db, "prometheus_tsdb_head_out_of_order_samples_appended_total"), 1.0);
    assert_eq!(metric(&db, "prometheus_tsdb_head_samples_appended_total"), 3.0);
}

#[test]
fn the_window_opens_and_closes_while_the_database_runs() {
    let fs = MemFs::new();
    let db = open_with(Arc::new(fs.clone()), 0, |_| {});
    add(&db, 0, [START_MS]);
    let refused = |db: &Db| db.appender().append(SeriesRef::NONE, &labels(0), START_MS - 10, 0, 1.0).err();
    assert_eq!(refused(&db), Some(AppendError::OutOfOrder));
    assert!(!fs.exists(Path::new("data/wbl")), "nobody needs it");
    let window = |ms| DbSettings { out_of_order_window_ms: ms, ..DbSettings::default() };
    db.apply(window(WINDOW_MS)).unwrap();
    add(&db, 0, [START_MS - 5]);
    db.apply(window(-1)).unwrap();
    assert_eq!(refused(&db), Some(AppendError::OutOfOrder));
    assert_eq!(times(&db, 0), [START_MS - 5, START_MS]);
    // What the log has is there without a window, too.
    let db = open_with(Arc::new(fs.snapshot()), 0, |_| {});
    assert_eq!(times(&db, 0), [START_MS - 5, START_MS]);
    add(&db, 0, [START_MS + RANGE_MS * 2]);
    db.tick().unwrap();
    assert_eq!(times(&db, 0), [START_MS - 5, START_MS, START_MS + RANGE_MS * 2]);
    assert!(db.blocks().iter().any(|m| m.min_ms == START_MS - RANGE_MS));
}

#[test]
fn a_torn_log_is_cut_off() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, [START_MS]);
    for k in 1..20 {
        add(&db, 0, [START_MS - k]);
    }
    let fs = fs.snapshot();
    let path = Path::new("data/wbl/00000000");
    fs.set_len(path, fs.read(path).unwrap().len() as u64 - 3).unwrap();
    let db = open(&fs);
    let why = db.replay_report().wbl_repaired.clone().unwrap();
    assert!(why.starts_with("corruption in segment data/wbl/00000000 at "), "{why}");
    assert_eq!(times(&db, 0), (START_MS - 18..=START_MS).collect::<Vec<_>>());
    add(&db, 0, [START_MS - 30]);
    let db = open(&fs.snapshot());
    assert_eq!(db.replay_report().wbl_repaired, None);
    assert_eq!(times(&db, 0).len(), 20);
}

#[test]
fn a_series_with_late_samples_only_comes_and_goes() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, [START_MS]);
    let late: Vec<i64> = (0..70).map(|k| START_MS - 20_000 + k).collect();
    add(&db, 1, late.iter().rev().copied());
    assert_eq!(times(&db, 1), late);
    let db = open(&fs.snapshot());
    assert_eq!(times(&db, 1), late);
    // Before the head begins.
    let q = db.querier(i64::MIN, START_MS - 10_000).unwrap();
    assert_eq!(read(&*q).len(), 1);
    assert_eq!(q.label_values("i", storage::LabelHints::default(), &[]).unwrap().len(), 2);
    drop(q);
    assert_eq!(db.num_series(), 2);
    add(&db, 0, [START_MS + 2 * RANGE_MS]);
    db.tick().unwrap();
    assert_eq!(db.num_series(), 1, "its samples are in a block");
    assert_eq!(times(&db, 1), late);
    assert_eq!(metric(&db, "prometheus_tsdb_head_chunks"), 1.0);
}

#[test]
fn a_commit_is_seen_as_a_whole_or_not_at_all() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, [START_MS]);
    add(&db, 0, (1..=30).map(|k| START_MS - 2 * k));
    let before = db.querier(i64::MIN, i64::MAX).unwrap();
    // The second half of these fills chunks in which the view has seen other samples.
    add(&db, 0, (1..=60).map(|k| START_MS - 2 * k - 1).chain([START_MS + 5]));
    let want: Vec<i64> = (0..=30).rev().map(|k| START_MS - 2 * k).collect();
    let seen: Vec<i64> = read(&*before).remove(&labels(0).to_string()).unwrap().into_keys().collect();
    assert_eq!(seen, want);
    assert_eq!(times(&db, 0).len(), 31 + 61);
    // Compacted meanwhile: the view goes on with what it sees, and holds the chunks.
    add(&db, 0, [START_MS + 2 * RANGE_MS]);
    db.tick().unwrap();
    let seen: Vec<i64> = read(&*before).remove(&labels(0).to_string()).unwrap().into_keys().collect();
    assert_eq!(seen, want);
    let bytes = wbl_bytes(&fs);
    assert!(bytes > 0, "a view still needs what the log is about");
    drop(before);
    db.tick().unwrap();
    assert_eq!(wbl_bytes(&fs), 0);
    assert_eq!(times(&db, 0).len(), 31 + 62);
}

#[test]
fn deleted_late_samples_stay_deleted() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, [START_MS]);
    add(&db, 0, (1..=50).map(|k| START_MS - 12_000 - k));
    db.delete(START_MS - 12_040, START_MS - 12_011, &[Matcher::equal("all", "yes")]).unwrap();
    let want: Vec<i64> = (START_MS - 12_050..START_MS - 12_040)
        .chain(START_MS - 12_010..START_MS - 12_000)
        .chain([START_MS])
        .collect();
    assert_eq!(times(&db, 0), want);
    assert_eq!(times(&open(&fs.snapshot()), 0), want);
    add(&db, 1, [START_MS + 2 * RANGE_MS]);
    db.tick().unwrap();
    assert_eq!(times(&db, 0), want);
    assert_eq!(times(&open(&fs.snapshot()), 0), want);
}

#[test]
fn histograms_and_floats_in_one_series() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, [START_MS]);
    let mut a = db.appender();
    let mut want = BTreeMap::from([(START_MS, (START_MS as f64).to_bits())]);
    for k in 0..100i64 {
        let t = START_MS - 5000 + (k * 41) % 100;
        let h = histogram(k as u64 % 7);
        match k % 3 {
            0 => a.append(SeriesRef::NONE, &labels(0), t, 0, 2.5).unwrap(),
            1 => a.append_histogram(SeriesRef::NONE, &labels(0), t, 0, HistogramValue::Integer(&h)).unwrap(),
            _ => a
                .append_histogram(SeriesRef::NONE, &labels(0), t, 0, HistogramValue::Float(&h.to_float()))
                .unwrap(),
        };
        want.insert(t, if k % 3 == 0 { 2.5f64.to_bits() } else { h.count });
    }
    a.commit().unwrap();
    let check = |db: &Db| assert_eq!(read_all(db)[&labels(0).to_string()], want);
    check(&db);
    check(&open(&fs.snapshot()));
    add(&db, 1, [START_MS + 2 * RANGE_MS]);
    db.tick().unwrap();
    check(&db);
    check(&open(&fs.snapshot()));
}

#[test]
fn narrow_queries_find_late_samples() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, (START_MS..START_MS + 4000).step_by(10));
    add(&db, 0, (0..100).map(|k| START_MS - 3000 + k * 70 + 3));
    let all = read_all(&db);
    let all = &all[&labels(0).to_string()];
    for (start, end) in [(-9000, -1), (-100, 100), (500, 600), (-2997, -2997), (3990, 9000), (-2996, -2990)] {
        let (start, end) = (START_MS + start, START_MS + end);
        let q = db.querier(start, end).unwrap();
        let got = read_between(&*q, start, end).remove(&labels(0).to_string()).unwrap_or_default();
        assert!(got.iter().eq(all.range(start..=end)), "{start} {end}");
    }
}

#[test]
fn a_copy_has_late_samples() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, [START_MS]);
    add(&db, 0, (1..=50).map(|k| START_MS - 100 * k));
    let want = read_all(&db);
    db.snapshot(Path::new("copy"), true).unwrap();
    assert_eq!(read_all(&db), want);
    let copy = open_with(Arc::new(fs), 0, |o| o.dir = "copy".into());
    assert_eq!(read_all(&copy), want);
}

/// Writers bring late samples of the same series at once, the upkeep makes blocks of them, and queries
/// see whole commits only.
#[test]
fn many_at_once() {
    const COMMITS: i64 = 120;
    const WRITERS: i64 = 3;
    /// However a writer ends.
    struct Done<'a>(&'a AtomicI64);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let fs = MemFs::new();
    let db = open_with(Arc::new(fs.clone()), 1000 * RANGE_MS, |_| {});
    add(&db, 99, [START_MS]);
    let done = AtomicI64::new(0);
    let check = |samples: &Samples| {
        let mut commits = BTreeMap::<u64, usize>::new();
        for series in (0..2).filter_map(|i| samples.get(&labels(i).to_string())) {
            series.values().for_each(|v| *commits.entry(*v).or_default() += 1);
        }
        assert!(commits.values().all(|n| *n == 12), "{commits:?}");
        commits.len()
    };
    std::thread::scope(|scope| {
        for w in 0..WRITERS {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let _done = Done(done);
                for k in 0..COMMITS {
                    let mut a = db.appender();
                    let id = (k * WRITERS + w) as f64;
                    for i in 0..12 {
                        let t = START_MS - 20_000 - ((k * 12 + i) * WRITERS + w) * 7;
                        a.append(SeriesRef::NONE, &labels(i as usize % 2), t, 0, id).unwrap();
                    }
                    if w == 0 {
                        a.append(SeriesRef::NONE, &labels(99), START_MS + 1 + k * 700, 0, 0.0).unwrap();
                    }
                    a.commit().unwrap();
                }
            });
        }
        scope.spawn(|| {
            while done.load(Ordering::SeqCst) < WRITERS {
                db.tick().unwrap();
            }
        });
        scope.spawn(|| {
            let mut seen = 0;
            while done.load(Ordering::SeqCst) < WRITERS {
                let now = check(&read_all(&db));
                assert!(now >= seen);
                seen = now;
            }
        });
    });
    db.tick().unwrap();
    let all = (COMMITS * WRITERS) as usize;
    assert_eq!(check(&read_all(&db)), all);
    assert!(!db.blocks().is_empty());
    assert_eq!(check(&read_all(&open(&fs.snapshot()))), all);
}

// Data of Prometheus 3.16.

#[test]
fn a_directory_of_prometheus() {
    let Some(dir) = common::conformance("a_directory_of_prometheus", "c-out-of-order") else { return };
    let fs = common::unpack(&dir);
    // Its log goes back to the first sample. (promtool's dump leaves the head out where it lies before
    // the end of a block.)
    let (mut names, mut want) = (BTreeMap::new(), BTreeMap::<String, BTreeMap<i64, BTreeSet<u64>>>::new());
    for line in common::gz_lines(&dir.join("wal.jsonl.gz")) {
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        let list = |what: &str| record[what].as_array().cloned().unwrap_or_default();
        for s in list("series") {
            let labels = s["labels"].as_object().unwrap();
            let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())));
            names.insert(s["ref"].as_u64().unwrap(), labels.to_string());
        }
        for s in list("samples") {
            let (t, v) =
                (s[1].as_i64().unwrap(), s[2].as_str().unwrap().replace("stale", "NaN").parse().unwrap());
            let series = want.entry(names[&s[0].as_u64().unwrap()].clone()).or_default();
            series.entry(t).or_default().insert(common::dump_bits(v));
        }
    }
    assert_eq!(want.values().map(BTreeMap::len).sum::<usize>(), 22_251);
    const HOUR_MS: i64 = 3_600_000;
    let open =
        |fs: &Arc<dyn Fs>| open_with(fs.clone(), 3 * HOUR_MS, |o| o.min_block_duration_ms = 2 * HOUR_MS);
    let check = |what: &str, db: &Db| {
        let q = db.querier(i64::MIN, i64::MAX).unwrap();
        let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
        let set =
            q.select(&hints, &[Matcher::new(model::MatchOp::NotEqual, "__name__", "ours").unwrap()]).unwrap();
        let mut got = common::Dump::new();
        for i in 0..set.len() {
            let mut c = Columns::default();
            set.read(i, &mut c).unwrap();
            let samples: BTreeMap<_, _> =
                c.t.into_iter().zip(c.v.into_iter().map(common::dump_bits)).collect();
            if !samples.is_empty() {
                got.insert(set.labels(i).to_string(), samples);
            }
        }
        assert!(got.keys().eq(want.keys()), "{what}: {:?}", got.keys());
        for (labels, samples) in &want {
            let mine = &got[labels];
            let there =
                |(t, values): &(&i64, &BTreeSet<u64>)| mine.get(t).is_some_and(|v| values.contains(v));
            let lost: Vec<_> = samples.iter().filter(|s| !there(s)).take(3).collect();
            let new: Vec<_> = mine.keys().filter(|t| !samples.contains_key(t)).take(3).collect();
            assert!(lost.is_empty() && new.is_empty(), "{what}: {labels}: lost {lost:?}, new {new:?}");
        }
    };
    let db = open(&fs);
    check("opened", &db);
    let report = db.replay_report().clone();
    assert_eq!((report.unknown_wbl_samples, report.wbl_repaired), (0, None));
    assert_eq!(report.wbl_samples, 382);
    drop(db);
    let db = open(&fs);
    check("after a kill", &db);
    // Half of the series go on, half end.
    let mut a = db.appender();
    let (_, end_ms) = db.head_range_ms().unwrap();
    for i in 0..4 {
        let ours = Labels::from_pairs([("__name__", "ours"), ("i", &i.to_string())]);
        a.append(SeriesRef::NONE, &ours, end_ms + 2 * HOUR_MS, 0, 1.0).unwrap();
    }
    a.commit().unwrap();
    db.tick().unwrap();
    check("compacted", &db);
    assert_eq!(wbl_bytes(&*fs), 0);
    db.close().unwrap();
    check("after a close", &open(&fs));
}

#[test]
fn a_series_that_came_back_under_another_reference_keeps_the_chunks_of_both() {
    let append = |appender, series, ahead_ms, step_ms, n, v| Op::Append {
        appender,
        series,
        ahead_ms,
        step_ms,
        n,
        v,
        histogram: false,
    };
    let mut world = World::new();
    for op in [
        append(2, 0, 1631, 107, 40, 0),
        Op::Commit(2),
        append(1, 0, 2537, 100, 28, 0),
        // Made, logged, and collected when the directory is opened again.
        append(0, 3, 0, 0, 1, 0),
        Op::Rollback(0),
        Op::Commit(1),
        Op::Kill,
        append(1, 3, -3879, 86, 34, 1),
        Op::Commit(1),
        // Known under its first reference again: full chunks of either follow each other.
        Op::Close,
        append(1, 3, 274, 657, 44, 2),
        Op::Commit(1),
        Op::Close,
    ] {
        world.run(op);
    }
    world.check();
}

/// Power loss may take the end of the main log and leave that of late samples: what no series is known
/// for any more must not become that of the next new one.
#[test]
fn what_is_left_of_a_lost_series_goes_to_no_other() {
    let fs = MemFs::new();
    let db = open(&fs);
    add(&db, 0, [START_MS]);
    add(&db, 0, [START_MS - 100]);
    db.close().unwrap();
    fs.set_len(Path::new("data/wal/00000000"), 0).unwrap();
    let db = open(&fs);
    assert_eq!(db.replay_report().unknown_wbl_samples, 1);
    add(&db, 1, [START_MS]);
    db.close().unwrap();
    let db = open(&fs);
    assert_eq!((times(&db, 0), times(&db, 1)), (Vec::new(), vec![START_MS]));
}
