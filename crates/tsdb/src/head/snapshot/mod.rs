//! Chunk snapshots: on closing, the open chunks of all series are written out, so that the next start
//! need not replay the log that they came from. The bytes are drawn in FORMAT.md; a snapshot by
//! Prometheus is as good as one of ours.
//!
//! A snapshot is never the only copy of anything: head chunks and the log have all of it, so one that is
//! damaged is dropped and the head filled from those. Knows the head, and of the log only its pages and
//! the place up to which it is in the snapshot; when it is written and loaded is the database's to say.

mod directory;
mod load;
mod record;
mod write;

#[cfg(test)]
mod tests;

use crate::int_map::IntMap;

pub(crate) use directory::{Snapshot, drop_snapshots, snapshots};
pub(crate) use load::load;
pub(crate) use record::{ChunkRecord, SeriesRecord, SnapshotRecord, decode as decode_record};
pub(crate) use write::write;

/// A place in the log, between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPosition {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

/// What a snapshot has brought into the head beside series: from here replay goes on.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The log up to here is in the snapshot.
    pub(crate) position: LogPosition,
    pub(crate) series: u64,
    /// References that name a series known under another one.
    pub(crate) names: IntMap<u64, u64>,
    /// No higher reference has been given away.
    pub(crate) highest_ref: u64,
}
