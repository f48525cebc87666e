//! Reading the log when a database is opened: which files, in which order, and what to do about
//! a damaged one.

use std::path::{Path, PathBuf};

use storage::{Fs, Map, StorageError};

use super::fragment::{PAGE_BYTES, Torn};
use super::segment::{checkpoint_path, checkpoints, segment_path, segments};

/// What there is to replay.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogFiles {
    /// The last checkpoint and its segments, in order.
    pub(crate) checkpoint: Option<(u32, Vec<PathBuf>)>,
    /// The segments behind it.
    pub(crate) segments: Vec<u32>,
}

/// Lists the log's files, and removes checkpoints that were never completed.
///
/// # Errors
/// Where the directory cannot be read or a segment is missing.
pub(crate) fn log_files(fs: &dyn Fs, dir: &Path) -> Result<LogFiles, StorageError> {
    if !fs.exists(dir) {
        return Ok(LogFiles::default());
    }
    let io = |e| StorageError::io(format!("list {}", dir.display()), e);
    for e in fs.read_dir(dir).map_err(io)? {
        if e.is_dir && e.name.starts_with("checkpoint.") && e.name.ends_with(".tmp") {
            fs.remove_dir_all(&dir.join(&e.name)).map_err(io)?;
        }
    }
    let mut files = LogFiles::default();
    if let Some(n) = checkpoints(fs, dir)?.last().copied() {
        let dir = checkpoint_path(dir, n);
        let paths = segments(fs, &dir)?.into_iter().map(|(s, _)| segment_path(&dir, s)).collect();
        files.checkpoint = Some((n, paths));
    }
    let from = files.checkpoint.as_ref().map_or(0, |(n, _)| n + 1);
    if segments(fs, dir).is_err() {
        // Power loss while covered segments were being removed can leave any of them behind.
        for e in fs.read_dir(dir).map_err(io)? {
            if !e.is_dir
                && e.name.bytes().all(|b| b.is_ascii_digit())
                && e.name.parse().is_ok_and(|n: u32| n < from)
            {
                fs.remove_file(&dir.join(&e.name)).map_err(io)?;
            }
        }
    }
    files.segments = segments(fs, dir)?.into_iter().map(|(n, _)| n).filter(|n| *n >= from).collect();
    if files.checkpoint.is_some() && files.segments.first().is_some_and(|first| *first != from) {
        let path = segment_path(dir, from);
        return Err(StorageError::Corrupt(format!("open WAL segment: {}: no such file", path.display())));
    }
    Ok(files)
}

/// The bytes of a segment that nobody writes.
///
/// # Errors
/// The system's.
pub(crate) fn map_segment(fs: &dyn Fs, path: &Path) -> Result<Map, StorageError> {
    fs.map(path).map_err(|e| StorageError::io(format!("map {}", path.display()), e))
}

/// Cuts a damaged segment off where the first bad record begins, and removes those behind it, as
/// Prometheus does: what follows may depend on what is lost.
///
/// # Errors
/// The system's.
pub(crate) fn repair(fs: &dyn Fs, dir: &Path, segment: u32, torn: &Torn) -> Result<(), StorageError> {
    let path = segment_path(dir, segment);
    let io = |e| StorageError::io(format!("repair {}", path.display()), e);
    // From the end, so that a crash in between leaves no gap.
    for (n, _) in segments(fs, dir)?.into_iter().rev().filter(|(n, _)| *n > segment) {
        fs.remove_file(&segment_path(dir, n)).map_err(io)?;
    }
    let end = torn.offset as u64;
    fs.set_len(&path, end).map_err(io)?;
    fs.set_len(&path, end.next_multiple_of(PAGE_BYTES as u64)).map_err(io)?;
    fs.open_append(&path).and_then(|mut f| f.sync()).map_err(io)?;
    fs.sync_dir(dir).map_err(io)
}

/// Removes the segments and checkpoints that the checkpoint up to `last` stands for.
///
/// # Errors
/// The system's; what is left over harms nobody.
pub(crate) fn remove_covered(fs: &dyn Fs, dir: &Path, last: u32) -> Result<(), StorageError> {
    let io = |e| StorageError::io(format!("truncate {}", dir.display()), e);
    for (n, _) in segments(fs, dir)?.into_iter().filter(|(n, _)| *n <= last) {
        fs.remove_file(&segment_path(dir, n)).map_err(io)?;
        // One after the other, so that power loss leaves no gap.
        fs.sync_dir(dir).map_err(io)?;
    }
    for n in checkpoints(fs, dir)?.into_iter().filter(|n| *n < last) {
        fs.remove_dir_all(&checkpoint_path(dir, n)).map_err(io)?;
    }
    Ok(())
}
