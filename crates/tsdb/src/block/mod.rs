//! Blocks: sealed directories that hold a span of time. Written once, then mapped and queried.
//! Knows nothing of the head, the log, or when blocks are cut, merged and deleted.
//!
//! The files are drawn in `FORMAT.md`. Merging blocks and cleaning tombstones belong to `compact/`,
//! which age and size have to go to `retention/`; both stand above this module.

mod edit;
mod meta;
mod querier;
mod reader;
pub(crate) mod segment;
mod ulid;
mod writer;

use model::TimestampMs;

pub use crate::tombstones::{Interval, Tombstones};
pub use meta::{
    BlockCompaction, BlockDesc, BlockMeta, BlockStats, HINT_FROM_OUT_OF_ORDER, HINT_FROM_SELECTED_SERIES,
    HINT_FROM_STALE_SERIES,
};
pub use reader::Block;
pub use ulid::{Ulid, UlidError};
pub use writer::BlockWriter;
pub(crate) use writer::SymbolBlockWriter;

/// What the name of a block's directory ends with while it is being written: such a directory is
/// left over from a crash and may be removed.
pub const TMP_FOR_CREATION_SUFFIX: &str = ".tmp-for-creation";
/// What the name of a block's directory ends with while it is being removed.
pub const TMP_FOR_DELETION_SUFFIX: &str = ".tmp-for-deletion";

/// The index's name in a block's directory.
const INDEX_FILE: &str = "index";

/// A chunk to be written.
#[derive(Clone, Copy, Debug)]
pub struct ChunkData<'a> {
    /// Time of its first sample.
    pub min_ms: TimestampMs,
    /// Time of its last sample.
    pub max_ms: TimestampMs,
    /// How `data` is encoded.
    pub encoding: chunk::Encoding,
    /// The chunk's bytes.
    pub data: &'a [u8],
}
