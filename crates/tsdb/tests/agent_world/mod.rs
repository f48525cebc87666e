//! An agent's database in memory, and what its log says, read as a sender reads it.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::{Labels, SeriesRef};
use storage::{AppendError, Fs, Inline, ManualClock};
use tsdb::agent::{AgentDb, AgentOptions};
use tsdb::tail::{OwnedHistogram, Tail, TailItem, TailPosition};

pub(crate) const SEGMENT_BYTES: u64 = 32 * 1024;

/// What a sample was: for a histogram its count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Float(f64),
    Histogram(f64),
    Exemplar(f64),
}

/// Times and values by series, in the order of the log.
pub(crate) type Log = BTreeMap<String, Vec<(i64, Value)>>;

/// A reader of the log and what it has heard.
pub(crate) struct Reader {
    tail: Tail,
    names: BTreeMap<u64, String>,
    pub(crate) log: Log,
    pub(crate) starts: Vec<i64>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) trouble: Vec<String>,
}

impl Reader {
    pub(crate) fn new(tail: Tail) -> Self {
        Self {
            tail,
            names: BTreeMap::new(),
            log: Log::new(),
            starts: Vec::new(),
            metadata: BTreeMap::new(),
            trouble: Vec::new(),
        }
    }

    /// Reads to the end of the log.
    pub(crate) fn read(&mut self) {
        loop {
            let names = &self.names;
            let item = self.tail.next(&|series| names.contains_key(&series)).unwrap();
            let mut put = |series: u64, t: i64, v: Value| {
                let name = self.names.get(&series).unwrap_or_else(|| panic!("{series} at {t} has no name"));
                self.log.entry(name.clone()).or_default().push((t, v));
            };
            match item {
                TailItem::End => return,
                TailItem::Series(_, all) => {
                    self.names.extend(all.into_iter().map(|(r, labels)| (r, labels.to_string())));
                }
                TailItem::Samples(all, starts) => {
                    all.iter().for_each(|s| put(s.series, s.t, Value::Float(s.v)));
                    self.starts.extend(starts);
                }
                TailItem::Histograms(all) => all.iter().for_each(|h| {
                    let count = match &h.h {
                        OwnedHistogram::Integer(h) => h.count as f64,
                        OwnedHistogram::Float(h) => h.count,
                    };
                    put(h.series, h.t, Value::Histogram(count));
                }),
                TailItem::Exemplars(all) => {
                    all.iter().for_each(|e| put(e.series, e.t, Value::Exemplar(e.v)));
                }
                TailItem::Metadata(all) => {
                    let named = |(r, m): (u64, model::Metadata)| (self.names[&r].clone(), m.help);
                    self.metadata.extend(all.into_iter().map(named));
                }
                TailItem::Trouble(why) => self.trouble.push(why),
                TailItem::Kept(..) | TailItem::Forget(_) | TailItem::Pause => {}
            }
        }
    }

    pub(crate) fn position(&self) -> TailPosition {
        self.tail.position()
    }

    /// Everything that has been read is done with, up to the time `t`.
    pub(crate) fn release(&self, t: i64) {
        self.tail.sent(t);
        self.tail.release(self.tail.position());
    }
}

pub(crate) struct World {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) options: AgentOptions,
    pub(crate) db: AgentDb,
}

impl World {
    pub(crate) fn new(fs: Arc<dyn Fs>, change: impl FnOnce(&mut AgentOptions)) -> Self {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let mut options = AgentOptions::new("data", fs.clone(), clock.clone(), Arc::new(Inline));
        options.wal_segment_bytes = SEGMENT_BYTES;
        options.truncate_frequency_ms = 1000;
        options.min_wal_ms = 100;
        options.max_wal_ms = 10_000;
        change(&mut options);
        let db = AgentDb::open(options.clone()).unwrap();
        Self { fs, clock, options, db }
    }

    /// As after a kill of the process.
    pub(crate) fn reopen(&mut self) {
        // The lock is the process'.
        self.options.no_lockfile = true;
        self.db = AgentDb::open(self.options.clone()).unwrap();
    }

    /// Appends one sample in a transaction of its own.
    pub(crate) fn append(&self, name: &str, t: i64, v: f64) -> Result<SeriesRef, AppendError> {
        let mut app = self.db.appender();
        let done = app.append(SeriesRef::NONE, &labels(name), t, 0, v);
        app.commit().unwrap();
        done
    }

    pub(crate) fn reader(&self, from: Option<TailPosition>) -> Reader {
        Reader::new(self.db.tail(from).unwrap())
    }

    /// What the segments of the log say, from the first that is there on.
    pub(crate) fn log(&self) -> Log {
        let mut reader = self.reader(Some(TailPosition::default()));
        reader.read();
        reader.log
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        let all = self.db.metrics();
        all.iter().filter(|m| m.name == name).map(|m| m.value).sum()
    }

    /// Lets time pass until the log is truncated.
    pub(crate) fn truncate(&self) {
        self.clock.advance_ms(1000);
        self.db.tick().unwrap();
    }

    /// Fills segments with samples of a series that is there for that.
    pub(crate) fn fill(&self, segments: usize, from_ms: i64) -> i64 {
        let first = self.metric("prometheus_tsdb_wal_segment_current") as usize;
        let mut t = from_ms;
        while (self.metric("prometheus_tsdb_wal_segment_current") as usize) < first + segments {
            let mut app = self.db.appender();
            for _ in 0..200 {
                t += 1;
                // Noise, so that the log does not compress it away.
                let v = f64::from_bits((t as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
                app.append(SeriesRef::NONE, &labels("filler"), t, 0, v).unwrap();
            }
            app.commit().unwrap();
        }
        t
    }

    /// Names of the files and directories of the log.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.fs.read_dir(Path::new("data/wal")).unwrap().into_iter().map(|e| e.name).collect();
        names.sort();
        names
    }
}

pub(crate) fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "test")])
}

/// A series as the log prints it.
pub(crate) fn named(name: &str) -> String {
    labels(name).to_string()
}
