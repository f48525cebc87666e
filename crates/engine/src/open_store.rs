//! Opening the database that the options ask for.

use std::sync::Arc;

use tsdb::{Db, DbOptions};

use crate::engine::{LogLine, Logs, ReplayProgress, push};
use crate::error::EngineError;
use crate::options::{EngineOptions, Host, WalCompression};
use crate::store::Store;

/// Who is told of what happens.
struct Hear {
    replay: Arc<dyn Fn(tsdb::ReplayProgress) + Send + Sync>,
    log: tsdb::Log,
}

/// Opens the database in `options.dir`; lines of its log go to `logs`.
///
/// # Errors
/// Those of [`crate::Engine::open`].
pub(crate) fn open_store(
    options: &EngineOptions,
    host: &Host,
    seed: u64,
    logs: Logs,
    progress: impl Fn(ReplayProgress) + Send + Sync + 'static,
) -> Result<Store, EngineError> {
    let hear = Hear {
        replay: Arc::new(move |p| {
            progress(ReplayProgress {
                min: p.first_segment,
                max: p.last_segment,
                current: p.current_segment,
            });
        }),
        log: Arc::new(move |level, text: &str| {
            let level = match level {
                tsdb::LogLevel::Info => "info",
                tsdb::LogLevel::Warn => "warn",
                tsdb::LogLevel::Error => "error",
            };
            push(&logs, LogLine { level, text: text.to_owned() });
        }),
    };
    match &options.agent {
        #[cfg(not(target_family = "wasm"))]
        Some(agent) => {
            let options = agent_options(options, agent, host, hear);
            Ok(Store::Agent(tsdb::agent::AgentDb::open(options)?))
        }
        #[cfg(target_family = "wasm")]
        Some(_) => Err(EngineError::invalid("there is no agent mode in WASM")),
        None => Ok(Store::Server(Db::open(db_options(options, host, seed, hear)?)?)),
    }
}

fn wal_compression(o: &EngineOptions) -> tsdb::WalCompression {
    match o.wal_compression {
        WalCompression::None => tsdb::WalCompression::None,
        WalCompression::Snappy => tsdb::WalCompression::Snappy,
        WalCompression::Zstd => tsdb::WalCompression::Zstd,
    }
}

#[cfg(not(target_family = "wasm"))]
fn agent_options(
    o: &EngineOptions,
    agent: &crate::options::AgentSettings,
    host: &Host,
    hear: Hear,
) -> tsdb::agent::AgentOptions {
    use tsdb::agent::AgentOptions;
    let (fs, clock, background) = (host.fs.clone(), host.clock.clone(), host.background.clone());
    AgentOptions {
        wal_segment_bytes: o.wal_segment_bytes,
        wal_compression: wal_compression(o),
        truncate_frequency_ms: agent.truncate_frequency_ms,
        min_wal_ms: agent.min_wal_ms,
        max_wal_ms: agent.max_wal_ms,
        out_of_order_window_ms: o.storage.out_of_order_window_ms,
        start_timestamps: o.features.st_storage,
        metadata_records: o.features.metadata_wal_records,
        checkpoint_from_memory: agent.checkpoint_from_memory,
        checkpoint_batch: agent.checkpoint_batch,
        no_lockfile: o.no_lockfile,
        on_replay: Some(hear.replay),
        log: Some(hear.log),
        ..AgentOptions::new(o.dir.clone(), fs, clock, background)
    }
}

fn db_options(o: &EngineOptions, host: &Host, seed: u64, hear: Hear) -> Result<DbOptions, EngineError> {
    let mut d = DbOptions::new(o.dir.clone(), host.fs.clone(), host.clock.clone(), host.background.clone());
    d.min_block_duration_ms = o.min_block_duration_ms;
    d.max_block_duration_ms = o.max_block_duration_ms;
    d.overlapping_compaction = o.overlapping_compaction;
    d.samples_per_chunk = o.samples_per_chunk;
    d.chunk_segment_bytes = o.chunk_segment_bytes;
    d.reload_interval_ms = o.block_reload_interval_ms;
    if o.features.delayed_compaction {
        let range_ms = u64::try_from(o.min_block_duration_ms).unwrap_or(0);
        let longest_ms = range_ms.saturating_mul(o.compaction_delay_percent_max) / 100;
        d.compaction_delay_ms = seed.checked_rem(longest_ms).unwrap_or(0);
    }
    d.uploads_file.clone_from(&o.delay_compact_file);
    d.settings = o.storage.resolve(o.features)?;
    d.start_timestamps = o.features.st_storage;
    d.histogram_start_encoding = o.features.histograms_st_encoding || o.features.st_storage;
    d.metadata_records = o.features.metadata_wal_records;
    d.snapshot_on_close = o.features.memory_snapshot_on_shutdown;
    d.wal_segment_bytes = o.wal_segment_bytes;
    d.wal_held_bytes_max = o.wal_held_bytes_max;
    d.no_lockfile = o.no_lockfile;
    d.wal_compression = wal_compression(o);
    (d.on_replay, d.log) = (Some(hear.replay), Some(hear.log));
    Ok(d)
}
