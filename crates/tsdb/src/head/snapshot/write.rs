//! Writing a snapshot of a head in which nothing happens any more.

use std::path::Path;

use model::TimestampMs;
use storage::StorageError;

use super::LogPosition;
use super::directory::{Snapshot, drop_snapshots, name, snapshots, unfinished};
use super::record::{ChunkRecord, put_exemplar_record, put_series, put_tombstones};
use crate::head::page::PAGE_SERIES;
use crate::head::{Head, lock};
use crate::tombstones::Interval;
use crate::wal::Output;
use crate::wal::WalOptions;

/// Exemplars per record.
const EXEMPLARS_PER_RECORD: usize = 10_000;

/// Writes the snapshot up to `position` into the data directory `parent`, then removes older ones.
/// The head must be closed: all commits in their series, all full chunks on the disk, the log synced.
/// Returns the snapshot and the number of its series, `None` where it is there already.
///
/// # Errors
/// The system's: what was there before is still there.
pub(crate) fn write(
    head: &Head,
    options: &WalOptions,
    parent: &Path,
    position: LogPosition,
) -> Result<Option<(Snapshot, u64)>, StorageError> {
    let fs = &*options.fs;
    let mut older = snapshots(fs, parent)?;
    if older.iter().any(|s| s.position == position) {
        return Ok(None);
    }
    let dir = parent.join(name(position));
    let temporary = unfinished(&dir);
    let fail = |e| StorageError::io(format!("write {}", temporary.display()), e);
    if fs.exists(&temporary) {
        fs.remove_dir_all(&temporary).map_err(fail)?;
    }
    fs.create_dir_all(&temporary).map_err(fail)?;
    let written = Output::new(options, &temporary).and_then(|out| head.put_snapshot(out));
    let series = match written {
        Ok(series) => series,
        Err(e) => {
            // What is left is removed by the next start.
            let _ = fs.remove_dir_all(&temporary);
            return Err(e);
        }
    };
    fs.sync_dir(&temporary).map_err(fail)?;
    fs.rename(&temporary, &dir).map_err(fail)?;
    fs.sync_dir(parent).map_err(fail)?;
    older.retain(|s| s.position < position);
    drop_snapshots(fs, parent, &older)?;
    Ok(Some((Snapshot { dir, position }, series)))
}

impl Head {
    /// Writes all records; returns how many series there are.
    fn put_snapshot(&self, mut out: Output<'_>) -> Result<u64, StorageError> {
        let mut buf = Vec::new();
        let (mut count, mut highest) = (0, 0);
        let symbols = self.symbols.read();
        for (number, page) in self.pages.all() {
            for (slot, s) in page.lock().iter() {
                let series = number * PAGE_SERIES + slot;
                let chunk = s.open.as_ref().map(|o| {
                    ChunkRecord::new((o.min_ms(), o.max_ms()), o.encoding(), o.bytes(), o.last_value())
                });
                let chunk = chunk
                    .transpose()
                    .map_err(|e| StorageError::Corrupt(format!("open chunk of series {series}: {e}")))?;
                buf.clear();
                put_series(&mut buf, series, &s.labels.resolve(&symbols), chunk.as_ref());
                out.put(&buf)?;
                (count, highest) = (count + 1, series.max(highest));
            }
        }
        for (other, series) in self.names_in_use() {
            let Some(page) = self.page_of(series) else { continue };
            let Some(labels) = page.lock().get(series).map(|s| s.labels.resolve(&symbols)) else { continue };
            buf.clear();
            put_series(&mut buf, other, &labels, None);
            out.put(&buf)?;
            highest = highest.max(other);
        }
        drop(symbols);
        let mut tombstones = (*self.tombstones()).clone();
        let last_ref = self.last_ref.load(std::sync::atomic::Ordering::Relaxed);
        if last_ref > highest {
            // Deletes nothing, and says that the reference has been given away.
            tombstones.add(last_ref, Interval { min_ms: TimestampMs::MIN, max_ms: TimestampMs::MIN });
        }
        buf.clear();
        put_tombstones(&mut buf, &tombstones);
        out.put(&buf)?;
        let exemplars = self.exemplars_in_order();
        for batch in exemplars.chunks(EXEMPLARS_PER_RECORD) {
            buf.clear();
            put_exemplar_record(&mut buf, batch);
            out.put(&buf)?;
        }
        out.finish()?;
        Ok(count)
    }

    /// Other names of series by which head chunks or a log may still call them, in order.
    fn names_in_use(&self) -> Vec<(u64, u64)> {
        let min_valid_ms = self.min_valid_ms();
        let expiries = lock(&self.wal_expiries);
        let late = self.ooo.wbl_names();
        let names = lock(&self.other_names);
        let used = |name: &u64| {
            late.contains(name) || expiries.get(name).is_some_and(|until| *until >= min_valid_ms)
        };
        let mut names: Vec<_> = names.iter().filter(|(n, _)| used(n)).map(|(n, s)| (*n, *s)).collect();
        names.sort_unstable();
        names
    }
}
