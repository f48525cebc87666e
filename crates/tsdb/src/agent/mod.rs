//! The database of an agent: a log of what is to be sent on, and of each series no more than its labels and the time of
//! its last sample. Nothing can be asked of it. See DESIGN.md; the format is the log's ([`crate::wal`]).

mod append;
mod checkpoint;
mod metrics;
mod options;
mod page;
mod replay;
mod series;
mod truncate;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use model::TimestampMs;
use storage::{Appender, FileLock, StorageError};

use crate::counter::Counter;
use crate::db::Metric;
use crate::db::tail::kept_dir;
use crate::wal::tail::{LogDirs, LogHolds, Tail, TailPosition};
use crate::wal::{Wal, WalOptions};
use append::{AgentAppender, Batch};
pub use options::AgentOptions;
pub use replay::AgentReplayReport;
use series::SeriesTable;
use truncate::Upkeep;

/// The name of the log in the data directory.
const WAL_DIR: &str = "wal";
/// There is none: late samples are in the log with the others.
const WBL_DIR: &str = "wbl";

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the lock file was when the database was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CleanStart {
    Disabled = -1,
    Replaced = 0,
    Clean = 1,
}

/// What happened, for the metrics.
#[derive(Debug, Default)]
struct Counters {
    samples: Counter,
    histograms: Counter,
    exemplars: Counter,
    out_of_order: Counter,
    /// The highest time of a sample, milliseconds; 0 before the first.
    newest_ms: Counter,
    corruptions: Counter,
    replay_ns: Counter,
    truncations: Counter,
    truncate_ns: Counter,
    checkpoints: Counter,
    checkpoints_failed: Counter,
    checkpoint_deletions: Counter,
    checkpoint_deletions_failed: Counter,
}

struct Inner {
    options: AgentOptions,
    series: SeriesTable,
    /// Set once the log has been replayed.
    wal: OnceLock<Wal>,
    /// What readers of the log still need of it.
    holds: LogHolds,
    batches: Mutex<Vec<Batch>>,
    counters: Counters,
    report: AgentReplayReport,
    clean_start: CleanStart,
    upkeep: Mutex<Upkeep>,
    lock: Mutex<Option<Box<dyn FileLock>>>,
    closed: AtomicBool,
}

/// An agent's database in a directory. A clone is another handle on it.
#[derive(Clone)]
pub struct AgentDb {
    inner: Arc<Inner>,
}

impl AgentDb {
    /// Opens the database in `options.dir`, making it where there is none: takes the lock file, replays the log and
    /// repairs its end.
    ///
    /// # Errors
    /// Where another process has the directory, or the log cannot be read or repaired.
    pub fn open(options: AgentOptions) -> Result<Self, StorageError> {
        let options = options.adjusted();
        let start_ns = options.clock.monotonic_ns();
        let (fs, dir) = (options.fs.clone(), options.dir.clone());
        fs.create_dir_all(&dir).map_err(|e| StorageError::io(format!("create {}", dir.display()), e))?;
        let (file_lock, clean_start) = take_lock(&options)?;
        let mut inner = Inner {
            series: SeriesTable::default(),
            wal: OnceLock::new(),
            holds: LogHolds::default(),
            batches: Mutex::default(),
            counters: Counters::default(),
            report: AgentReplayReport::default(),
            clean_start,
            upkeep: Mutex::default(),
            lock: Mutex::new(file_lock),
            closed: AtomicBool::new(false),
            options,
        };
        let (report, deleted) = inner.replay()?;
        inner.report = report;
        let options = &inner.options;
        let wal = Wal::open(WalOptions {
            dir: inner.wal_dir(),
            fs,
            spawn: options.spawn.clone(),
            segment_bytes: options.wal_segment_bytes,
            compression: options.wal_compression,
            sync: options.wal_sync,
            start_timestamps: options.start_timestamps,
        })?;
        // A database is given one log, once.
        let _ = inner.wal.set(wal);
        let now_ns = options.clock.monotonic_ns();
        inner.counters.replay_ns.set(now_ns.saturating_sub(start_ns));
        *lock(&inner.upkeep) = Upkeep::new(now_ns, deleted);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A transaction.
    #[must_use]
    pub fn appender(&self) -> Box<dyn Appender> {
        Box::new(AgentAppender::new(self.inner.clone()))
    }

    /// Follows what is appended: see [`crate::Db::tail`]. What has not been released stays in the log until it is older
    /// than [`AgentOptions::max_wal_ms`].
    ///
    /// # Errors
    /// Where the log's directory cannot be read.
    pub fn tail(&self, from: Option<TailPosition>) -> Result<Tail, StorageError> {
        let options = &self.inner.options;
        let dirs = LogDirs {
            wal: self.inner.wal_dir(),
            // An agent has no late samples.
            wbl: options.dir.join(WBL_DIR),
            kept: kept_dir(&options.dir),
        };
        Tail::open(options.fs.clone(), dirs, from, &self.inner.holds, 0)
    }

    /// Number of series.
    #[must_use]
    pub fn num_series(&self) -> u64 {
        self.inner.series.count.get()
    }

    /// The highest time of what was appended since the start, milliseconds; 0 before the first.
    #[must_use]
    pub fn newest_ms(&self) -> TimestampMs {
        TimestampMs::try_from(self.inner.counters.newest_ms.get()).unwrap_or(TimestampMs::MAX)
    }

    /// What opening found and repaired.
    #[must_use]
    pub fn replay_report(&self) -> &AgentReplayReport {
        &self.inner.report
    }

    /// All counters and gauges.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.inner.metrics()
    }

    /// Why the database refuses writes, if it does: a write or sync has failed, or see [`AgentDb::refuse`].
    #[must_use]
    pub fn refuses_writes(&self) -> Option<String> {
        self.inner.wal.get().and_then(Wal::failed).map(|why| why.to_string())
    }

    /// Refuses writes from now on, for a reason that the caller knows; the first reason stays.
    pub fn refuse(&self, why: &str) {
        if let Some(wal) = self.inner.wal.get() {
            wal.fail(why);
        }
    }

    /// Writes out what is pending, closes the log and gives up the lock. Commits of appenders that are still open fail.
    ///
    /// # Errors
    /// Where the last bytes cannot be written; the database is closed all the same.
    pub fn close(&self) -> Result<(), StorageError> {
        let inner = &self.inner;
        let _upkeep = lock(&inner.upkeep);
        if inner.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let closed = inner.wal.get().map_or(Ok(()), Wal::close);
        *lock(&inner.lock) = None;
        closed
    }
}

impl Inner {
    fn wal_dir(&self) -> PathBuf {
        self.options.dir.join(WAL_DIR)
    }
}

type Locked = (Option<Box<dyn FileLock>>, CleanStart);

fn take_lock(options: &AgentOptions) -> Result<Locked, StorageError> {
    if options.no_lockfile {
        return Ok((None, CleanStart::Disabled));
    }
    let path = options.dir.join("lock");
    let was_there = options.fs.exists(&path);
    let lock = options.fs.lock(&path).map_err(|e| StorageError::io("lock DB directory", e))?;
    if was_there {
        let text = format!(
            "A lockfile from a previous execution already existed. It was replaced: {}",
            path.display()
        );
        options.log(crate::db::LogLevel::Warn, &text);
    }
    Ok((Some(lock), if was_there { CleanStart::Replaced } else { CleanStart::Clean }))
}
