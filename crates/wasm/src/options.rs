//! Settings, from TypeScript's JSON to the engine's.

use std::path::PathBuf;

use engine::EngineError;
use engine::options::{EngineOptions, FloatEncoding, QuerySettings, StorageSettings, WalCompression};
use serde::Deserialize;

use crate::syntax::switched_on;

/// Where in the file system in memory the data directory is.
pub(crate) const DIR: &str = "data";

/// What of `EngineOptions` means something without threads and files.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmOptions {
    min_block_duration_ms: Option<f64>,
    samples_per_chunk: Option<f64>,
    lookback_delta_ms: Option<f64>,
    query_timeout_ms: Option<f64>,
    query_max_samples: Option<f64>,
    default_subquery_step_ms: Option<f64>,
    features: Option<Vec<String>>,
    #[serde(flatten)]
    storage: WasmStorageSettings,
    #[serde(flatten)]
    queries: WasmQuerySettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmStorageSettings {
    out_of_order_time_window_ms: Option<f64>,
    float_chunk_encoding: Option<String>,
    max_exemplars: Option<f64>,
    retention_ms: Option<f64>,
    retention_bytes: Option<f64>,
}

/// Without the query log: an instance has no files that anybody could read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmQuerySettings {
    query_max_series: Option<f64>,
    query_max_samples_read: Option<f64>,
    query_max_duration_ms: Option<f64>,
}

/// Checks the settings of queries.
pub(crate) fn query_settings(o: WasmQuerySettings) -> Result<QuerySettings, EngineError> {
    Ok(QuerySettings {
        log_file: None,
        series_max: whole("queryMaxSeries", o.query_max_series, 0)?,
        samples_read_max: whole("queryMaxSamplesRead", o.query_max_samples_read, 0)?,
        duration_max_ms: whole("queryMaxDurationMs", o.query_max_duration_ms, 0)?,
    })
}

/// Checks the settings that may change later. Unlike a server an instance keeps what it was given
/// unless told otherwise.
pub(crate) fn storage_settings(o: WasmStorageSettings) -> Result<StorageSettings, EngineError> {
    let d = StorageSettings { retention_ms: 0, ..StorageSettings::default() };
    let float_encoding = match o.float_chunk_encoding.as_deref() {
        None => None,
        Some("xor") => Some(FloatEncoding::Xor),
        Some("xor2") => Some(FloatEncoding::Xor2),
        Some(other) => return Err(EngineError::invalid(format!("unknown floatChunkEncoding {other:?}"))),
    };
    let window_ms = o.out_of_order_time_window_ms;
    Ok(StorageSettings {
        out_of_order_window_ms: whole("outOfOrderTimeWindowMs", window_ms, d.out_of_order_window_ms)?,
        float_encoding,
        exemplars_max: whole("maxExemplars", o.max_exemplars, d.exemplars_max)?,
        retention_ms: whole("retentionMs", o.retention_ms, d.retention_ms)?,
        retention_bytes: whole("retentionBytes", o.retention_bytes, d.retention_bytes)?,
        ..d
    })
}

/// Checks the settings.
pub(crate) fn resolve(o: WasmOptions) -> Result<EngineOptions, EngineError> {
    let d = EngineOptions::default();
    let subquery_step_ms = o.default_subquery_step_ms;
    Ok(EngineOptions {
        dir: PathBuf::from(DIR),
        min_block_duration_ms: whole("minBlockDurationMs", o.min_block_duration_ms, d.min_block_duration_ms)?,
        samples_per_chunk: whole("samplesPerChunk", o.samples_per_chunk, d.samples_per_chunk)?,
        lookback_delta_ms: whole("lookbackDeltaMs", o.lookback_delta_ms, d.lookback_delta_ms)?,
        query_timeout_ms: whole("queryTimeoutMs", o.query_timeout_ms, d.query_timeout_ms)?,
        query_samples_max: whole("queryMaxSamples", o.query_max_samples, d.query_samples_max)?,
        default_subquery_step_ms: whole(
            "defaultSubqueryStepMs",
            subquery_step_ms,
            d.default_subquery_step_ms,
        )?,
        features: switched_on(&o.features.unwrap_or_default())?,
        storage: storage_settings(o.storage)?,
        queries: query_settings(o.queries)?,
        wal_compression: WalCompression::Snappy,
        ..d
    })
}

/// JavaScript's numbers are floats; settings are whole and not negative.
fn whole<T: TryFrom<i64>>(name: &str, v: Option<f64>, default: T) -> Result<T, EngineError> {
    let Some(v) = v else { return Ok(default) };
    let fits = (0.0..=9_007_199_254_740_992.0).contains(&v) && v.fract() == 0.0;
    let whole = if fits { T::try_from(v as i64).ok() } else { None };
    whole.ok_or_else(|| EngineError::invalid(format!("{name} must be a whole number of at least 0, not {v}")))
}
