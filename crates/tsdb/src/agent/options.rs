//! What an agent's database is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use storage::{Clock, Fs, Spawn};

use crate::db::{Log, LogLevel, ReplayProgress, WalCompression, WalSync};

/// Prometheus' defaults.
const TRUNCATE_FREQUENCY_MS: i64 = 2 * 3600 * 1000;
const MIN_WAL_MS: i64 = 5 * 60 * 1000;
const MAX_WAL_MS: i64 = 4 * 3600 * 1000;
const SEGMENT_BYTES: u64 = 128 * 1024 * 1024;
/// Series in a record of a checkpoint that is written from memory.
const CHECKPOINT_BATCH: usize = 1000;

/// What an agent's database is opened with. See [`AgentOptions::new`] for the defaults.
#[derive(Clone)]
pub struct AgentOptions {
    /// The data directory; made if it does not exist.
    pub dir: PathBuf,
    /// Files.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Threads for replay and background work.
    pub spawn: Arc<dyn Spawn>,
    /// Size at which a log segment is complete, bytes: a multiple of 32 KiB.
    pub wal_segment_bytes: u64,
    /// How log records are compressed.
    pub wal_compression: WalCompression,
    /// When log bytes are forced to the disk.
    pub wal_sync: WalSync,
    /// How often the log is truncated, milliseconds.
    pub truncate_frequency_ms: i64,
    /// What is younger stays in the log, milliseconds.
    pub min_wal_ms: i64,
    /// What is older goes even where it has not been sent, milliseconds.
    pub max_wal_ms: i64,
    /// How far behind the newest sample of its series another may come, milliseconds; 0: not at all.
    pub out_of_order_window_ms: i64,
    /// Whether start timestamps are logged (feature `st-storage`).
    pub start_timestamps: bool,
    /// Whether metadata is logged (feature `metadata-wal-records`).
    pub metadata_records: bool,
    /// Whether checkpoints are written from the series in memory, and not from the log.
    pub checkpoint_from_memory: bool,
    /// Series in a record of such a checkpoint; 0 for the usual.
    pub checkpoint_batch: usize,
    /// Whether to do without the lock file.
    pub no_lockfile: bool,
    /// Called while opening, after each log segment.
    pub on_replay: Option<Arc<dyn Fn(ReplayProgress) + Send + Sync>>,
    /// Takes what there is to say.
    pub log: Option<Log>,
}

impl AgentOptions {
    /// Prometheus' defaults.
    pub fn new(
        dir: impl Into<PathBuf>,
        fs: Arc<dyn Fs>,
        clock: Arc<dyn Clock>,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        Self {
            dir: dir.into(),
            fs,
            clock,
            spawn,
            wal_segment_bytes: SEGMENT_BYTES,
            wal_compression: WalCompression::default(),
            wal_sync: WalSync::default(),
            truncate_frequency_ms: TRUNCATE_FREQUENCY_MS,
            min_wal_ms: MIN_WAL_MS,
            max_wal_ms: MAX_WAL_MS,
            out_of_order_window_ms: 0,
            start_timestamps: false,
            metadata_records: false,
            checkpoint_from_memory: false,
            checkpoint_batch: CHECKPOINT_BATCH,
            no_lockfile: false,
            on_replay: None,
            log: None,
        }
    }

    /// Puts the usual in the place of what makes no sense: the longest time is never below the shortest, nor below the
    /// time between truncations.
    pub(super) fn adjusted(mut self) -> Self {
        fn usual<T: PartialOrd + Default>(value: &mut T, usual: T) {
            if *value <= T::default() {
                *value = usual;
            }
        }
        usual(&mut self.wal_segment_bytes, SEGMENT_BYTES);
        usual(&mut self.checkpoint_batch, CHECKPOINT_BATCH);
        usual(&mut self.truncate_frequency_ms, TRUNCATE_FREQUENCY_MS);
        usual(&mut self.min_wal_ms, MIN_WAL_MS);
        usual(&mut self.max_wal_ms, MAX_WAL_MS);
        self.max_wal_ms = self.max_wal_ms.max(self.min_wal_ms).max(self.truncate_frequency_ms);
        self.out_of_order_window_ms = self.out_of_order_window_ms.max(0);
        self
    }

    pub(super) fn log(&self, level: LogLevel, text: &str) {
        if let Some(log) = &self.log {
            log(level, text);
        }
    }
}
