//! What a database is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use storage::{Clock, Fs, Spawn};

/// Samples that a chunk of floats is meant to have, unless told otherwise (Prometheus
/// `DefaultSamplesPerChunk`).
pub(crate) const SAMPLES_PER_CHUNK: u32 = 120;

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
    /// Last log segment: the new one, behind those that are read.
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

/// What can change while a database is open: the configuration's `storage` section and the
/// retention.
#[derive(Clone, Debug, PartialEq)]
pub struct DbSettings {
    /// How far behind the newest sample of the head others may come, milliseconds; 0: not at all.
    pub out_of_order_window_ms: i64,
    /// How new chunks of floats are encoded: XOR or XOR2.
    pub float_encoding: chunk::Encoding,
    /// Exemplars kept in memory, 0 for none.
    pub exemplars_max: usize,
    /// How long samples are kept, milliseconds; 0 for ever.
    pub retention_ms: i64,
    /// How many bytes the blocks may take; 0 for any number.
    pub retention_bytes: u64,
    /// How much of the disk the data may take, percent of its size; 0 for any share.
    pub retention_percentage: f64,
    /// The head is compacted early where at least this share of its series, 0 to 1, is stale; 0: never.
    pub stale_series_threshold: f64,
}

impl Default for DbSettings {
    fn default() -> Self {
        Self {
            out_of_order_window_ms: 0,
            float_encoding: chunk::Encoding::Xor,
            exemplars_max: 0,
            retention_ms: 0,
            retention_bytes: 0,
            retention_percentage: 0.0,
            stale_series_threshold: 0.0,
        }
    }
}

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
    /// How many bytes of log may stay, where truncation would take them, for those who still read them.
    pub wal_held_bytes_max: u64,
    /// How log records are compressed.
    pub wal_compression: WalCompression,
    /// When log bytes are forced to the disk.
    pub wal_sync: WalSync,
    /// Longest block that merging makes, milliseconds; 0 for a tenth of the retention time, 31 days
    /// at most.
    pub max_block_duration_ms: i64,
    /// Whether start timestamps are kept in the log and, where the encoding has room for them, in
    /// chunks (feature `st-storage`).
    pub start_timestamps: bool,
    /// Whether histogram chunks are written in the encodings with start timestamps (feature
    /// `histograms-st-encoding`, implied by `start_timestamps`).
    pub histogram_start_encoding: bool,
    /// Whether metadata is written to the log (feature `metadata-wal-records`).
    pub metadata_records: bool,
    /// Whether closing writes a snapshot of the open chunks, for a quick start (feature
    /// `memory-snapshot-on-shutdown`).
    pub snapshot_on_close: bool,
    /// Whether blocks that overlap in time are merged.
    pub overlapping_compaction: bool,
    /// Samples that a chunk of floats in the head is meant to have; 0 for the usual.
    pub samples_per_chunk: u32,
    /// Size at which the chunk segments of blocks end, bytes; `None` for the usual 512 MiB.
    pub chunk_segment_bytes: Option<u64>,
    /// Least time between looks at the data directory for blocks from outside and past retention, milliseconds.
    pub reload_interval_ms: u64,
    /// How long after the head is long enough a block is cut out of it, milliseconds, so that databases begun together
    /// do not compact together.
    pub compaction_delay_ms: u64,
    /// A file that says which blocks are uploaded; others of the first level are not merged.
    pub uploads_file: Option<PathBuf>,
    /// What may change later by [`crate::Db::apply`].
    pub settings: DbSettings,
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
            wal_held_bytes_max: 4 << 30,
            wal_compression: WalCompression::default(),
            wal_sync: WalSync::default(),
            max_block_duration_ms: 0,
            start_timestamps: false,
            histogram_start_encoding: false,
            metadata_records: false,
            snapshot_on_close: false,
            overlapping_compaction: true,
            samples_per_chunk: SAMPLES_PER_CHUNK,
            chunk_segment_bytes: None,
            reload_interval_ms: 60_000,
            compaction_delay_ms: 0,
            uploads_file: None,
            settings: DbSettings::default(),
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
