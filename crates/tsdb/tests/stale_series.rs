//! Stale series: how many there are is known at all times; when they are many they go into blocks of
//! their own and leave the head, and no query, restart or crash sees a difference.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Columns, FloatHistogram, Histogram, Labels, Matcher, STALE_NAN_BITS, SeriesRef, stale_nan};
use proptest::prelude::*;
use storage::{Appender, Fs, HistogramValue, Inline, ManualClock, MemFs, Querier, Queryable, SelectHints};
use testkit::faults::{Crash, Fault, FaultFs, Outcome};
use tsdb::{Db, DbOptions, WalSync};

const RANGE_MS: i64 = 120_000;
const MINUTE_MS: u32 = 60_000;

struct World {
    clock: Arc<ManualClock>,
    db: Db,
}

impl World {
    fn open(fs: Arc<dyn Fs>, change: impl FnOnce(&mut DbOptions)) -> Self {
        let clock = Arc::new(ManualClock::new(0));
        let mut o = DbOptions::new("data", fs, clock.clone(), Arc::new(Inline));
        o.min_block_duration_ms = RANGE_MS;
        o.wal_segment_bytes = 32 * 1024;
        o.wal_sync = WalSync::Commit;
        o.settings.stale_series_threshold = 0.5;
        change(&mut o);
        Self { clock, db: Db::open(o).unwrap() }
    }

    fn new(fs: &MemFs) -> Self {
        Self::open(Arc::new(fs.clone()), |_| {})
    }

    /// The upkeep of a later minute.
    fn tick(&self) {
        self.clock.advance_ms(MINUTE_MS);
        self.db.tick().unwrap();
    }

    fn stale(&self) -> u64 {
        self.metric("prometheus_tsdb_head_stale_series") as u64
    }

    fn metric(&self, name: &str) -> f64 {
        self.db.metrics().iter().find(|m| m.name == name).unwrap().value
    }

    fn stale_blocks(&self) -> Vec<(i64, i64)> {
        let blocks = self.db.blocks();
        let stale = blocks.iter().filter(|b| b.compaction.has_hint("from-stale-series"));
        stale.map(|b| (b.min_ms, b.max_ms)).collect()
    }
}

fn labels(i: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())])
}

fn histogram(sum: f64) -> Histogram {
    if sum.is_nan() {
        return Histogram { sum, ..Histogram::default() };
    }
    Histogram { count: 2, zero_count: 2, sum, ..Histogram::default() }
}

/// A sample of series `i`: of every fifth an integer histogram, of every fifth a float one.
fn push(a: &mut dyn Appender, i: usize, t: i64, v: f64) {
    let (none, labels) = (SeriesRef::NONE, labels(i));
    let done = match i % 5 {
        3 => a.append_histogram(none, &labels, t, 0, HistogramValue::Integer(&histogram(v))),
        4 => {
            let h = if v.is_nan() {
                FloatHistogram { sum: v, ..FloatHistogram::default() }
            } else {
                histogram(v).to_float()
            };
            a.append_histogram(none, &labels, t, 0, HistogramValue::Float(&h))
        }
        _ => a.append(none, &labels, t, 0, v),
    };
    done.unwrap();
}

fn add(db: &Db, series: impl IntoIterator<Item = usize>, t: i64) {
    let mut a = db.appender();
    series.into_iter().for_each(|i| push(&mut *a, i, t, t as f64));
    a.commit().unwrap();
}

fn end(db: &Db, series: impl IntoIterator<Item = usize>, t: i64) {
    let mut a = db.appender();
    series.into_iter().for_each(|i| push(&mut *a, i, t, stale_nan()));
    a.commit().unwrap();
}

type State = BTreeMap<String, Vec<(i64, u64)>>;

fn read(q: &dyn Querier) -> State {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = q.select(&hints, &[]).unwrap();
    let mut out = State::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        let mut values: Vec<u64> = c.v.iter().map(|v| v.to_bits()).collect();
        c.h.iter().for_each(|(at, h)| values[*at as usize] = h.sum.to_bits());
        assert!(c.t.windows(2).all(|w| w[0] < w[1]));
        if !c.t.is_empty() {
            out.insert(set.labels(i).to_string(), c.t.into_iter().zip(values).collect());
        }
    }
    out
}

fn querier(db: &Db) -> Box<dyn Querier> {
    db.querier(i64::MIN, i64::MAX).unwrap()
}

fn state(db: &Db) -> State {
    read(&*querier(db))
}

#[test]
fn stale_series_are_counted() {
    let fs = MemFs::new();
    let w = World::open(Arc::new(fs.clone()), |o| {
        o.settings.stale_series_threshold = 0.0;
        o.snapshot_on_close = true;
    });
    add(&w.db, 0..10, 1000);
    assert_eq!(w.stale(), 0);
    end(&w.db, 0..7, 2000);
    assert_eq!(w.stale(), 7);
    end(&w.db, 0..3, 3000);
    add(&w.db, 5..7, 3000);
    // A float behind a histogram that has ended, and an end that is a float.
    let mut a = w.db.appender();
    a.append(SeriesRef::NONE, &labels(3), 3000, 0, 1.0).unwrap();
    a.append(SeriesRef::NONE, &labels(8), 3000, 0, stale_nan()).unwrap();
    a.commit().unwrap();
    assert_eq!(w.stale(), 5);
    let killed = World::new(&fs.snapshot());
    assert_eq!(killed.stale(), 5);
    w.db.close().unwrap();
    let from_snapshot = World::open(Arc::new(fs.clone()), |o| {
        o.settings.stale_series_threshold = 0.0;
        o.snapshot_on_close = true;
    });
    assert!(from_snapshot.db.replay_report().snapshot_series > 0);
    assert_eq!(from_snapshot.stale(), 5);
    // The head forgets them.
    let w = from_snapshot;
    for t in [RANGE_MS, 2 * RANGE_MS, 3 * RANGE_MS] {
        add(&w.db, [9], t);
    }
    w.tick();
    assert_eq!((w.stale(), w.db.num_series()), (0, 1));
}

#[test]
fn many_stale_series_leave_the_head() {
    let fs = MemFs::new();
    let w = World::new(&fs);
    // Over two block ranges, with full chunks; 10 to 14 end.
    for t in 0..150 {
        add(&w.db, 0..15, 30_000 + t * 1000);
    }
    end(&w.db, 10..15, 180_000);
    w.tick();
    assert_eq!(w.stale_blocks(), []);
    end(&w.db, 7..10, 180_000);
    w.db.delete(40_000, 50_000, &[Matcher::equal("i", "12")]).unwrap();
    let want = state(&w.db);
    // Two appenders: one with a sample for a series that has ended, one opened before.
    let mut busy = w.db.appender();
    push(&mut *busy, 7, 181_000, 1.0);
    let during = querier(&w.db);
    w.tick();
    assert_eq!(w.stale_blocks(), [(0, RANGE_MS), (RANGE_MS, 2 * RANGE_MS)]);
    assert_eq!((w.stale(), w.db.num_series()), (8, 15), "a query may need them");
    assert_eq!(state(&w.db), want);
    assert_eq!(read(&*during), want);
    w.tick();
    assert_eq!(w.stale_blocks().len(), 2, "not twice");
    let set = during.select(&SelectHints { end_ms: i64::MAX, ..SelectHints::default() }, &[]).unwrap();
    drop(during);
    // Series 8 goes on while the others wait.
    add(&w.db, [8], 181_000);
    let mut want = want;
    want.get_mut(&labels(8).to_string()).unwrap().push((181_000, 181_000f64.to_bits()));
    drop(set);
    w.tick();
    assert_eq!((w.stale(), w.db.num_series()), (1, 9), "7 is held, 8 goes on");
    assert_eq!(state(&w.db), want);
    for b in w.db.blocks() {
        assert_eq!((b.compaction.level, b.compaction.hints.len()), (1, 1));
        // Seven series; 7 is held and was not chosen.
        assert_eq!(b.stats.num_series, 7);
        let samples = if b.min_ms == 0 { 7 * 90 - 11 } else { 7 * 61 };
        assert_eq!(b.stats.num_samples, samples);
    }
    busy.commit().unwrap();
    want.get_mut(&labels(7).to_string()).unwrap().push((181_000, 1f64.to_bits()));
    assert_eq!(state(&w.db), want);

    // The same after a kill: the log says that they are gone.
    let killed = World::new(&fs.snapshot());
    assert_eq!(killed.db.num_series(), 9);
    assert_eq!(killed.db.replay_report().unknown_series_samples, 0);
    assert_eq!(state(&killed.db), want);

    // They come back, under references of their own.
    for w in [&w, &killed] {
        for t in 182..190 {
            add(&w.db, 0..15, t * 1000);
        }
        let mut want = want.clone();
        for (name, samples) in &mut want {
            let i: usize = name.split('"').nth(3).unwrap().parse().unwrap();
            assert_eq!(*name, labels(i).to_string());
            samples.extend((182..190).map(|t| (t * 1000, (t as f64 * 1000.0).to_bits())));
        }
        assert_eq!(state(&w.db), want);
        assert_eq!((w.stale(), w.db.num_series()), (0, 15));
    }
    let want = state(&w.db);
    let again = World::new(&fs.snapshot());
    assert_eq!(state(&again.db), want);
    // And with the next block of the head all is in order; blocks of both kinds stay apart.
    for t in [200, 300, 400, 500] {
        add(&again.db, [0], t * 1000);
    }
    let want = state(&again.db);
    again.tick();
    assert!(again.db.blocks().len() > 2);
    assert_eq!(state(&again.db), want);
    let once_more = World::new(&{
        again.db.close().unwrap();
        fs.snapshot()
    });
    drop(once_more);
}

#[test]
fn late_samples_hold_a_series() {
    let fs = MemFs::new();
    let w = World::open(Arc::new(fs.clone()), |o| o.settings.out_of_order_window_ms = RANGE_MS);
    add(&w.db, 0..3, 10_000);
    end(&w.db, 0..3, 20_000);
    add(&w.db, [1], 5000);
    let want = state(&w.db);
    w.tick();
    assert_eq!((w.stale(), w.db.num_series()), (1, 1));
    assert_eq!(state(&w.db), want);
    // Behind a series that has left, a late one begins anew.
    add(&w.db, [0], 15_000);
    assert_eq!(state(&w.db)[&labels(0).to_string()].len(), 3);
}

#[test]
fn below_the_threshold_or_shortly_before_a_block_nothing_happens() {
    let w = World::open(Arc::new(MemFs::new()), |o| o.settings.stale_series_threshold = 0.0);
    add(&w.db, 0..4, 1000);
    end(&w.db, 0..4, 2000);
    w.tick();
    let mut settings = (*w.db.settings()).clone();
    settings.stale_series_threshold = 1.0;
    add(&w.db, [5], 3000);
    w.db.apply(settings.clone()).unwrap();
    w.tick();
    assert_eq!(w.stale(), 4);
    assert_eq!(w.metric("prometheus_tsdb_stale_series_compactions_triggered_total"), 0.0);
    settings.stale_series_threshold = 0.8;
    w.db.apply(settings).unwrap();
    w.tick();
    assert_eq!((w.stale(), w.db.num_series()), (0, 1));
    assert_eq!(w.metric("prometheus_tsdb_stale_series_compactions_triggered_total"), 1.0);
    assert_eq!(w.metric("prometheus_tsdb_stale_series_compaction_duration_seconds_count"), 1.0);
    assert_eq!(w.metric("prometheus_tsdb_stale_series_compactions_failed_total"), 0.0);
    // A block is cut; nearly a range later the next one is waited for.
    for t in [RANGE_MS, 2 * RANGE_MS, 3 * RANGE_MS] {
        add(&w.db, [5], t);
    }
    w.tick();
    let blocks = w.db.blocks().len();
    end(&w.db, 6..20, 3 * RANGE_MS);
    w.clock.advance_ms(RANGE_MS as u32 - MINUTE_MS - 1000);
    w.tick();
    assert_eq!((w.stale(), w.db.blocks().len()), (14, blocks));
}

/// Everything that a stale compaction does, with a fault at any step, then a restart: what was there is
/// there, whether the series that came back got that far or not.
#[test]
fn a_fault_at_any_step_loses_nothing() {
    let prepare = || {
        let fs = FaultFs::new();
        let w = World::open(Arc::new(fs.clone()), |o| o.snapshot_on_close = true);
        for t in 0..130 {
            add(&w.db, 0..10, 60_000 + t * 1000);
        }
        end(&w.db, 0..8, 190_000);
        w.clock.advance_ms(MINUTE_MS);
        fs.settle();
        (fs, w)
    };
    let run = |w: &World| {
        let ticked = w.db.tick();
        let mut a = w.db.appender();
        for i in 0..10 {
            let refused = i % 5 < 3 && a.append(SeriesRef::NONE, &labels(i), 191_000, 0, 1.0).is_err();
            if refused {
                return;
            }
        }
        if a.commit().is_ok() && ticked.is_ok() {
            let _ = w.db.close();
        }
    };
    let (fs, w) = prepare();
    let before = state(&w.db);
    fs.plan(None);
    run(&w);
    let steps = fs.steps();
    assert!(steps > 30, "{steps}");
    let mut after = before.clone();
    for i in (0..10).filter(|i| i % 5 < 3) {
        after.get_mut(&labels(i).to_string()).unwrap().push((191_000, 1f64.to_bits()));
    }
    drop(w);
    let mut seen = [0; 2];
    for at in 0..=steps {
        let power = [Crash::Kill, Crash::Power, Crash::PowerUnordered];
        for (outcome, crash) in [
            (Outcome::Crash, power[0]),
            (Outcome::Crash, power[1]),
            (Outcome::Crash, power[2]),
            (Outcome::FailOnce, power[0]),
            (Outcome::FailFromNow, power[at as usize % 2]),
        ] {
            let (fs, w) = prepare();
            fs.plan(Some(Fault { at, outcome, seed: at }));
            run(&w);
            drop(w);
            let w = World::open(Arc::new(fs.after(crash, at)), |o| o.snapshot_on_close = true);
            let got = state(&w.db);
            assert!(got == before || got == after, "step {at}, {outcome:?}, {crash:?}");
            seen[usize::from(got == after)] += 1;
            // It goes on, and evicts what it did not.
            add(&w.db, [9], 192_000);
            let want = state(&w.db);
            w.tick();
            assert_eq!(state(&w.db), want, "step {at}, {outcome:?}, {crash:?}");
        }
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
}

/// Scrapers that come, end and come back while series are evicted, and a close in the middle of it: what
/// was acknowledged is there, from the log and from the snapshot.
#[test]
fn many_threads_and_a_close() {
    for round in 0..6 {
        let fs = MemFs::new();
        let w = World::open(Arc::new(fs.clone()), |o| {
            o.settings.stale_series_threshold = 0.01;
            o.snapshot_on_close = true;
            o.wal_sync = WalSync::Segment;
        });
        let commits = AtomicU64::new(0);
        let acknowledged: Vec<BTreeMap<usize, Vec<(i64, u64)>>> = std::thread::scope(|scope| {
            let scrapers: Vec<_> = (0..3)
                .map(|n| {
                    let (db, commits) = (&w.db, &commits);
                    scope.spawn(move || {
                        let mut done: BTreeMap<usize, Vec<(i64, u64)>> = BTreeMap::new();
                        for t in 1..50_000i64 {
                            let own = (0..10).map(|k| n * 100 + 5 * k);
                            // Each goes on for a while, then ends, then comes back.
                            let value = |i: usize| match (t as usize + i) % 40 {
                                0..20 => Some(t as f64),
                                20 => Some(stale_nan()),
                                _ => None,
                            };
                            let samples: Vec<_> = own.filter_map(|i| Some((i, value(i)?))).collect();
                            let mut a = db.appender();
                            let taken = samples
                                .iter()
                                .all(|(i, v)| a.append(SeriesRef::NONE, &labels(*i), t, 0, *v).is_ok());
                            if !taken || a.commit().is_err() {
                                return done;
                            }
                            commits.fetch_add(1, Ordering::Relaxed);
                            for (i, v) in samples {
                                done.entry(i).or_default().push((t, v.to_bits()));
                            }
                        }
                        done
                    })
                })
                .collect();
            for k in 0..(4 + 3 * round) {
                while commits.load(Ordering::Relaxed) < (k + 1) * 200 {
                    std::thread::yield_now();
                }
                w.tick();
                if k % 3 == 0 {
                    state(&w.db);
                }
            }
            w.db.close().unwrap();
            scrapers.into_iter().map(|s| s.join().unwrap()).collect()
        });
        assert!(w.metric("prometheus_tsdb_stale_series_compactions_triggered_total") >= 1.0);
        let want: State =
            acknowledged.into_iter().flatten().map(|(i, samples)| (labels(i).to_string(), samples)).collect();
        for snapshot in [true, false] {
            let w = World::open(Arc::new(fs.snapshot()), |o| o.snapshot_on_close = snapshot);
            assert_eq!(w.db.replay_report().snapshot_series > 0, snapshot);
            let mut got = state(&w.db);
            // The commit that the close came upon is there or not.
            for (series, samples) in &mut got {
                let wanted = want.get(series).map_or(0, Vec::len);
                assert!(samples.len() <= wanted + 1, "{series}");
                samples.truncate(wanted);
            }
            got.retain(|_, samples| !samples.is_empty());
            assert!(got == want, "round {round}, snapshot {snapshot}");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize, usize),
    End(usize, usize),
    Late(usize),
    Delete(usize),
    Tick,
    Close,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..8, 1usize..8).prop_map(|(i, n)| Step::Add(i, n)),
        4 => (0usize..8, 1usize..8).prop_map(|(i, n)| Step::End(i, n)),
        1 => (0usize..8).prop_map(Step::Late),
        1 => (0usize..8).prop_map(Step::Delete),
        4 => Just(Step::Tick),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Beside a map of all that was taken.
    #[test]
    fn whoever_comes_and_goes(steps in prop::collection::vec(step(), 1..60), window: bool, snapshot: bool) {
        let change = |o: &mut DbOptions| {
            o.settings.stale_series_threshold = 0.3;
            o.settings.out_of_order_window_ms = if window { RANGE_MS } else { 0 };
            o.snapshot_on_close = snapshot;
        };
        let mut fs = MemFs::new();
        let mut w = World::open(Arc::new(fs.clone()), change);
        let mut want: BTreeMap<usize, BTreeMap<i64, u64>> = BTreeMap::new();
        let mut deleted: Vec<(usize, std::ops::RangeInclusive<i64>)> = Vec::new();
        let mut now = 10 * RANGE_MS;
        for step in steps {
            now += 1700;
            match step {
                Step::Add(i, n) => {
                    for k in 0..20 {
                        let t = now + k * 100;
                        add(&w.db, i..i + n, t);
                        (i..i + n).for_each(|i| _ = want.entry(i).or_default().insert(t, (t as f64).to_bits()));
                    }
                    now += 2000;
                }
                Step::End(i, n) => {
                    end(&w.db, i..i + n, now);
                    (i..i + n).for_each(|i| _ = want.entry(i).or_default().insert(now, STALE_NAN_BITS));
                }
                Step::Late(i) if window => {
                    let t = now - 20_050;
                    // What comes late into a time that was deleted is deleted with it, as in Prometheus.
                    if deleted.iter().any(|(series, times)| *series == i && times.contains(&t)) {
                        continue;
                    }
                    add(&w.db, [i], t);
                    want.entry(i).or_default().insert(t, (t as f64).to_bits());
                }
                Step::Late(_) => {}
                Step::Delete(i) => {
                    let i_text = i.to_string();
                    deleted.push((i, now - 9000..=now - 3000));
                    w.db.delete(now - 9000, now - 3000, &[Matcher::equal("i", i_text.as_str())]).unwrap();
                    want.entry(i).or_default().retain(|t, _| !(now - 9000..=now - 3000).contains(t));
                }
                Step::Tick => w.tick(),
                Step::Close => {
                    w.db.close().unwrap();
                    w = World::open(Arc::new(fs.clone()), change);
                }
                Step::Kill => {
                    fs = fs.snapshot();
                    w = World::open(Arc::new(fs.clone()), change);
                }
            }
            let want: State = want
                .iter()
                .filter(|(_, samples)| !samples.is_empty())
                .map(|(i, samples)| (labels(*i).to_string(), samples.iter().map(|(t, v)| (*t, *v)).collect()))
                .collect();
            prop_assert_eq!(state(&w.db), want);
        }
    }
}
