//! One database in one directory, in Prometheus' format: head, write-ahead log, head chunks,
//! blocks. Knows no PromQL and nothing of the server around it; files, time and threads come
//! through `storage::{Fs, Clock, Spawn}`.
//!
//! `compact/` will stand beside `block/`: merging blocks in levels, cleaning deleted samples,
//! retention.

pub mod block;
mod counter;
pub mod db;
mod head;
mod head_chunks;
pub mod index;
mod int_map;
mod wal;

pub use db::{
    Db, DbOptions, HeadStats, LabelCount, Log, LogLevel, Metric, MetricKind, ReplayProgress, WalCompression,
    WalSync,
};
pub use head::ReplayReport;
