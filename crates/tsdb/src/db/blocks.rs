//! The blocks on disk: finding, opening, and handing them to queries.

use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use model::TimestampMs;
use storage::{Fs, StorageError};

use crate::block::{
    Block, BlockMeta, HINT_FROM_OUT_OF_ORDER, TMP_FOR_CREATION_SUFFIX, TMP_FOR_DELETION_SUFFIX, Ulid,
};

/// The loaded blocks, in order of time.
#[derive(Default)]
pub(super) struct Blocks(RwLock<Arc<Vec<Block>>>);

impl Blocks {
    /// Opens all blocks in the data directory, and removes what a crash left unfinished.
    pub(super) fn load(fs: &dyn Fs, dir: &Path) -> Result<Self, StorageError> {
        let io = |e| StorageError::io(format!("list {}", dir.display()), e);
        let mut blocks = Vec::new();
        for entry in fs.read_dir(dir).map_err(io)?.into_iter().filter(|e| e.is_dir) {
            let path = dir.join(&entry.name);
            if entry.name.ends_with(TMP_FOR_CREATION_SUFFIX) || entry.name.ends_with(TMP_FOR_DELETION_SUFFIX)
            {
                fs.remove_dir_all(&path)
                    .map_err(|e| StorageError::io(format!("remove {}", path.display()), e))?;
            } else if Ulid::from_str(&entry.name).is_ok() {
                blocks.push(Block::open(fs, &path)?);
            }
        }
        let loaded = Self::default();
        blocks.into_iter().for_each(|b| loaded.add(b));
        Ok(loaded)
    }

    pub(super) fn all(&self) -> Arc<Vec<Block>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Queries that begin from now on see the block.
    pub(super) fn add(&self, block: Block) {
        let mut blocks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = blocks.as_ref().clone();
        all.push(block);
        all.sort_by_key(|b| (b.meta().min_ms, b.meta().max_ms, b.meta().ulid));
        *blocks = Arc::new(all);
    }

    /// The end of the last block that was cut from samples in order: the head begins there.
    pub(super) fn end_ms(&self) -> Option<TimestampMs> {
        let in_order = |m: &BlockMeta| !m.compaction.hints.iter().any(|h| h == HINT_FROM_OUT_OF_ORDER);
        self.all().iter().map(Block::meta).filter(|m| in_order(m)).map(|m| m.max_ms).max()
    }

    /// The start of the first block.
    pub(super) fn start_ms(&self) -> Option<TimestampMs> {
        self.all().iter().map(|b| b.meta().min_ms).min()
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.all().iter().map(Block::size_bytes).sum()
    }
}
