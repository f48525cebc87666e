//! Segment files and checkpoint directories by name.

use std::path::{Path, PathBuf};

use storage::{Fs, StorageError};

const CHECKPOINT: &str = "checkpoint.";

/// The file of a segment.
pub(crate) fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}"))
}

/// The directory of the checkpoint that stands for all segments up to `segment`.
pub(crate) fn checkpoint_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{CHECKPOINT}{segment:08}"))
}

/// Segment numbers and sizes in order.
///
/// # Errors
/// Where one is missing in between.
pub(crate) fn segments(fs: &dyn Fs, dir: &Path) -> Result<Vec<(u32, u64)>, StorageError> {
    let entries = fs.read_dir(dir).map_err(|e| StorageError::io(format!("list {}", dir.display()), e))?;
    let mut found: Vec<(u32, u64)> = entries
        .iter()
        .filter(|e| !e.is_dir && e.name.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|e| Some((e.name.parse().ok()?, e.len)))
        .collect();
    found.sort_unstable();
    if found.windows(2).any(|w| w[1].0 != w[0].0 + 1) {
        return Err(StorageError::Corrupt(format!("{}: segments are not sequential", dir.display())));
    }
    Ok(found)
}

/// Numbers of the checkpoints, in order.
///
/// # Errors
/// The system's.
pub(crate) fn checkpoints(fs: &dyn Fs, dir: &Path) -> Result<Vec<u32>, StorageError> {
    let entries = fs.read_dir(dir).map_err(|e| StorageError::io(format!("list {}", dir.display()), e))?;
    let number = |name: &str| name.strip_prefix(CHECKPOINT)?.parse::<u32>().ok();
    let mut found: Vec<u32> = entries.iter().filter(|e| e.is_dir).filter_map(|e| number(&e.name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Bytes of all files in the log's directory and its checkpoints; what cannot be read counts as 0.
pub(crate) fn directory_bytes(fs: &dyn Fs, dir: &Path) -> u64 {
    let Ok(entries) = fs.read_dir(dir) else { return 0 };
    entries.iter().map(|e| if e.is_dir { directory_bytes(fs, &dir.join(&e.name)) } else { e.len }).sum()
}
