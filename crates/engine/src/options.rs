//! What an engine is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use storage::{Clock, Fs, Spawn};

/// Switches of the query language, named as in Prometheus' `--enable-feature`.
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
    /// `use-start-timestamps`
    pub use_start_timestamps: bool,
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
            "use-start-timestamps" => &mut self.use_start_timestamps,
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

/// Settings; the defaults are Prometheus'.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// Smallest block, and how often the head is cut.
    pub min_block_duration_ms: i64,
    /// Blocks older than this go; 0 never.
    pub retention_ms: i64,
    /// Blocks beyond this size go; 0 never.
    pub retention_bytes: u64,
    /// Compression of the write-ahead log.
    pub wal_compression: WalCompression,
    /// Size of a segment of the write-ahead log.
    pub wal_segment_bytes: u64,
    /// Take no lock file.
    pub no_lockfile: bool,
    /// How far back an instant looks for a sample.
    pub lookback_delta_ms: i64,
    /// Longest time of a query.
    pub query_timeout_ms: i64,
    /// Queries that may run at once.
    pub query_concurrency_max: usize,
    /// Samples a query may hold at once.
    pub query_samples_max: usize,
    /// Step of a subquery that names none.
    pub default_subquery_step_ms: i64,
    /// Switches of the query language.
    pub features: Features,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("data"),
            min_block_duration_ms: 2 * 60 * 60 * 1000,
            retention_ms: 15 * 24 * 60 * 60 * 1000,
            retention_bytes: 0,
            wal_compression: WalCompression::Snappy,
            wal_segment_bytes: 128 << 20,
            no_lockfile: false,
            lookback_delta_ms: 5 * 60 * 1000,
            query_timeout_ms: 2 * 60 * 1000,
            query_concurrency_max: 20,
            query_samples_max: 50_000_000,
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
    /// Threads that compact and write out.
    pub background: Arc<dyn Spawn>,
}
