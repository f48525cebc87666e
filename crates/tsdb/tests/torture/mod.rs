//! A database on a disk that fails, and what must be in it: a map of what was acknowledged, of what a
//! crash left in doubt, and of what was ever sent.
#![allow(dead_code)]

mod exemplars;
mod samples;
pub(crate) mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chunk::Encoding;
use model::{Matcher, Metadata, MetricType, SeriesRef};
use storage::spawn::Job;
use storage::{AppendError, Appender, Clock, Fs, HistogramValue, Inline, ManualClock, Spawn, StorageError};
use testkit::faults::{Crash, FaultFs};
use tsdb::{Db, DbOptions, DbSettings, WalCompression, WalSync};

use exemplars::Exemplars;
use samples::{Samples, Samplings, Value, compare, histogram, is_histogram, labels, read, start_of};
use script::{APPENDERS, Op, RANGE_MS, SERIES};

/// The ring has room for all exemplars of a run.
const EXEMPLARS: usize = 100_000;

/// Keeps what is to run in the background until it is told to.
#[derive(Default)]
pub(crate) struct Later(Mutex<Vec<Job>>);

impl Later {
    pub(crate) fn run(&self) {
        let jobs = std::mem::take(&mut *self.0.lock().unwrap());
        jobs.into_iter().for_each(|job| job());
    }
}

impl Spawn for Later {
    fn spawn(&self, job: Job) {
        self.0.lock().unwrap().push(job);
    }
    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        Inline.for_each(n, f);
    }
    fn parallelism(&self) -> usize {
        1
    }
}

/// How the database is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) sync: WalSync,
    pub(crate) compression: WalCompression,
    pub(crate) snapshot_on_close: bool,
    /// How far behind samples may come, 0 for not at all. The run changes it, unless it is 0.
    pub(crate) window_ms: i64,
    /// Whether start timestamps and metadata are kept.
    pub(crate) starts: bool,
}

struct Tx {
    appender: Box<dyn Appender>,
    samples: Vec<(usize, i64, Value)>,
    exemplars: Vec<exemplars::Pending>,
    /// Whether it takes late samples.
    late: bool,
    /// Where series end that others have committed to since it began, deleted samples included.
    overtaken: BTreeMap<usize, i64>,
}

/// A commit and where the log ended behind it: segment and bytes.
struct Logged {
    samples: Vec<(usize, i64, Value)>,
    end: (u32, u64),
}

/// What a crash in the middle of something leaves open.
enum Doubt {
    /// All of these are there, or none; each for itself if late ones may be among them.
    Commit { samples: Vec<(usize, i64, Value)>, late: bool },
    /// Each of these is there or not.
    Deletion(Vec<(usize, i64)>),
}

pub(crate) struct World {
    pub(crate) fs: FaultFs,
    pub(crate) setup: Setup,
    clock: Arc<ManualClock>,
    later: Arc<Later>,
    db: Option<Db>,
    /// Acknowledged, not deleted, and not past retention where that has taken it.
    must: Samplings,
    /// Of two values at one time of a series, either; late samples where something was deleted before.
    maybe: BTreeSet<(usize, i64, Value)>,
    /// Series, or all, and the span of what has been deleted.
    deleted: Vec<(Option<usize>, i64, i64)>,
    doubts: Vec<Doubt>,
    exemplars: Exemplars,
    settings: DbSettings,
    /// Whatever was in a commit.
    sent: BTreeSet<(usize, i64, Value)>,
    log: Vec<Logged>,
    /// Samples before this may go by retention.
    horizon_ms: i64,
    now_ms: i64,
    tx: [Option<Tx>; APPENDERS],
    snapshots: Vec<(PathBuf, Samplings, bool)>,
    snapshots_made: usize,
    /// Where blocks ended when last looked.
    blocks_end_ms: i64,
    /// The log has lost something that head chunks may still have.
    torn: bool,
    logged_lines: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// An empty database on a disk without faults.
    pub(crate) fn new(setup: Setup) -> Self {
        let fs = FaultFs::new();
        fs.create_dir_all(Path::new("data")).unwrap();
        fs.settle();
        let mut settings = DbSettings::default();
        (settings.out_of_order_window_ms, settings.exemplars_max) = (setup.window_ms, EXEMPLARS);
        let mut world = Self {
            fs,
            settings,
            exemplars: Exemplars::new(EXEMPLARS),
            maybe: BTreeSet::new(),
            deleted: Vec::new(),
            setup,
            clock: Arc::new(ManualClock::new(1_700_000_000_000)),
            later: Arc::default(),
            db: None,
            must: Samplings::new(),
            doubts: Vec::new(),
            sent: BTreeSet::new(),
            log: Vec::new(),
            horizon_ms: i64::MIN,
            now_ms: 1_000_000,
            tx: Default::default(),
            snapshots: Vec::new(),
            snapshots_made: 0,
            blocks_end_ms: i64::MIN,
            torn: false,
            logged_lines: Arc::default(),
        };
        world.open().unwrap();
        world
    }

    fn options(&self) -> DbOptions {
        let spawn: Arc<dyn Spawn> = self.later.clone();
        let clock: Arc<dyn Clock> = self.clock.clone();
        let mut o = DbOptions::new("data", Arc::new(self.fs.clone()), clock, spawn);
        o.min_block_duration_ms = RANGE_MS;
        o.wal_segment_bytes = 32 * 1024;
        o.wal_compression = self.setup.compression;
        o.wal_sync = self.setup.sync;
        o.snapshot_on_close = self.setup.snapshot_on_close;
        (o.start_timestamps, o.metadata_records) = (self.setup.starts, self.setup.starts);
        o.settings = self.settings.clone();
        let lines = self.logged_lines.clone();
        o.log = Some(Arc::new(move |_, text| lines.lock().unwrap().push(text.to_owned())));
        o
    }

    /// Opens the database.
    pub(crate) fn open(&mut self) -> Result<(), StorageError> {
        self.tx = Default::default();
        self.db = None;
        self.db = Some(Db::open(self.options())?);
        Ok(())
    }

    pub(crate) fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.logged_lines.lock().unwrap().clone()
    }

    fn last(&self, series: usize) -> Option<i64> {
        self.must.get(&series)?.last_key_value().map(|(t, _)| *t)
    }

    /// Does one step. An error is one that a fault has caused, or a failure of the test.
    pub(crate) fn run(&mut self, op: &Op) -> Result<(), StorageError> {
        let done = self.run_op(op);
        if self.now_ms % 2 == 0 {
            self.later.run();
        }
        self.clock.advance_ms(61_000);
        done
    }

    /// Closes the database; the files stay.
    pub(crate) fn close(&mut self) {
        self.tx = Default::default();
        self.later.run();
        self.db().close().unwrap();
    }

    /// Whether the database is open: a fault may have kept it from opening.
    pub(crate) fn is_open(&self) -> bool {
        self.db.is_some()
    }

    fn run_op(&mut self, op: &Op) -> Result<(), StorageError> {
        if self.db.is_none() {
            self.open()?;
            self.verify("opened at last");
            return Ok(());
        }
        match op {
            Op::Append { appender, series, ahead_ms, step_ms, n, v } => {
                let (mut start, mut step_ms) = (self.now_ms + ahead_ms, *step_ms);
                if self.setup.window_ms > 0 && v.is_multiple_of(3) {
                    start -= (v >> 8) as i64 % (self.setup.window_ms + RANGE_MS);
                    step_ms *= if v.is_multiple_of(2) { -1 } else { 5 };
                }
                for k in 0..*n {
                    // Now and then a value comes twice.
                    let v = v.wrapping_add(k as u64 / 2);
                    self.append(*appender, *series, start + step_ms * k as i64, v);
                }
                Ok(())
            }
            Op::Commit(i) => self.commit(*i),
            Op::Rollback(i) => {
                if let Some(tx) = self.tx[*i].take() {
                    tx.appender.rollback();
                }
                Ok(())
            }
            Op::Tick => self.tick(),
            Op::Delete { series, ago_ms, length_ms } => self.delete(*series, *ago_ms, *length_ms),
            Op::Clean => self.db().clean_tombstones(),
            Op::Snapshot { with_head } => self.snapshot(*with_head),
            Op::Retention(ms) => {
                self.settings.retention_ms = *ms;
                self.db().apply(self.settings.clone())
            }
            Op::Settings(bits) => {
                let mut settings = self.settings.clone();
                let window_ms = self.setup.window_ms;
                settings.out_of_order_window_ms = [window_ms, window_ms / 2, 0][bits % 3];
                settings.exemplars_max = if bits / 3 % 4 == 0 { 0 } else { EXEMPLARS };
                settings.float_encoding = [Encoding::Xor, Encoding::Xor2][bits / 12 % 2];
                self.db().apply(settings.clone())?;
                self.exemplars.resized(settings.exemplars_max);
                self.settings = settings;
                Ok(())
            }
            Op::Check => {
                self.check();
                Ok(())
            }
            Op::Reopen => {
                self.tx = Default::default();
                self.later.run();
                let closed = self.db().close();
                if self.fs.is_down() {
                    return closed;
                }
                self.open()?;
                self.verify("after closing");
                closed
            }
        }
    }

    fn append(&mut self, i: usize, series: usize, t: i64, v: u64) {
        let Some(db) = &self.db else { return };
        let late = self.settings.out_of_order_window_ms > 0;
        let tx = self.tx[i].get_or_insert_with(|| Tx {
            appender: db.appender(),
            samples: Vec::new(),
            exemplars: Vec::new(),
            late,
            overtaken: BTreeMap::new(),
        });
        let k = (v % 1000) as u16;
        let (labels, st) = (labels(series), start_of(series, t));
        let (value, done) = if is_histogram(series) {
            let (h, value) = (histogram(k), Value::Histogram(k));
            let float = h.to_float();
            let h = if series.is_multiple_of(2) {
                HistogramValue::Integer(&h)
            } else {
                HistogramValue::Float(&float)
            };
            (value, tx.appender.append_histogram(SeriesRef::NONE, &labels, t, st, h))
        } else {
            let v = f64::from_bits(if v.is_multiple_of(2) { v } else { f64::from(k).to_bits() });
            (Value::Float(v.to_bits()), tx.appender.append(SeriesRef::NONE, &labels, t, st, v))
        };
        match done {
            Ok(_) => {
                tx.samples.push((series, t, value));
                tx.exemplars.extend(self.exemplars.append(&mut *tx.appender, (series, t), v));
                if v.is_multiple_of(32) {
                    let metadata = Metadata {
                        kind: MetricType::Gauge,
                        unit: String::new(),
                        help: format!("the {}th", v % 5),
                    };
                    tx.appender.update_metadata(SeriesRef::NONE, &labels, &metadata).unwrap();
                }
            }
            Err(
                AppendError::OutOfBounds
                | AppendError::OutOfOrder
                | AppendError::DuplicateTimestamp(_)
                | AppendError::TooOld
                | AppendError::ReadOnly(_),
            ) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn commit(&mut self, i: usize) -> Result<(), StorageError> {
        let Some(tx) = self.tx[i].take() else { return Ok(()) };
        // Of what another appender has overtaken nothing is kept, unless out-of-order samples are.
        let mut ends: BTreeMap<usize, i64> = BTreeMap::new();
        let mut taken: BTreeMap<(usize, i64), Value> = BTreeMap::new();
        let (mut doubtful, mut in_order) = (Vec::new(), BTreeSet::new());
        for (series, t, v) in tx.samples {
            self.sent.insert((series, t, v));
            let end = *ends.entry(series).or_insert_with(|| {
                let last = self.last(series).unwrap_or(i64::MIN);
                tx.overtaken.get(&series).map_or(last, |end| last.max(*end))
            });
            let there = taken.contains_key(&(series, t))
                || self.must.get(&series).is_some_and(|samples| samples.contains_key(&t));
            if tx.late && (there || t <= end && self.was_deleted(series, t)) {
                doubtful.push((series, t, v));
            } else if tx.late || t > end {
                if t > end {
                    in_order.insert((series, t));
                }
                taken.insert((series, t), v);
                ends.insert(series, t.max(end));
            }
        }
        let taken: Vec<_> = taken.into_iter().map(|((series, t), v)| (series, t, v)).collect();
        self.maybe.extend(doubtful);
        let done = tx.appender.commit();
        self.exemplars.committed(tx.exemplars, done.is_ok());
        if let Err(e) = done {
            self.doubts.push(Doubt::Commit { samples: taken, late: tx.late });
            return Err(e);
        }
        let now_ms = self.now_ms;
        for (series, t, v) in &taken {
            self.now_ms = self.now_ms.max(*t);
            self.must.entry(*series).or_default().insert(*t, *v);
            for other in self.tx.iter_mut().flatten() {
                let end = other.overtaken.entry(*series).or_insert(*t);
                *end = (*end).max(*t);
            }
        }
        // Those that are certainly not in the log of late samples.
        let sure = |s: usize, t: i64| !tx.late || t > now_ms && in_order.contains(&(s, t));
        let samples = taken.into_iter().filter(|(s, t, _)| sure(*s, *t)).collect();
        self.log.push(Logged { samples, end: self.log_end() });
        Ok(())
    }

    fn was_deleted(&self, series: usize, t: i64) -> bool {
        let of = |s: &Option<usize>| s.is_none_or(|s| s == series);
        self.deleted.iter().any(|(s, min_ms, max_ms)| of(s) && (*min_ms..=*max_ms).contains(&t))
    }

    /// What must be there, with the value or sample that `got` shows where another one may be.
    fn wanted(&self, got: &Samplings, mut want: Samplings) -> Samplings {
        for (series, t, v) in &self.maybe {
            if got.get(series).and_then(|s| s.get(t)) == Some(v) {
                want.entry(*series).or_default().insert(*t, *v);
            }
        }
        want
    }

    fn read(&self, db: &Db) -> Result<Samplings, StorageError> {
        read(db, self.setup.starts)
    }

    /// The last segment of the log and its length.
    fn log_end(&self) -> (u32, u64) {
        if self.fs.is_down() {
            // It went down right behind the commit: whatever was durable then was so before.
            return (u32::MAX, 0);
        }
        let entries = self.fs.read_dir(Path::new("data/wal")).unwrap_or_default();
        entries.iter().filter_map(|e| Some((e.name.parse().ok()?, e.len))).max().unwrap_or_default()
    }

    fn tick(&mut self) -> Result<(), StorageError> {
        let retention_ms = self.settings.retention_ms;
        if retention_ms > 0 {
            self.horizon_ms = self.horizon_ms.max(self.now_ms.saturating_add(RANGE_MS) - retention_ms);
        }
        let done = self.db().tick();
        if !self.fs.is_down() {
            self.forget_expired();
        }
        done
    }

    /// Notes what retention has taken, and where blocks end.
    fn forget_expired(&mut self) {
        self.blocks_end_ms = self.db().blocks().iter().map(|b| b.max_ms).max().unwrap_or(i64::MIN);
        let Ok(got) = self.read(self.db()) else { return };
        let horizon_ms = self.horizon_ms;
        for (series, samples) in &mut self.must {
            let there = got.get(series);
            samples.retain(|t, _| *t >= horizon_ms || there.is_some_and(|s| s.contains_key(t)));
        }
        self.must.retain(|_, samples| !samples.is_empty());
    }

    fn delete(&mut self, series: Option<usize>, ago_ms: i64, length_ms: i64) -> Result<(), StorageError> {
        let (min_ms, max_ms) = (self.now_ms - ago_ms, self.now_ms - ago_ms + length_ms);
        let matcher = series.map_or(Matcher::equal("all", "yes"), |i| Matcher::equal("i", i.to_string()));
        let mut gone = Vec::new();
        for (i, samples) in self.must.iter().filter(|(i, _)| series.is_none_or(|s| s == **i)) {
            gone.extend(samples.range(min_ms..=max_ms).map(|(t, _)| (*i, *t)));
        }
        self.deleted.push((series, min_ms, max_ms.min(self.now_ms)));
        if let Err(e) = self.db().delete(min_ms, max_ms, &[matcher]) {
            self.doubts.push(Doubt::Deletion(gone));
            return Err(e);
        }
        for (i, t) in gone {
            self.must.get_mut(&i).map(|s| s.remove(&t));
        }
        self.must.retain(|_, samples| !samples.is_empty());
        Ok(())
    }

    fn snapshot(&mut self, with_head: bool) -> Result<(), StorageError> {
        self.snapshots_made += 1;
        let dir = PathBuf::from(format!("data/snapshots/{}", self.snapshots_made));
        self.db().snapshot(&dir, with_head)?;
        self.snapshots.push((dir, self.must.clone(), with_head));
        Ok(())
    }

    /// While the database runs a query sees what was acknowledged, neither more nor less.
    pub(crate) fn check(&mut self) {
        let got = self.read(self.db()).unwrap();
        let deletions: BTreeSet<(usize, i64)> = self.deletions();
        let want = self.wanted(&got, self.must.clone());
        self.exemplars.check(self.db());
        // Where the log of late samples has failed, the rest of a commit is in the other log and is seen.
        let part = |sample: &(usize, i64, Value)| {
            self.doubts
                .iter()
                .any(|d| matches!(d, Doubt::Commit { samples, late: true } if samples.contains(sample)))
        };
        let may_have = |s, t, v| part(&(s, t, v));
        compare(&got, &want, |s, t| deletions.contains(&(s, t)), may_have, "while it runs");
    }

    fn deletions(&self) -> BTreeSet<(usize, i64)> {
        let each = self.doubts.iter().filter_map(|d| match d {
            Doubt::Deletion(list) => Some(list),
            Doubt::Commit { .. } => None,
        });
        each.flatten().copied().collect()
    }

    /// Goes down as `crash` says, comes up again without faults and checks what is there; goes on
    /// from that.
    pub(crate) fn crash(&mut self, crash: Crash, seed: u64) {
        let (kept_log, gap) = self.kept_log();
        let fs = self.fs.after(crash, seed);
        self.tx = Default::default();
        self.db = None;
        self.later = Arc::default();
        self.fs = fs;
        if let Err(e) = self.open() {
            panic!("it does not open: {e}");
        }
        if crash == Crash::Kill || self.setup.sync == WalSync::Commit {
            self.verify("after the crash");
        } else {
            self.verify_lossy(&kept_log, gap);
        }
        self.verify_snapshots();
    }

    /// Which commits a loss of power cannot take now, by the length of the log that is on the disk; and
    /// whether it can take some and leave others behind them: a segment is complete and not yet synced.
    fn kept_log(&self) -> (BTreeSet<(usize, i64, Value)>, bool) {
        let dir = Path::new("data/wal");
        let entries = self.fs.after(Crash::Kill, 0).read_dir(dir).unwrap_or_default();
        let (mut end, mut gap) = ((0, 0), None);
        for e in entries.iter().filter(|e| !e.is_dir) {
            let Ok(number) = e.name.parse::<u32>() else { continue };
            if gap.is_some() {
                gap = Some(true);
                break;
            }
            let durable = self.fs.durable_len(&dir.join(&e.name));
            end = (number, durable.unwrap_or(0));
            gap = (durable != Some(e.len)).then_some(false);
        }
        let kept = self.log.iter().filter(|l| l.end <= end).flat_map(|l| l.samples.iter().copied());
        (kept.collect(), gap == Some(true))
    }

    /// All that was acknowledged is there; what was under way is there as a whole or not at all.
    fn verify(&mut self, when: &str) {
        let got = match self.read(self.db()) {
            Ok(got) => got,
            Err(e) => panic!("{when}: {e}"),
        };
        let mut allowed: BTreeSet<(usize, i64, Value)> = BTreeSet::new();
        for doubt in &self.doubts {
            let Doubt::Commit { samples, late } = doubt else { continue };
            let has = |(s, t, v): &&(usize, i64, Value)| got.get(s).and_then(|x| x.get(t)) == Some(v);
            // Each kind of sample is a record of its own in the log; a record is there or not.
            for kind in [(false, false), (true, false), (true, true)] {
                let of_kind = || {
                    samples.iter().filter(|(series, ..)| {
                        let histogram = is_histogram(*series);
                        (histogram, histogram && series.is_multiple_of(2)) == kind
                    })
                };
                let (there, all) = (of_kind().filter(has).count(), of_kind().count());
                assert!(
                    *late || there == 0 || there == all || of_kind().any(|(_, t, _)| *t < self.horizon_ms),
                    "{when}: {there} of {all} samples of a commit's record",
                );
            }
            allowed.extend(samples.iter().filter(has));
        }
        let deletions = self.deletions();
        let horizon_ms = self.horizon_ms;
        let sent = &self.sent;
        let want = self.wanted(&got, self.must.clone());
        let late = self.setup.window_ms > 0;
        compare(
            &got,
            &want,
            |s, t| t < horizon_ms || deletions.contains(&(s, t)),
            |s, t, v| {
                // Deleted in a block, and still in a chunk of late samples that the head finds again.
                let returns = late && self.was_deleted(s, t);
                allowed.contains(&(s, t, v)) || (t < horizon_ms || returns) && sent.contains(&(s, t, v))
            },
            when,
        );
        let mut exemplars = std::mem::take(&mut self.exemplars);
        exemplars.verify(self.db(), true, when);
        self.exemplars = exemplars;
        self.adopt(got);
    }

    /// After a loss of power with a log that is synced now and then: nothing that was never sent, and
    /// of each series the beginning of what was acknowledged, with all that the disk had.
    fn verify_lossy(&mut self, kept: &BTreeSet<(usize, i64, Value)>, gap: bool) {
        let got = self.read(self.db()).unwrap_or_else(|e| panic!("{e}"));
        let deletions = self.deletions();
        for (series, samples) in &got {
            for (t, v) in samples {
                assert!(self.sent.contains(&(*series, *t, *v)), "{series} {t}: never sent");
            }
        }
        let late = self.setup.window_ms > 0;
        for (series, samples) in &self.wanted(&got, self.must.clone()) {
            let empty = Samples::new();
            let mine = got.get(series).unwrap_or(&empty);
            let mut lost = None;
            for (t, v) in samples.iter().filter(|(t, _)| **t >= self.horizon_ms) {
                if deletions.contains(&(*series, *t)) {
                    continue;
                }
                if mine.get(t) == Some(v) {
                    assert!(lost.is_none() || late || gap, "{series}: {lost:?} lost, {t} not");
                    continue;
                }
                lost.get_or_insert(*t);
                assert!(!kept.contains(&(*series, *t, *v)), "{series} {t}: the log on disk had it");
                assert!(late || *t >= self.blocks_end_ms, "{series} {t}: a block had it");
            }
        }
        self.torn = true;
        let mut exemplars = std::mem::take(&mut self.exemplars);
        exemplars.verify(self.db(), false, "after the crash");
        self.exemplars = exemplars;
        self.adopt(got);
    }

    fn verify_snapshots(&mut self) {
        for (dir, want, with_head) in std::mem::take(&mut self.snapshots) {
            let mut o = self.options();
            o.dir = dir.clone();
            o.settings.retention_ms = 0;
            let db = Db::open(o).unwrap_or_else(|e| panic!("snapshot {}: {e}", dir.display()));
            let got = self.read(&db).unwrap();
            let want = self.wanted(&got, want);
            let when = format!("snapshot {}", dir.display());
            compare(&got, &want, |_, _| !with_head, |_, _, _| false, &when);
            db.close().unwrap();
        }
    }

    /// Opens a damaged copy of the files and says what came of it. Every sample it shows was sent.
    pub(crate) fn judge_damage(&self, fs: FaultFs) -> &'static str {
        let mut o = self.options();
        o.fs = Arc::new(fs);
        let lines = self.lines().len();
        let db = match Db::open(o) {
            Ok(db) => db,
            Err(e) => {
                assert!(
                    e.to_string().contains("data/") || e.to_string().contains("block"),
                    "names no file: {e}"
                );
                return "refused";
            }
        };
        let said = self.lines().len() > lines;
        let got = match self.read(&db) {
            Ok(got) => got,
            Err(e) => {
                assert!(e.to_string().contains("data/"), "names no file: {e}");
                return "query refused";
            }
        };
        for (series, samples) in &got {
            for (t, v) in samples {
                assert!(self.sent.contains(&(*series, *t, *v)), "{series} {t}: never sent");
            }
        }
        let lost = self.wanted(&got, self.must.clone()).iter().any(|(series, samples)| {
            samples.iter().any(|(t, v)| got.get(series).and_then(|s| s.get(t)) != Some(v))
        });
        // What a torn end of the log had and nobody can know of is lost in silence.
        match (lost, said) {
            (false, false) => "unharmed",
            (false, true) => "repaired without loss",
            (true, true) => "repaired with loss",
            (true, false) => "lost in silence",
        }
    }

    fn adopt(&mut self, got: Samplings) {
        // The other one of two values may be seen again.
        for (series, samples) in &self.must {
            let other =
                |(t, v): &(&i64, &Value)| got.get(series).and_then(|s| s.get(t)).is_some_and(|g| g != *v);
            self.maybe.extend(samples.iter().filter(other).map(|(t, v)| (*series, *t, *v)));
        }
        self.must = got;
        self.doubts.clear();
        self.log.clear();
        self.now_ms =
            self.must.values().filter_map(|s| s.keys().last()).max().copied().unwrap_or(self.now_ms);
        self.blocks_end_ms = self.db().blocks().iter().map(|b| b.max_ms).max().unwrap_or(i64::MIN);
    }

    /// The database works: it takes samples, cuts blocks, and has all of it after the next start.
    pub(crate) fn goes_on(&mut self, seed: u64) {
        for round in 0..3 {
            for series in 0..SERIES {
                self.append(0, series, self.now_ms + 1 + RANGE_MS / 2 * round, seed + round as u64);
            }
            self.commit(0).unwrap();
            self.tick().unwrap();
        }
        self.check();
        self.run_op(&Op::Reopen).unwrap();
    }
}
