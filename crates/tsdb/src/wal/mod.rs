//! The write-ahead log in Prometheus' format (FORMAT.md): segments of pages of fragments, records
//! of what a head holds, checkpoints. Knows nothing of the head.

pub(crate) mod bytes;
mod checkpoint;
mod commit;
pub(crate) mod compress;
pub(crate) mod fragment;
mod output;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod segment;
pub mod tail;
mod writer;

#[cfg(not(target_family = "wasm"))]
pub(crate) use checkpoint::make_checkpoint;
pub(crate) use checkpoint::{CheckpointRules, write_checkpoint};
pub(crate) use commit::{CommitRecords, RecordBuffers};
pub(crate) use compress::decompress;
pub(crate) use output::Output;
pub(crate) use writer::{Wal, WalOptions};
