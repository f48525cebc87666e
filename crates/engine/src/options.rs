//! What an engine is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use storage::{Clock, Fs, Spawn};
use tsdb::DbSettings;

use crate::error::EngineError;

/// Switches of the query language and of the storage, named as in Prometheus' `--enable-feature`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`
    pub experimental_functions: bool,
    /// `promql-delayed-name-removal`
    pub delayed_name_removal: bool,
    /// `promql-binop-fill-modifiers`
    pub fill_modifiers: bool,
    /// `promql-unquoted-utf8-names`
    pub unquoted_utf8_names: bool,
    /// `type-and-unit-labels`: queries tell counters by their `__type__` label.
    pub type_and_unit_labels: bool,
    /// `use-start-timestamps`
    pub use_start_timestamps: bool,
    /// `promql-per-step-stats`: `stats=all` tells of each step.
    pub per_step_stats: bool,
    /// `query-cost`: limits on series, samples read and time, and estimates.
    pub query_cost: bool,
    /// `exemplar-storage`: without it no exemplar is kept, whatever the settings say.
    pub exemplar_storage: bool,
    /// `memory-snapshot-on-shutdown`
    pub memory_snapshot_on_shutdown: bool,
    /// `metadata-wal-records`
    pub metadata_wal_records: bool,
    /// `st-storage`: start timestamps are kept; implies the two encodings that hold them.
    pub st_storage: bool,
    /// `st-synthesis`: where a target tells no start timestamps, its first samples become the starts.
    pub st_synthesis: bool,
    /// `created-timestamp-zero-ingestion`: a zero is stored where a series began.
    pub created_timestamp_zero_ingestion: bool,
    /// `zstd-scrape`: targets may answer in zstd.
    pub zstd_scrape: bool,
    /// `delayed-compaction`: a block is cut after a random delay.
    pub delayed_compaction: bool,
    /// `histograms-st-encoding`
    pub histograms_st_encoding: bool,
    /// `xor2-encoding`: XOR2 for floats where the settings name no encoding.
    pub xor2_encoding: bool,
    /// `otlp-deltatocumulative`: deltas of OTLP are added up.
    pub otlp_deltatocumulative: bool,
    /// `otlp-native-delta-ingestion`: deltas of OTLP are stored as they are.
    pub otlp_native_delta_ingestion: bool,
}

impl Features {
    /// Switches one on by its name.
    ///
    /// # Errors
    /// The name, where there is no such switch.
    pub fn enable(&mut self, name: &str) -> Result<(), String> {
        let place = match name {
            "promql-experimental-functions" => &mut self.experimental_functions,
            "promql-delayed-name-removal" => &mut self.delayed_name_removal,
            "promql-binop-fill-modifiers" => &mut self.fill_modifiers,
            "promql-unquoted-utf8-names" => &mut self.unquoted_utf8_names,
            "type-and-unit-labels" => &mut self.type_and_unit_labels,
            "use-start-timestamps" => &mut self.use_start_timestamps,
            "promql-per-step-stats" => &mut self.per_step_stats,
            "query-cost" => &mut self.query_cost,
            "exemplar-storage" => &mut self.exemplar_storage,
            "memory-snapshot-on-shutdown" => &mut self.memory_snapshot_on_shutdown,
            "metadata-wal-records" => &mut self.metadata_wal_records,
            "st-storage" => &mut self.st_storage,
            "st-synthesis" => &mut self.st_synthesis,
            "created-timestamp-zero-ingestion" => &mut self.created_timestamp_zero_ingestion,
            "zstd-scrape" => &mut self.zstd_scrape,
            "delayed-compaction" => &mut self.delayed_compaction,
            "histograms-st-encoding" => &mut self.histograms_st_encoding,
            "xor2-encoding" => &mut self.xor2_encoding,
            "otlp-deltatocumulative" => &mut self.otlp_deltatocumulative,
            "otlp-native-delta-ingestion" => &mut self.otlp_native_delta_ingestion,
            _ => return Err(name.to_owned()),
        };
        *place = true;
        Ok(())
    }
}

/// Compression of the write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalCompression {
    /// None.
    None,
    /// Snappy, as Prometheus does by default.
    #[default]
    Snappy,
    /// Zstandard.
    Zstd,
}

/// How new chunks of floats are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatEncoding {
    /// Gorilla, without start timestamps.
    Xor,
    /// Smaller, and with room for start timestamps.
    Xor2,
}

/// Settings of the storage that may change while the engine is open: the configuration's `storage`
/// section. The defaults are Prometheus'.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageSettings {
    /// How far behind the newest sample others may come, milliseconds; 0: not at all.
    pub out_of_order_window_ms: i64,
    /// How new chunks of floats are encoded; `None`: as the features say.
    pub float_encoding: Option<FloatEncoding>,
    /// Exemplars kept in memory, with the feature `exemplar-storage`.
    pub exemplars_max: usize,
    /// Blocks older than this go; 0 never.
    pub retention_ms: i64,
    /// Blocks beyond this size go; 0 never.
    pub retention_bytes: u64,
    /// Blocks beyond this share of the disk go, percent; 0 never. Comes before `retention_bytes`.
    pub retention_percentage: f64,
    /// The head is compacted early where at least this share of its series, 0 to 1, is stale; 0: never.
    pub stale_series_threshold: f64,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            out_of_order_window_ms: 0,
            float_encoding: None,
            exemplars_max: 100_000,
            retention_ms: 15 * 24 * 60 * 60 * 1000,
            retention_bytes: 0,
            retention_percentage: 0.0,
            stale_series_threshold: 0.0,
        }
    }
}

impl StorageSettings {
    /// As the database takes them.
    ///
    /// # Errors
    /// [`crate::ErrorCode::InvalidArgument`] where they contradict the features, in Prometheus' words.
    pub(crate) fn resolve(&self, features: Features) -> Result<DbSettings, EngineError> {
        let default = match features.xor2_encoding || features.st_storage {
            true => FloatEncoding::Xor2,
            false => FloatEncoding::Xor,
        };
        let floats = self.float_encoding.unwrap_or(default);
        if features.st_storage && floats == FloatEncoding::Xor {
            return Err(EngineError::invalid(
                "float chunk encoding \"xor\" is incompatible with start-timestamp storage; XOR chunks do not \
                 store start timestamps, use \"xor2\"",
            ));
        }
        Ok(DbSettings {
            out_of_order_window_ms: self.out_of_order_window_ms.max(0),
            float_encoding: match floats {
                FloatEncoding::Xor => chunk::Encoding::Xor,
                FloatEncoding::Xor2 => chunk::Encoding::Xor2,
            },
            exemplars_max: if features.exemplar_storage { self.exemplars_max } else { 0 },
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
            retention_percentage: self.retention_percentage,
            stale_series_threshold: self.stale_series_threshold,
        })
    }
}

/// Settings of queries that may change while the engine is open: keys of the configuration's `global`
/// section. The limits hold with the feature `query-cost`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuerySettings {
    /// `query_log_file`: where each query is logged.
    pub log_file: Option<PathBuf>,
    /// `query_max_series`: series that a query's selectors may find together; 0: any number.
    pub series_max: u64,
    /// `query_max_samples_read`: samples that a query may read; 0: any number.
    pub samples_read_max: u64,
    /// `query_max_duration`: in place of the timeout of queries, milliseconds; 0: that one.
    pub duration_max_ms: i64,
}

/// What makes an engine an agent's: it only passes samples on, and answers no queries. Of a duration or number that is 0
/// the usual is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentSettings {
    /// How often the log is truncated.
    pub truncate_frequency_ms: i64,
    /// What is younger stays in the log.
    pub min_wal_ms: i64,
    /// What is older goes even where it has not been sent.
    pub max_wal_ms: i64,
    /// Whether checkpoints are written from the series in memory.
    pub checkpoint_from_memory: bool,
    /// Series in a record of such a checkpoint.
    pub checkpoint_batch: usize,
}

/// Settings; the defaults are Prometheus'.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// Opens an agent's database in place of one that can be asked. What is said here of blocks and queries has no effect
    /// then, and [`StorageSettings`] count as they are at the start.
    pub agent: Option<AgentSettings>,
    /// Smallest block, and how often the head is cut.
    pub min_block_duration_ms: i64,
    /// Longest block that compaction makes; 0: a tenth of the retention, 31 days at most.
    pub max_block_duration_ms: i64,
    /// Whether blocks that overlap in time are merged.
    pub overlapping_compaction: bool,
    /// Samples that a chunk of floats in the head is meant to have; 0: the usual.
    pub samples_per_chunk: u32,
    /// Size of a chunk segment of a block; `None`: the usual.
    pub chunk_segment_bytes: Option<u64>,
    /// Least time between looks for blocks from outside.
    pub block_reload_interval_ms: u64,
    /// With the feature `delayed-compaction`: the longest delay, as a part of the smallest block.
    pub compaction_delay_percent_max: u64,
    /// A file that says which blocks are uploaded; others of the first level are not merged.
    pub delay_compact_file: Option<PathBuf>,
    /// What [`crate::Engine::apply_storage`] may change later.
    pub storage: StorageSettings,
    /// Compression of the write-ahead log.
    pub wal_compression: WalCompression,
    /// Size of a segment of the write-ahead log.
    pub wal_segment_bytes: u64,
    /// How many bytes of each log may stay for queues of remote write that are behind, where they would be removed.
    pub wal_held_bytes_max: u64,
    /// Take no lock file.
    pub no_lockfile: bool,
    /// How far back an instant looks for a sample.
    pub lookback_delta_ms: i64,
    /// Longest time of a query.
    pub query_timeout_ms: i64,
    /// Queries that may run at once.
    pub query_concurrency_max: usize,
    /// Samples a query may hold at once, as Prometheus counts them.
    pub query_samples_max: usize,
    /// Bytes a query may really take; 0: 4 GiB.
    pub query_memory_bytes_max: u64,
    /// Settings of queries that [`crate::Engine::apply_queries`] may change later.
    pub queries: QuerySettings,
    /// Whether `queries.active` in the data directory tells which queries run.
    pub track_queries: bool,
    /// Step of a subquery that names none.
    pub default_subquery_step_ms: i64,
    /// Switches of the query language and of the storage.
    pub features: Features,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("data"),
            agent: None,
            min_block_duration_ms: 2 * 60 * 60 * 1000,
            max_block_duration_ms: 0,
            overlapping_compaction: true,
            samples_per_chunk: 0,
            chunk_segment_bytes: None,
            block_reload_interval_ms: 60_000,
            compaction_delay_percent_max: 10,
            delay_compact_file: None,
            storage: StorageSettings::default(),
            wal_compression: WalCompression::Snappy,
            wal_segment_bytes: 128 << 20,
            wal_held_bytes_max: 4 << 30,
            no_lockfile: false,
            lookback_delta_ms: 5 * 60 * 1000,
            query_timeout_ms: 2 * 60 * 1000,
            query_concurrency_max: 20,
            query_samples_max: 50_000_000,
            query_memory_bytes_max: 0,
            queries: QuerySettings::default(),
            track_queries: false,
            default_subquery_step_ms: 60_000,
            features: Features::default(),
        }
    }
}

/// What the engine asks of its host.
#[derive(Clone)]
pub struct Host {
    /// Files.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Threads that ingest.
    pub ingest: Arc<dyn Spawn>,
    /// Threads that answer queries.
    pub query: Arc<dyn Spawn>,
    /// A thread that looks after queries that wait; idle while none does.
    pub watch: Arc<dyn Spawn>,
    /// Threads that compact and write out.
    pub background: Arc<dyn Spawn>,
    /// A thread that follows the log for remote write.
    pub remote: Arc<dyn Spawn>,
}
