//! Blocks of Prometheus' whose files are bytes in memory, as a data directory to open.

use std::path::Path;

use storage::MemFs;
use tsdb::block::{Block, BlockMeta};

use crate::error::EngineError;

/// A file of a block: its path in the block's directory (`meta.json`, `index`, `chunks/000001`,
/// `tombstones`), and its bytes.
pub type BlockFile = (String, Vec<u8>);

const META: &str = "meta.json";

/// A file system in whose directory `dir` are these blocks. The bytes are kept, not copied.
///
/// # Errors
/// [`crate::ErrorCode::InvalidArgument`] where a file is none of a block's or is missing,
/// [`crate::ErrorCode::Corrupt`] where a block cannot be read.
pub fn mount(dir: &Path, blocks: Vec<Vec<BlockFile>>) -> Result<MemFs, EngineError> {
    let fs = MemFs::new();
    for (i, files) in blocks.into_iter().enumerate() {
        mount_block(&fs, dir, i, files)
            .map_err(|e| EngineError { message: format!("block {i}: {}", e.message), ..e })?;
    }
    Ok(fs)
}

fn mount_block(fs: &MemFs, dir: &Path, i: usize, files: Vec<BlockFile>) -> Result<(), EngineError> {
    for name in [META, "index"] {
        if !files.iter().any(|(path, _)| path == name) {
            return Err(EngineError::invalid(format!("the file {name} is missing")));
        }
    }
    // Its name is written in one of its files, so it waits in another directory.
    let unnamed = dir.join(format!("block-{i}"));
    for (path, bytes) in files {
        if !is_block_file(&path) {
            return Err(EngineError::invalid(format!("{path:?} is no file of a block")));
        }
        fs.put(&unnamed.join(path), bytes);
    }
    let named = dir.join(BlockMeta::read(fs, &unnamed)?.ulid.to_string());
    if storage::Fs::exists(fs, &named) {
        return Err(EngineError::invalid("the same block is there twice"));
    }
    storage::Fs::rename(fs, &unnamed, &named).map_err(|e| EngineError::invalid(e.to_string()))?;
    Block::open(fs, &named)?;
    Ok(())
}

fn is_block_file(path: &str) -> bool {
    let segment = path.strip_prefix("chunks/");
    let is_segment = segment.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()));
    is_segment || matches!(path, META | "index" | "tombstones")
}
