//! One database in one directory, in Prometheus' format: head, write-ahead log, head chunks,
//! blocks; or, as an agent's, the log alone. Knows no PromQL and nothing of the server around it;
//! files, time and threads come through `storage::{Fs, Clock, Spawn}`.

#[cfg(not(target_family = "wasm"))]
pub mod agent;
pub mod backfill;
pub mod block;
pub mod compact;
mod counter;
pub mod db;
#[doc(hidden)]
pub mod fuzz;
mod head;
mod head_chunks;
mod histogram;
pub mod index;
pub mod int_map;
mod metadata;
mod projection;
pub mod retention;
mod tombstones;
pub mod verify;
mod wal;

pub use db::{
    Db, DbOptions, DbSettings, HeadStats, LabelCount, Log, LogLevel, Metric, MetricKind, ReplayProgress,
    WalCompression, WalSync, cut_chunk,
};
pub use head::ReplayReport;
pub use wal::tail;
