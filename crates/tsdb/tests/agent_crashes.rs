//! An agent on a disk that goes down at a chosen step: by a kill of the process, a loss of power, or an error of the
//! system. After the next start a reader that goes on where it stopped hears all that was acknowledged, and nothing that
//! was never sent. `NARTHEX_TORTURE=seeds[:first]` takes every step of so many seeds.
#![allow(clippy::unwrap_used)]

mod agent_world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use agent_world::{Reader, SEGMENT_BYTES, Value, labels};
use model::SeriesRef;
use storage::{Clock, Inline, ManualClock, StorageError};
use testkit::faults::{Crash, Fault, FaultFs, Outcome};
use testkit::series::Noise;
use tsdb::WalSync;
use tsdb::agent::{AgentDb, AgentOptions};
use tsdb::tail::TailPosition;

const OPS: usize = 60;
const SERIES: u64 = 20;

/// A series, a time and a value, which no other sample has.
type Sample = (String, i64, u64);

struct Run {
    fs: FaultFs,
    clock: Arc<ManualClock>,
    sync: WalSync,
    from_memory: bool,
    db: Option<AgentDb>,
    reader: Option<Reader>,
    /// Where the reader stopped, and what it heard up to there.
    position: TailPosition,
    heard: BTreeSet<Sample>,
    sent: BTreeSet<Sample>,
    acknowledged: BTreeSet<Sample>,
    noise: Noise,
    value: u64,
}

impl Run {
    fn new(seed: u64, sync: WalSync) -> Self {
        let mut run = Self {
            fs: FaultFs::new(),
            clock: Arc::new(ManualClock::new(1_000_000)),
            sync,
            from_memory: seed.is_multiple_of(2),
            db: None,
            reader: None,
            position: TailPosition::default(),
            heard: BTreeSet::new(),
            sent: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            noise: Noise::new(seed),
            value: 0,
        };
        run.open().unwrap();
        // The data directory itself has been there for a while.
        run.fs.settle();
        run
    }

    fn open(&mut self) -> Result<(), StorageError> {
        let fs = Arc::new(self.fs.clone());
        let mut options = AgentOptions::new("data", fs, self.clock.clone(), Arc::new(Inline));
        options.wal_sync = self.sync;
        options.wal_segment_bytes = SEGMENT_BYTES;
        options.truncate_frequency_ms = 1000;
        options.min_wal_ms = 300;
        options.max_wal_ms = 1 << 40;
        options.checkpoint_from_memory = self.from_memory;
        let db = AgentDb::open(options)?;
        self.reader = Some(Reader::new(db.tail(Some(self.position))?));
        self.db = Some(db);
        Ok(())
    }

    fn append(&mut self) -> Result<(), StorageError> {
        let Some(db) = &self.db else { return Ok(()) };
        let mut app = db.appender();
        let mut batch = Vec::new();
        for _ in 0..200 + self.noise.below(200) {
            let name = format!("s{}", self.noise.below(SERIES));
            let t = self.clock.now_ms() + self.noise.below(50) as i64;
            self.value += 1;
            // Noise in the low bits, so that the log does not compress it away.
            let v = f64::from_bits(self.value << 32 | self.noise.next_bits() >> 32);
            let series = labels(&name);
            if app.append(SeriesRef::NONE, &series, t, 0, v).is_ok() {
                batch.push((series.to_string(), t, v.to_bits()));
            }
        }
        self.sent.extend(batch.iter().cloned());
        app.commit()?;
        self.acknowledged.extend(batch);
        Ok(())
    }

    /// The reader hears what there is; what it hears is in its position, or it is not.
    fn read(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.read();
        let news = std::mem::take(&mut reader.log);
        let highest = news.values().flatten().map(|(t, _)| *t).max().unwrap_or(0);
        for (name, all) in news {
            let samples = all.into_iter().map(|(t, v)| match v {
                Value::Float(v) => (name.clone(), t, v.to_bits()),
                other => panic!("{other:?}"),
            });
            self.heard.extend(samples);
        }
        reader.release(highest);
        self.position = reader.position();
        assert!(self.heard.is_subset(&self.sent), "heard what was never sent");
    }

    fn step(&mut self, op: u64) -> Result<(), StorageError> {
        match op {
            0..=5 => self.append(),
            6 | 7 => {
                self.clock.advance_ms(700);
                self.db.as_ref().map_or(Ok(()), AgentDb::tick)
            }
            8 => {
                if !self.fs.is_down() {
                    self.read();
                }
                Ok(())
            }
            _ => {
                self.reader = None;
                if let Some(db) = self.db.take() {
                    db.close()?;
                }
                self.open()
            }
        }
    }

    /// Runs to the end, until the machine is down, or to the first error.
    fn script(&mut self) -> u64 {
        for _ in 0..OPS {
            let op = self.noise.below(10);
            let done = self.step(op);
            if self.fs.is_down() {
                break;
            }
            if let Err(e) = done {
                assert!(self.fs.failed().is_some(), "without a fault: {op}: {e}");
                break;
            }
        }
        self.fs.steps()
    }

    fn crash(&mut self, crash: Crash, seed: u64) {
        (self.db, self.reader) = (None, None);
        self.fs = self.fs.after(crash, seed);
        let before = self.position;
        self.open().unwrap();
        self.read();
        let report = self.db.as_ref().unwrap().replay_report().clone();
        let trouble = self.reader.as_ref().map(|r| r.trouble.clone()).unwrap_or_default();
        let keeps = crash == Crash::Kill || self.sync == WalSync::Commit;
        let missing: Vec<_> = self.acknowledged.difference(&self.heard).collect();
        assert!(
            !keeps || missing.is_empty(),
            "{} of {} from {before:?} on: {missing:?}, {trouble:?}, {report:?}, {:?}",
            missing.len(),
            self.acknowledged.len(),
            self.fs.paths(),
        );
        // What was lost with the power is lost.
        self.acknowledged.clone_from(&self.heard);
        for _ in 0..3 {
            self.append().unwrap();
            self.clock.advance_ms(1000);
            self.db.as_ref().unwrap().tick().unwrap();
            self.read();
        }
        assert!(self.acknowledged.is_subset(&self.heard), "nothing is lost afterwards");
        self.db.as_ref().unwrap().close().unwrap();
    }
}

fn each_step(short: u64, points: u64, sync: WalSync, outcome: Outcome, crash: Crash) {
    let full = std::env::var("NARTHEX_TORTURE").ok();
    let seeds = match &full {
        None => 1..1 + short,
        Some(text) => {
            let (count, first) = text.split_once(':').unwrap_or((text, "1"));
            let first: u64 = first.parse().unwrap();
            first..first + count.parse::<u64>().unwrap()
        }
    };
    for seed in seeds {
        let mut run = Run::new(seed, sync);
        run.fs.plan(None);
        let steps = run.script();
        run.crash(Crash::Kill, 0);
        let mut noise = Noise::new(seed ^ 0xfa17);
        let chosen: Vec<u64> = match full {
            Some(_) => (0..steps).collect(),
            None => (0..points).map(|_| noise.below(steps)).collect(),
        };
        for at in chosen {
            let done = catch_unwind(AssertUnwindSafe(|| {
                let mut run = Run::new(seed, sync);
                run.fs.plan(Some(Fault { at, outcome, seed: seed * 1000 + at }));
                run.script();
                run.crash(crash, at);
            }));
            assert!(done.is_ok(), "seed {seed}, step {at} of {steps}, {sync:?}, {outcome:?}, {crash:?}");
        }
    }
}

#[test]
fn killed_at_any_step() {
    each_step(4, 40, WalSync::Segment, Outcome::Crash, Crash::Kill);
}

#[test]
fn power_lost_at_any_step() {
    each_step(2, 30, WalSync::Commit, Outcome::Crash, Crash::Power);
    each_step(2, 20, WalSync::Segment, Outcome::Crash, Crash::Power);
    each_step(2, 20, WalSync::Segment, Outcome::Crash, Crash::PowerUnordered);
}

#[test]
fn any_step_fails() {
    each_step(2, 30, WalSync::Segment, Outcome::FailOnce, Crash::Kill);
    each_step(2, 20, WalSync::Segment, Outcome::FailFromNow, Crash::Kill);
}
