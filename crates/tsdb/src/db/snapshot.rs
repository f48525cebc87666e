//! Chunk snapshots: loading the newest on opening, writing one on closing.

use storage::StorageError;

use super::options::{DbOptions, LogLevel};
use super::{Inner, WAL_DIR};
use crate::head::{Head, Loaded, LogPosition, drop_snapshots, load_snapshot, snapshots, write_snapshot};
use crate::wal::segment::segments;

/// A snapshot that is of no use.
pub(super) struct Dropped {
    pub(super) why: String,
    /// It is damaged: the head that it was to fill must be thrown away.
    pub(super) damaged: bool,
}

/// Fills the new head from the newest snapshot, if there is one and it is to be used. One that is
/// damaged, or that the log does not reach, is removed: head chunks and log have what was in it.
///
/// # Errors
/// Where a directory cannot be read or changed.
pub(super) fn load(
    options: &DbOptions,
    head: &Head,
) -> Result<(Option<Loaded>, Option<Dropped>), StorageError> {
    let (fs, dir) = (&*options.fs, &options.dir);
    if !options.snapshot_on_close {
        return Ok((None, None));
    }
    options.log(LogLevel::Info, "Chunk snapshot is enabled, replaying from the snapshot");
    let Some(newest) = snapshots(fs, dir)?.pop() else { return Ok((None, None)) };
    let wal_dir = dir.join(WAL_DIR);
    let last_segment = if fs.exists(&wal_dir) { segments(fs, &wal_dir)?.pop() } else { None };
    if last_segment.is_none_or(|(n, _)| n < newest.position.segment) {
        let text = "Last WAL file is behind snapshot, removing snapshots";
        options.log(LogLevel::Warn, text);
        drop_all(options)?;
        return Ok((None, Some(Dropped { why: text.to_owned(), damaged: false })));
    }
    let start_ns = options.clock.monotonic_ns();
    match load_snapshot(head, fs, &*options.spawn, &newest) {
        Ok(loaded) => {
            let took_ms = options.clock.monotonic_ns().saturating_sub(start_ns) / 1_000_000;
            let (dir, n) = (newest.dir.display(), loaded.series);
            let text = format!("chunk snapshot loaded dir={dir} num_series={n} duration={took_ms}ms");
            options.log(LogLevel::Info, &text);
            Ok((Some(loaded), None))
        }
        Err(why) => {
            let text = format!("Failed to load chunk snapshot, replaying the whole log: {why}");
            options.log(LogLevel::Error, &text);
            drop_all(options)?;
            Ok((None, Some(Dropped { why, damaged: true })))
        }
    }
}

/// Removes all snapshots.
///
/// # Errors
/// The system's.
pub(super) fn drop_all(options: &DbOptions) -> Result<(), StorageError> {
    let all = snapshots(&*options.fs, &options.dir)?;
    drop_snapshots(&*options.fs, &options.dir, &all)
}

impl Inner {
    /// Writes a snapshot of the head, whose logs and chunks have been closed without an error.
    pub(super) fn write_snapshot(&self) -> Result<(), StorageError> {
        let Some(wal) = self.head.wal() else { return Ok(()) };
        // Nobody writes a log that is closed.
        let Some((segment, offset)) = wal.end() else { return Ok(()) };
        self.options.log(LogLevel::Info, "creating chunk snapshot");
        let start_ns = self.options.clock.monotonic_ns();
        let position = LogPosition { segment, offset };
        let written = write_snapshot(&self.head, wal.options(), &self.options.dir, position)
            .inspect_err(|e| self.options.log(LogLevel::Error, &format!("chunk snapshot: {e}")))?;
        let took_ms = self.options.clock.monotonic_ns().saturating_sub(start_ns) / 1_000_000;
        if let Some((snapshot, n)) = written {
            let dir = snapshot.dir.display();
            let text = format!("chunk snapshot complete duration={took_ms}ms num_series={n} dir={dir}");
            self.options.log(LogLevel::Info, &text);
        }
        Ok(())
    }
}
