//! What readers of the logs still need of them, and how far they have come in time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::TimestampMs;
use storage::{Fs, StorageError};

use super::TailPosition;
use super::log::segment_sizes;
use crate::wal::segment::segment_path;

/// The first segments that each reader needs. A clone shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogHolds(Arc<Mutex<Holds>>);

#[derive(Debug, Default)]
struct Holds {
    last_id: u64,
    readers: HashMap<u64, Reader>,
}

#[derive(Clone, Copy, Debug)]
struct Reader {
    /// The first segments that it needs, of the main log and of that of late samples.
    needed: (u32, u32),
    /// The highest time of what it is done with; 0 before the first.
    sent_ms: TimestampMs,
}

impl LogHolds {
    fn lock(&self) -> MutexGuard<'_, Holds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new reader, which needs everything from `position` on.
    pub(super) fn hold(&self, position: TailPosition) -> LogHold {
        let mut holds = self.lock();
        holds.last_id += 1;
        let id = holds.last_id;
        let needed = (position.wal.segment, position.wbl.segment);
        holds.readers.insert(id, Reader { needed, sent_ms: 0 });
        LogHold { id, holds: self.clone() }
    }

    /// The first segment of the main log that anybody needs.
    pub(crate) fn first_needed(&self) -> Option<u32> {
        self.lock().readers.values().map(|r| r.needed.0).min()
    }

    /// The first segment of the log of late samples that anybody needs.
    pub(crate) fn first_late_needed(&self) -> Option<u32> {
        self.lock().readers.values().map(|r| r.needed.1).min()
    }

    /// The highest time of what the slowest reader is done with; 0 where there is no reader.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn lowest_sent_ms(&self) -> TimestampMs {
        self.lock().readers.values().map(|r| r.sent_ms).min().unwrap_or(0)
    }
}

/// What one reader needs, until dropped.
#[derive(Debug)]
pub(super) struct LogHold {
    id: u64,
    holds: LogHolds,
}

impl LogHold {
    /// From now on only what is behind `position`. Whether it is another segment of the log of late samples.
    pub(super) fn advance(&self, position: TailPosition) -> bool {
        let needed = (position.wal.segment, position.wbl.segment);
        let mut holds = self.holds.lock();
        let Some(reader) = holds.readers.get_mut(&self.id) else { return false };
        let before = std::mem::replace(&mut reader.needed, needed);
        before.1 != needed.1
    }

    /// What has the time `t` is done with.
    pub(super) fn sent(&self, t: TimestampMs) {
        if let Some(reader) = self.holds.lock().readers.get_mut(&self.id) {
            reader.sent_ms = reader.sent_ms.max(t);
        }
    }

    /// The first segment of the log of late samples that anybody needs.
    pub(super) fn first_late_needed(&self) -> Option<u32> {
        self.holds.first_late_needed()
    }
}

impl Drop for LogHold {
    fn drop(&mut self) {
        self.holds.lock().readers.remove(&self.id);
    }
}

/// The last segment that may be taken away where `last` could, some are held from `needed` on, and what is held may have
/// `bytes_max` altogether. `segments` are those there are, in order, with their bytes.
pub(crate) fn last_free(
    segments: &[(u32, u64)],
    last: u32,
    needed: Option<u32>,
    bytes_max: u64,
) -> Option<u32> {
    let Some(needed) = needed.filter(|n| *n <= last) else { return Some(last) };
    let mut bytes = 0u64;
    let over = segments.iter().rev().find(|(_, len)| {
        bytes = bytes.saturating_add(*len);
        bytes > bytes_max
    });
    let free = needed.checked_sub(1).max(over.map(|(n, _)| *n));
    free.map(|n| n.min(last))
}

/// Takes the segments up to `last` out of the log of late samples in `dir`: those that somebody still needs go to the
/// directory `kept`, where a replay does not find them, all others go. Of what is kept, what nobody needs goes, and the
/// oldest beyond `bytes_max`.
///
/// # Errors
/// The system's; what is left over harms nobody.
pub(crate) fn retire_late(
    fs: &dyn Fs,
    (dir, kept): (&Path, &Path),
    last: u32,
    needed: Option<u32>,
    bytes_max: u64,
) -> Result<(), StorageError> {
    let io = |e| StorageError::io(format!("truncate {}", dir.display()), e);
    for (n, _) in segment_sizes(fs, dir)?.into_iter().filter(|(n, _)| *n <= last) {
        if needed.is_some_and(|needed| needed <= n) {
            fs.create_dir_all(kept).map_err(io)?;
            fs.rename(&segment_path(dir, n), &segment_path(kept, n)).map_err(io)?;
            fs.sync_dir(kept).map_err(io)?;
        } else {
            fs.remove_file(&segment_path(dir, n)).map_err(io)?;
        }
        // One after the other, so that power loss leaves no gap.
        fs.sync_dir(dir).map_err(io)?;
    }
    drop_kept(fs, kept, needed, bytes_max)
}

/// Removes what nobody needs of the segments that are kept, and the oldest beyond `bytes_max`.
///
/// # Errors
/// The system's.
pub(super) fn drop_kept(
    fs: &dyn Fs,
    kept: &Path,
    needed: Option<u32>,
    bytes_max: u64,
) -> Result<(), StorageError> {
    let segments = segment_sizes(fs, kept)?;
    let Some((newest, _)) = segments.last().copied() else { return Ok(()) };
    let Some(free) = last_free(&segments, newest, needed, bytes_max) else { return Ok(()) };
    for (n, _) in segments.into_iter().filter(|(n, _)| *n <= free) {
        let removed = fs.remove_file(&segment_path(kept, n)).and_then(|()| fs.sync_dir(kept));
        removed.map_err(|e| StorageError::io(format!("truncate {}", kept.display()), e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::LogPosition;
    use super::*;

    fn at(wal: u32, wbl: u32) -> TailPosition {
        let start = |segment| LogPosition { segment, offset: 7 };
        TailPosition { wal: start(wal), wbl: start(wbl) }
    }

    #[test]
    fn the_slowest_reader_counts_as_long_as_it_lives() {
        let holds = LogHolds::default();
        assert_eq!(holds.first_needed(), None);
        let (a, b) = (holds.hold(at(3, 1)), holds.hold(at(5, 0)));
        assert_eq!((holds.first_needed(), holds.first_late_needed()), (Some(3), Some(0)));
        assert!(!a.advance(at(9, 1)) && a.advance(at(9, 2)));
        assert_eq!(holds.first_needed(), Some(5));
        assert_eq!(holds.lowest_sent_ms(), 0);
        a.sent(70);
        b.sent(30);
        b.sent(20);
        assert_eq!(holds.lowest_sent_ms(), 30);
        drop(b);
        assert_eq!(holds.lowest_sent_ms(), 70);
        assert_eq!((holds.first_needed(), holds.first_late_needed()), (Some(9), Some(2)));
        drop(a);
        assert_eq!(holds.first_needed(), None);
    }

    #[test]
    fn what_is_held_stays_up_to_the_bound() {
        let segments: Vec<(u32, u64)> = (0..10).map(|n| (n, 100)).collect();
        let free = |last, needed, max| last_free(&segments, last, needed, max);
        assert_eq!(free(6, None, 0), Some(6));
        assert_eq!(free(6, Some(7), 0), Some(6), "nobody needs those");
        assert_eq!(free(6, Some(4), 1 << 20), Some(3));
        assert_eq!(free(6, Some(0), 1 << 20), None);
        // Segments 5 to 9 have 500 bytes.
        assert_eq!(free(6, Some(0), 500), Some(4));
        assert_eq!(free(6, Some(0), 499), Some(5));
        assert_eq!(free(6, Some(0), 0), Some(6), "never more than without");
    }
}
