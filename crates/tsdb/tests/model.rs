//! The database against a map, under random appends, commits, rollbacks, queries, upkeep, kills
//! and torn files.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use model::{Columns, Labels, SeriesRef};
use proptest::prelude::*;
use storage::{AppendError, Appender, Fs, Inline, ManualClock, MemFs, Querier, Queryable, SelectHints};
use tsdb::{Db, DbOptions, WalCompression};

const RANGE_MS: i64 = 10_000;
const SERIES: usize = 8;
const APPENDERS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    /// `n` samples `step_ms` apart, `ahead_ms` behind the newest of all, with values from `v`.
    Append {
        appender: usize,
        series: usize,
        ahead_ms: i64,
        step_ms: i64,
        n: usize,
        v: u64,
        by_ref: bool,
    },
    Commit(usize),
    Rollback(usize),
    Tick,
    Check,
    OpenQuery,
    CheckQuery,
    Kill,
    Close,
    /// Cut so many bytes off the end of the last file of a directory, and open that.
    Tear {
        chunks: bool,
        bytes: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let append = (0..APPENDERS, 0..SERIES, -3000i64..6000, 0i64..40, 1usize..80, any::<u64>(), any::<bool>());
    prop_oneof![
        10 => append.prop_map(|(appender, series, ahead_ms, step_ms, n, v, by_ref)| {
            Op::Append { appender, series, ahead_ms, step_ms, n, v, by_ref }
        }),
        5 => (0..APPENDERS).prop_map(Op::Commit),
        1 => (0..APPENDERS).prop_map(Op::Rollback),
        2 => Just(Op::Tick),
        1 => Just(Op::Check),
        1 => Just(Op::OpenQuery),
        1 => Just(Op::CheckQuery),
        1 => Just(Op::Kill),
        1 => Just(Op::Close),
        1 => (any::<bool>(), 1u64..3000).prop_map(|(chunks, bytes)| Op::Tear { chunks, bytes }),
    ]
}

type State = BTreeMap<String, BTreeMap<i64, u64>>;

fn labels(series: usize) -> Labels {
    let name = format!("m{}", series % 3);
    Labels::from_pairs([("__name__", name.as_str()), ("i", &series.to_string()), ("all", "yes")])
}

fn read(querier: &dyn Querier) -> State {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = querier.select(&hints, &[model::Matcher::equal("all", "yes")]).unwrap();
    let mut out = State::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        assert!(c.t.windows(2).all(|w| w[0] < w[1]));
        if !c.is_empty() {
            out.insert(
                set.labels(i).to_string(),
                c.t.into_iter().zip(c.v.into_iter().map(f64::to_bits)).collect(),
            );
        }
    }
    out
}

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
    /// The log has lost something that head chunks may still have.
    torn: bool,
    tx: [Option<Tx>; APPENDERS],
    refs: [SeriesRef; SERIES],
    queries: VecDeque<(Box<dyn Querier>, State)>,
}

fn open(fs: &MemFs) -> Db {
    let mut o = DbOptions::new("data", Arc::new(fs.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    o.wal_segment_bytes = 32 * 1024;
    o.wal_compression = WalCompression::Snappy;
    Db::open(o).unwrap()
}

impl World {
    fn new() -> Self {
        let fs = MemFs::new();
        let db = open(&fs);
        Self {
            fs,
            db,
            state: State::new(),
            now_ms: 1_000_000,
            tried_ms: i64::MIN,
            torn: false,
            tx: Default::default(),
            refs: [SeriesRef::NONE; SERIES],
            queries: VecDeque::new(),
        }
    }

    fn last(&self, series: usize) -> Option<(i64, u64)> {
        self.state.get(&labels(series).to_string())?.last_key_value().map(|(t, v)| (*t, *v))
    }

    fn append(&mut self, i: usize, series: usize, t: i64, v: u64, by_ref: bool) {
        let last = self.last(series);
        self.tried_ms = self.tried_ms.max(t);
        let Self { db, tx, refs, tried_ms, torn, .. } = self;
        let tx = tx[i].get_or_insert_with(|| Tx { appender: db.appender(), samples: Vec::new() });
        let value = f64::from_bits(v);
        let done = if by_ref && !refs[series].is_none() {
            tx.appender.append_known(refs[series], t, value)
        } else {
            tx.appender.append(refs[series], &labels(series), t, 0, value).map(|r| refs[series] = r)
        };
        match done {
            Ok(()) => tx.samples.push((series, t, v)),
            Err(AppendError::UnknownSeries) => assert!(by_ref, "labels were given"),
            Err(AppendError::OutOfBounds) => assert!(t < *tried_ms, "{t}"),
            Err(AppendError::OutOfOrder) => {
                assert!(last.is_some_and(|(end, _)| t < end || *torn && t == end));
            }
            Err(AppendError::DuplicateTimestamp(_)) => {
                assert!(last.is_some_and(|(end, was)| t == end && was != v))
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn commit(&mut self, i: usize) {
        let Some(tx) = self.tx[i].take() else { return };
        tx.appender.commit().unwrap();
        for (series, t, v) in tx.samples {
            if self.last(series).is_none_or(|(end, _)| t > end) {
                self.now_ms = self.now_ms.max(t);
                self.state.entry(labels(series).to_string()).or_default().insert(t, v);
            }
        }
    }

    fn check(&self) {
        let got = read(&*self.db.querier(i64::MIN, i64::MAX).unwrap());
        assert_same(&got, &self.state);
    }

    /// Opens a copy of the files as they are; everything in memory is lost.
    fn kill(&mut self, change: impl FnOnce(&MemFs)) {
        let fs = self.fs.snapshot();
        change(&fs);
        *self = Self {
            db: open(&fs),
            fs,
            state: std::mem::take(&mut self.state),
            now_ms: self.now_ms,
            tried_ms: self.tried_ms,
            torn: self.torn,
            tx: Default::default(),
            // A reference is good as long as the database is open.
            refs: [SeriesRef::NONE; SERIES],
            queries: VecDeque::new(),
        };
    }

    /// After bytes of the log were lost: what is there must be the beginning of what was there.
    fn accept_loss(&mut self, chunks: bool) {
        let got = read(&*self.db.querier(i64::MIN, i64::MAX).unwrap());
        for (labels, samples) in &got {
            let want = &self.state[labels];
            if chunks {
                // The log has samples that came too late behind chunks which only now are gone.
                continue;
            }
            assert!(samples.iter().all(|(t, v)| want.get(t) == Some(v)), "{labels}: never sent");
            assert!(samples.keys().eq(want.keys().take(samples.len())), "{labels}: not a prefix");
        }
        self.now_ms = got.values().flat_map(|s| s.keys()).max().copied().unwrap_or(1_000_000);
        self.state = got;
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Append { appender, series, ahead_ms, step_ms, n, v, by_ref } => {
                let start = self.now_ms + ahead_ms;
                for k in 0..n {
                    // Now and then a value comes twice.
                    self.append(
                        appender,
                        series,
                        start + step_ms * k as i64,
                        v.wrapping_add(k as u64 / 2),
                        by_ref,
                    );
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
            Op::Kill => {
                self.kill(|_| {});
                self.check();
            }
            Op::Close => {
                self.tx = Default::default();
                self.db.close().unwrap();
                self.kill(|_| {});
                self.check();
            }
            Op::Tear { chunks, bytes } => {
                let dir = Path::new(if chunks { "data/chunks_head" } else { "data/wal" });
                self.kill(|fs| {
                    let files = fs.read_dir(dir).unwrap_or_default();
                    if let Some(last) = files.iter().rfind(|e| !e.is_dir && e.len > 0) {
                        fs.set_len(&dir.join(&last.name), last.len.saturating_sub(bytes)).unwrap();
                    }
                });
                self.torn |= !chunks;
                if !self.torn {
                    self.check();
                } else {
                    self.accept_loss(chunks);
                }
            }
        }
    }
}

fn assert_same(got: &State, want: &State) {
    for (labels, samples) in want {
        let empty = BTreeMap::new();
        let mine = got.get(labels).unwrap_or(&empty);
        let lost: Vec<_> = samples.iter().filter(|(t, v)| mine.get(t) != Some(v)).take(3).collect();
        let new: Vec<_> = mine.iter().filter(|(t, _)| !samples.contains_key(t)).take(3).collect();
        assert!(lost.is_empty() && new.is_empty(), "{labels}: lost {lost:?}, never sent {new:?}");
    }
    assert!(got.keys().all(|k| want.contains_key(k)));
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
