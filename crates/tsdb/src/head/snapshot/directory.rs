//! Snapshots in the data directory, by name.

use std::path::{Path, PathBuf};

use storage::{Fs, StorageError};

use super::LogPosition;

const PREFIX: &str = "chunk_snapshot.";

/// A snapshot that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) dir: PathBuf,
    /// The log up to here is in it.
    pub(crate) position: LogPosition,
}

/// The name of the snapshot up to `position`.
pub(super) fn name(position: LogPosition) -> String {
    format!("{PREFIX}{:06}.{:010}", position.segment, position.offset)
}

fn parse(name: &str) -> Option<LogPosition> {
    let (segment, offset) = name.strip_prefix(PREFIX)?.split_once('.')?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(segment) || !digits(offset) {
        return None;
    }
    Some(LogPosition { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}

/// The snapshots in the data directory, in order of position. What is unfinished is none.
///
/// # Errors
/// The system's.
pub(crate) fn snapshots(fs: &dyn Fs, parent: &Path) -> Result<Vec<Snapshot>, StorageError> {
    let entries =
        fs.read_dir(parent).map_err(|e| StorageError::io(format!("list {}", parent.display()), e))?;
    let found = entries.into_iter().filter(|e| e.is_dir);
    let mut found: Vec<_> = found
        .filter_map(|e| Some(Snapshot { position: parse(&e.name)?, dir: parent.join(&e.name) }))
        .collect();
    found.sort_unstable_by_key(|s| s.position);
    Ok(found)
}

/// Removes snapshots, each at one stroke for whoever looks next: what is left of one would be read as a
/// smaller one.
///
/// # Errors
/// The system's.
pub(crate) fn drop_snapshots(fs: &dyn Fs, parent: &Path, all: &[Snapshot]) -> Result<(), StorageError> {
    for s in all {
        let fail = |e| StorageError::io(format!("remove {}", s.dir.display()), e);
        let aside = unfinished(&s.dir);
        if fs.exists(&aside) {
            fs.remove_dir_all(&aside).map_err(fail)?;
        }
        fs.rename(&s.dir, &aside).map_err(fail)?;
        fs.sync_dir(parent).map_err(fail)?;
        fs.remove_dir_all(&aside).map_err(fail)?;
    }
    Ok(())
}

/// What a snapshot is called while it is being written or removed.
pub(super) fn unfinished(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
