//! Settings, from JavaScript's object to the engine's.

use std::path::PathBuf;
use std::sync::Arc;

use ::engine::options::{
    AgentSettings, EngineOptions, Features, FloatEncoding, Host, QuerySettings, StorageSettings,
    WalCompression,
};
use ::engine::{EngineError, ErrorCode};
use napi_derive::napi;
use storage::{Fs, MemFs, OsFs, OsSpawn, SystemClock};

/// The directory name that keeps everything in memory.
const MEMORY: &str = ":memory:";

/// Most threads of one kind, whatever is asked for.
const THREADS_MAX: usize = 1024;

#[napi(object)]
pub struct NativeAgentSettings {
    pub truncate_frequency_ms: Option<f64>,
    pub min_wal_ms: Option<f64>,
    pub max_wal_ms: Option<f64>,
    pub checkpoint_from_memory: Option<bool>,
    pub checkpoint_batch: Option<f64>,
}

#[napi(object)]
pub struct NativeOptions {
    pub dir: String,
    pub agent: Option<NativeAgentSettings>,
    pub min_block_duration_ms: Option<f64>,
    pub max_block_duration_ms: Option<f64>,
    pub allow_overlapping_compaction: Option<bool>,
    pub wal_compression: Option<String>,
    pub wal_segment_bytes: Option<f64>,
    pub wal_held_bytes_max: Option<f64>,
    pub no_lockfile: Option<bool>,
    pub samples_per_chunk: Option<f64>,
    pub max_block_chunk_segment_bytes: Option<f64>,
    pub block_reload_interval_ms: Option<f64>,
    pub delayed_compaction_max_percent: Option<f64>,
    pub delay_compact_file: Option<String>,
    pub ingest_threads: Option<u32>,
    pub query_threads: Option<u32>,
    pub lookback_delta_ms: Option<f64>,
    pub query_timeout_ms: Option<f64>,
    pub query_max_concurrency: Option<u32>,
    pub query_max_samples: Option<f64>,
    pub query_max_memory_bytes: Option<f64>,
    pub track_queries: Option<bool>,
    pub default_subquery_step_ms: Option<f64>,
    pub features: Option<Vec<String>>,
}

/// What `applyStorage` takes. `openEngine` is given the same object twice, as both views of it.
#[napi(object)]
pub struct NativeStorageSettings {
    pub out_of_order_time_window_ms: Option<f64>,
    pub float_chunk_encoding: Option<String>,
    pub max_exemplars: Option<f64>,
    pub retention_ms: Option<f64>,
    pub retention_bytes: Option<f64>,
    pub retention_percentage: Option<f64>,
    pub stale_series_compaction_threshold: Option<f64>,
}

/// Checks the settings that may change later.
pub(crate) fn storage_settings(o: NativeStorageSettings) -> Result<StorageSettings, EngineError> {
    let d = StorageSettings::default();
    let float_encoding = match o.float_chunk_encoding.as_deref() {
        None => None,
        Some("xor") => Some(FloatEncoding::Xor),
        Some("xor2") => Some(FloatEncoding::Xor2),
        Some(other) => return Err(EngineError::invalid(format!("unknown floatChunkEncoding {other:?}"))),
    };
    Ok(StorageSettings {
        out_of_order_window_ms: whole(
            "outOfOrderTimeWindowMs",
            o.out_of_order_time_window_ms,
            d.out_of_order_window_ms,
        )?,
        float_encoding,
        exemplars_max: whole("maxExemplars", o.max_exemplars, d.exemplars_max)?,
        retention_ms: whole("retentionMs", o.retention_ms, d.retention_ms)?,
        retention_bytes: whole("retentionBytes", o.retention_bytes, d.retention_bytes)?,
        retention_percentage: fraction("retentionPercentage", o.retention_percentage, 100.0)?,
        stale_series_threshold: fraction(
            "staleSeriesCompactionThreshold",
            o.stale_series_compaction_threshold,
            f64::MAX,
        )?,
    })
}

/// What `applyQueries` takes. `openEngine` is given the same object once more, as this view of it.
#[napi(object)]
pub struct NativeQuerySettings {
    pub query_log_file: Option<String>,
    pub query_max_series: Option<f64>,
    pub query_max_samples_read: Option<f64>,
    pub query_max_duration_ms: Option<f64>,
}

/// Checks the settings of queries.
pub(crate) fn query_settings(o: NativeQuerySettings) -> Result<QuerySettings, EngineError> {
    Ok(QuerySettings {
        log_file: o.query_log_file.filter(|f| !f.is_empty()).map(PathBuf::from),
        series_max: whole("queryMaxSeries", o.query_max_series, 0)?,
        samples_read_max: whole("queryMaxSamplesRead", o.query_max_samples_read, 0)?,
        duration_max_ms: whole("queryMaxDurationMs", o.query_max_duration_ms, 0)?,
    })
}

fn agent_settings(o: NativeAgentSettings) -> Result<AgentSettings, EngineError> {
    Ok(AgentSettings {
        truncate_frequency_ms: whole("agent.truncateFrequencyMs", o.truncate_frequency_ms, 0)?,
        min_wal_ms: whole("agent.minWalMs", o.min_wal_ms, 0)?,
        max_wal_ms: whole("agent.maxWalMs", o.max_wal_ms, 0)?,
        checkpoint_from_memory: o.checkpoint_from_memory.unwrap_or(false),
        checkpoint_batch: whole("agent.checkpointBatch", o.checkpoint_batch, 0)?,
    })
}

/// Checks the settings and makes the host they ask for.
pub(crate) fn resolve(
    o: NativeOptions,
    storage: NativeStorageSettings,
    queries: NativeQuerySettings,
) -> Result<(EngineOptions, Host), EngineError> {
    let d = EngineOptions::default();
    let mut features = Features::default();
    for name in o.features.unwrap_or_default() {
        features.enable(&name).map_err(|n| EngineError::invalid(format!("unknown feature {n:?}")))?;
    }
    let wal_compression = match o.wal_compression.as_deref() {
        None | Some("snappy") => WalCompression::Snappy,
        Some("none") => WalCompression::None,
        Some("zstd") => WalCompression::Zstd,
        Some(other) => return Err(EngineError::invalid(format!("unknown walCompression {other:?}"))),
    };
    let options = EngineOptions {
        agent: o.agent.map(agent_settings).transpose()?,
        min_block_duration_ms: whole("minBlockDurationMs", o.min_block_duration_ms, d.min_block_duration_ms)?,
        max_block_duration_ms: whole("maxBlockDurationMs", o.max_block_duration_ms, d.max_block_duration_ms)?,
        overlapping_compaction: o.allow_overlapping_compaction.unwrap_or(d.overlapping_compaction),
        storage: storage_settings(storage)?,
        wal_compression,
        wal_segment_bytes: whole("walSegmentBytes", o.wal_segment_bytes, d.wal_segment_bytes)?,
        wal_held_bytes_max: whole("walHeldBytesMax", o.wal_held_bytes_max, d.wal_held_bytes_max)?,
        no_lockfile: o.no_lockfile.unwrap_or(false),
        samples_per_chunk: whole("samplesPerChunk", o.samples_per_chunk, d.samples_per_chunk)?,
        chunk_segment_bytes: match o.max_block_chunk_segment_bytes {
            None => None,
            given => Some(whole("maxBlockChunkSegmentBytes", given, 0)?),
        },
        block_reload_interval_ms: whole(
            "blockReloadIntervalMs",
            o.block_reload_interval_ms,
            d.block_reload_interval_ms,
        )?,
        compaction_delay_percent_max: whole(
            "delayedCompactionMaxPercent",
            o.delayed_compaction_max_percent,
            d.compaction_delay_percent_max,
        )?,
        delay_compact_file: o.delay_compact_file.map(PathBuf::from),
        lookback_delta_ms: whole("lookbackDeltaMs", o.lookback_delta_ms, d.lookback_delta_ms)?,
        query_timeout_ms: whole("queryTimeoutMs", o.query_timeout_ms, d.query_timeout_ms)?,
        query_concurrency_max: o.query_max_concurrency.map_or(d.query_concurrency_max, |n| n as usize),
        query_samples_max: whole("queryMaxSamples", o.query_max_samples, d.query_samples_max)?,
        query_memory_bytes_max: whole(
            "queryMaxMemoryBytes",
            o.query_max_memory_bytes,
            d.query_memory_bytes_max,
        )?,
        track_queries: o.track_queries.unwrap_or(false) && o.dir != MEMORY,
        queries: query_settings(queries)?,
        default_subquery_step_ms: whole(
            "defaultSubqueryStepMs",
            o.default_subquery_step_ms,
            d.default_subquery_step_ms,
        )?,
        features,
        dir: PathBuf::from(&o.dir),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let query_threads = o.query_threads.map_or(cores, |n| n as usize);
    let ingest_threads = o.ingest_threads.map_or(1, |n| n as usize);
    let fs: Arc<dyn Fs> = if o.dir == MEMORY { Arc::new(MemFs::new()) } else { Arc::new(OsFs) };
    let host = Host {
        fs,
        clock: Arc::new(SystemClock::default()),
        ingest: pool("narthex-ingest", ingest_threads, ingest_threads)?,
        query: pool("narthex-query", options.query_concurrency_max, query_threads)?,
        watch: pool("narthex-watch", 1, 1)?,
        background: pool("narthex-bg", 2, cores.min(2))?,
        remote: pool("narthex-send", 1, 1)?,
    };
    Ok((options, host))
}

fn pool(name: &'static str, jobs: usize, threads: usize) -> Result<Arc<OsSpawn>, EngineError> {
    let pool = OsSpawn::with_jobs(name, jobs.min(THREADS_MAX), threads.min(THREADS_MAX))
        .map_err(|e| EngineError::new(ErrorCode::Io, format!("starting the {name} threads: {e}")))?;
    Ok(Arc::new(pool))
}

/// JavaScript's numbers are floats; settings are whole and not negative.
fn whole<T: TryFrom<i64>>(name: &str, v: Option<f64>, default: T) -> Result<T, EngineError> {
    let Some(v) = v else { return Ok(default) };
    let fits = (0.0..=9_007_199_254_740_992.0).contains(&v) && v.fract() == 0.0;
    let whole = if fits { T::try_from(v as i64).ok() } else { None };
    whole.ok_or_else(|| EngineError::invalid(format!("{name} must be a whole number of at least 0, not {v}")))
}

/// A number from 0 to `max`, 0 where absent.
fn fraction(name: &str, v: Option<f64>, max: f64) -> Result<f64, EngineError> {
    let v = v.unwrap_or(0.0);
    if (0.0..=max).contains(&v) {
        return Ok(v);
    }
    Err(EngineError::invalid(format!("{name} must be a number of at least 0 and at most {max}, not {v}")))
}
