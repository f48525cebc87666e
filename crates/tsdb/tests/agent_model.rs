//! An agent's database against a map, under random appends, commits, rollbacks, truncations, reading and kills.
#![allow(clippy::unwrap_used)]

mod agent_world;

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_world::{Log, Reader, Value, World, labels, named};
use model::SeriesRef;
use proptest::prelude::*;
use storage::{AppendError, Appender, Clock, MemFs};
use tsdb::tail::TailPosition;

const SERIES: usize = 12;
const APPENDERS: usize = 3;
const WINDOW_MS: i64 = 30;

#[derive(Clone, Debug)]
enum Op {
    /// `n` samples from `ahead_ms` before or behind the clock on.
    Append {
        appender: usize,
        series: usize,
        ahead_ms: i64,
        n: usize,
        by_ref: bool,
    },
    Commit(usize),
    Rollback(usize),
    /// Lets so much time pass, and truncates where it is due.
    Pass(u32),
    Read,
    Kill,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    let append = (0..APPENDERS, 0..SERIES, -200i64..200, 1usize..60, any::<bool>());
    prop_oneof![
        12 => append.prop_map(|(appender, series, ahead_ms, n, by_ref)| {
            Op::Append { appender, series, ahead_ms, n, by_ref }
        }),
        6 => (0..APPENDERS).prop_map(Op::Commit),
        1 => (0..APPENDERS).prop_map(Op::Rollback),
        4 => (100u32..2500).prop_map(Op::Pass),
        3 => Just(Op::Read),
        1 => Just(Op::Kill),
        1 => Just(Op::Close),
    ]
}

/// What is known of a series.
#[derive(Clone, Copy, Default)]
struct End {
    ms: Option<i64>,
    /// The database need not know it any more.
    may_be_forgotten: bool,
}

/// A transaction, and its samples: series, time, value.
type Transaction = (Box<dyn Appender>, Vec<(usize, i64, f64)>);

struct Model {
    world: World,
    reader: Reader,
    ends: [End; SERIES],
    refs: [SeriesRef; SERIES],
    open: Vec<Option<Transaction>>,
    acknowledged: Log,
    heard: Log,
    next_value: f64,
}

impl Model {
    fn new(from_memory: bool) -> Self {
        let world = World::new(Arc::new(MemFs::new()), |o| {
            o.out_of_order_window_ms = WINDOW_MS;
            o.checkpoint_from_memory = from_memory;
            o.min_wal_ms = 500;
            // Nothing is too old to be kept for the reader.
            o.max_wal_ms = 1 << 40;
        });
        let reader = world.reader(Some(TailPosition::default()));
        Self {
            world,
            reader,
            ends: [End::default(); SERIES],
            refs: [SeriesRef::NONE; SERIES],
            open: (0..APPENDERS).map(|_| None).collect(),
            acknowledged: Log::new(),
            heard: Log::new(),
            next_value: 0.0,
        }
    }

    fn name(series: usize) -> String {
        format!("s{series}")
    }

    fn append(&mut self, appender: usize, series: usize, ahead_ms: i64, n: usize, by_ref: bool) {
        let now_ms = self.world.clock.now_ms();
        let db = &self.world.db;
        let (app, pending) = self.open[appender].get_or_insert_with(|| (db.appender(), Vec::new()));
        for i in 0..n {
            let t = now_ms + ahead_ms + i as i64 * 7;
            self.next_value += 1.0;
            let known = if by_ref { self.refs[series] } else { SeriesRef::NONE };
            let end = self.ends[series];
            match app.append(known, &labels(&Self::name(series)), t, 0, self.next_value) {
                Ok(r) => {
                    self.refs[series] = r;
                    pending.push((series, t, self.next_value));
                    let fits = end.ms.is_none_or(|end| t > end - WINDOW_MS);
                    assert!(fits || end.may_be_forgotten, "{series} at {t} behind {:?}", end.ms);
                }
                Err(AppendError::OutOfOrder) => {
                    assert!(end.ms.is_some_and(|end| t <= end - WINDOW_MS), "{series} at {t}, {:?}", end.ms);
                }
                Err(e) => panic!("{e}"),
            }
        }
    }

    fn commit(&mut self, appender: usize) {
        let Some((app, pending)) = self.open[appender].take() else { return };
        app.commit().unwrap();
        for (series, t, v) in pending {
            self.acknowledged.entry(named(&Self::name(series))).or_default().push((t, Value::Float(v)));
            let end = &mut self.ends[series];
            if end.may_be_forgotten && end.ms.is_none_or(|e| t < e) {
                // Either way the newest is one of the two.
                continue;
            }
            *end = End { ms: end.ms.max(Some(t)), may_be_forgotten: false };
        }
    }

    fn pass(&mut self, ms: u32) {
        self.world.clock.advance_ms(ms);
        self.world.db.tick().unwrap();
        // The least that is kept.
        let mint_ms = self.world.clock.now_ms() - 500;
        for end in self.ends.iter_mut().filter(|e| e.ms.is_some_and(|ms| ms < mint_ms)) {
            end.may_be_forgotten = true;
        }
    }

    fn read(&mut self) {
        self.reader.read();
        let news = std::mem::take(&mut self.reader.log);
        let highest = news.values().flatten().map(|(t, _)| *t).max().unwrap_or(0);
        self.reader.release(highest);
        for (name, all) in news {
            self.heard.entry(name).or_default().extend(all);
        }
        assert_eq!(self.reader.trouble, Vec::<String>::new());
        assert_eq!(self.heard, self.acknowledged);
    }

    fn restart(&mut self, close: bool) {
        // What was read is known to be read.
        self.read();
        let position = self.reader.position();
        self.open.iter_mut().for_each(|o| *o = None);
        // A process knows no references of the one before; those of series that never got into the log are given anew.
        self.refs = [SeriesRef::NONE; SERIES];
        if close {
            self.world.db.close().unwrap();
        }
        self.world.reopen();
        assert_eq!(self.world.db.replay_report().wal_repaired, None);
        assert_eq!(self.world.db.replay_report().unknown_series_samples, 0);
        self.reader = self.world.reader(Some(position));
    }
}

fn run(ops: Vec<Op>, from_memory: bool) {
    let mut m = Model::new(from_memory);
    for op in ops {
        match op {
            Op::Append { appender, series, ahead_ms, n, by_ref } => {
                m.append(appender, series, ahead_ms, n, by_ref);
            }
            Op::Commit(appender) => m.commit(appender),
            Op::Rollback(appender) => {
                if let Some((app, _)) = m.open[appender].take() {
                    app.rollback();
                }
            }
            Op::Pass(ms) => m.pass(ms),
            Op::Read => m.read(),
            Op::Kill => m.restart(false),
            Op::Close => m.restart(true),
        }
    }
    m.restart(false);
    m.read();
    let counted: BTreeMap<_, _> = m.heard.iter().map(|(name, all)| (name, all.len())).collect();
    assert_eq!(counted.values().sum::<usize>(), m.acknowledged.values().map(Vec::len).sum::<usize>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn everything_acknowledged_is_read_once_and_in_order(
        ops in prop::collection::vec(op(), 1..160),
        from_memory in any::<bool>(),
    ) {
        run(ops, from_memory);
    }
}
