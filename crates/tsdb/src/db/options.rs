//! What a database is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use storage::{Clock, Fs, Spawn};

/// How log records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalCompression {
    /// As they are.
    None,
    /// Snappy's block format: Prometheus' default.
    #[default]
    Snappy,
    /// Zstandard: smaller and slower. Not on wasm.
    Zstd,
}

/// When log bytes are forced to the disk. Every acknowledged sample survives a kill of the
/// process either way; the choice is about power loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalSync {
    /// When a segment is complete and on close, as Prometheus does: power loss may cost what the
    /// system had not written back.
    #[default]
    Segment,
    /// Before each commit returns.
    Commit,
}

/// How far opening has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayProgress {
    /// First log segment to read; the checkpoint counts as the segment it stands for.
    pub first_segment: u32,
    /// Last log segment to read.
    pub last_segment: u32,
    /// The segment that has been read completely.
    pub current_segment: u32,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Routine.
    Info,
    /// Something was not as it should be, and was put right.
    Warn,
    /// Something was lost or does not work.
    Error,
}

/// Takes lines of the log: level and text.
pub type Log = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;

/// What a database is opened with. See [`DbOptions::new`] for the defaults.
#[derive(Clone)]
pub struct DbOptions {
    /// The data directory; made if it does not exist.
    pub dir: PathBuf,
    /// Files.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Threads for replay and background work.
    pub spawn: Arc<dyn Spawn>,
    /// Length of a block cut from the head, milliseconds.
    pub min_block_duration_ms: i64,
    /// Size at which a log segment is complete, bytes: a multiple of 32 KiB.
    pub wal_segment_bytes: u64,
    /// How log records are compressed.
    pub wal_compression: WalCompression,
    /// When log bytes are forced to the disk.
    pub wal_sync: WalSync,
    /// How long samples are kept, milliseconds; 0 for ever.
    pub retention_ms: i64,
    /// How many bytes the blocks may take; 0 for any number.
    pub retention_bytes: u64,
    /// Whether to do without the lock file.
    pub no_lockfile: bool,
    /// Called while opening, after each log segment.
    pub on_replay: Option<Arc<dyn Fn(ReplayProgress) + Send + Sync>>,
    /// Takes what there is to say.
    pub log: Option<Log>,
}

impl DbOptions {
    /// Prometheus' defaults: blocks of two hours, log segments of 128 MiB with snappy.
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
            min_block_duration_ms: 2 * 3600 * 1000,
            wal_segment_bytes: 128 * 1024 * 1024,
            wal_compression: WalCompression::default(),
            wal_sync: WalSync::default(),
            retention_ms: 0,
            retention_bytes: 0,
            no_lockfile: false,
            on_replay: None,
            log: None,
        }
    }

    pub(crate) fn log(&self, level: LogLevel, text: &str) {
        if let Some(log) = &self.log {
            log(level, text);
        }
    }
}
