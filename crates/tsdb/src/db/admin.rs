//! What an administrator asks for: deleting, cleaning, copying.

use std::path::Path;
use std::str::FromStr;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use model::{Matcher, TimestampMs};
use storage::StorageError;

use super::{Db, Upkeep};
use crate::block::Ulid;

impl Db {
    /// Marks the samples with `min_ms ≤ t ≤ max_ms` of the series that satisfy all matchers as
    /// deleted, in head and blocks. One after the other: what was deleted before an error stays
    /// deleted. Queries that run go on seeing the samples.
    ///
    /// # Errors
    /// Where a block or the log cannot be read or written, or the database is closed.
    pub fn delete(
        &self,
        min_ms: TimestampMs,
        max_ms: TimestampMs,
        matchers: &[Matcher],
    ) -> Result<(), StorageError> {
        self.exclusively(|_| {
            let inner = &self.inner;
            for block in inner.blocks.all().iter().filter(|b| b.overlaps(min_ms, max_ms)) {
                if let Some(changed) = block.delete(&*inner.options.fs, min_ms, max_ms, matchers)? {
                    inner.blocks.add(changed);
                }
            }
            inner.head.delete(min_ms, max_ms, matchers)
        })
    }

    /// Writes every block with deleted samples again without them.
    ///
    /// # Errors
    /// Where a block cannot be read or written, or the database is closed.
    pub fn clean_tombstones(&self) -> Result<(), StorageError> {
        self.exclusively(|_| self.inner.clean_tombstones())
    }

    /// Makes a copy of all blocks in the directory `dir`, which is made; with the head's samples as
    /// a block of their own, and blocks of those that came late, if `with_head`. A database can be opened on the copy.
    ///
    /// # Errors
    /// Where `dir` is the data directory itself or named like a block, or the system refuses.
    pub fn snapshot(&self, dir: &Path, with_head: bool) -> Result<(), StorageError> {
        let inner = &self.inner;
        if dir == inner.options.dir {
            return Err(StorageError::Invalid("cannot snapshot into base directory".to_owned()));
        }
        if dir.to_str().is_some_and(|name| Ulid::from_str(name).is_ok()) {
            return Err(StorageError::Invalid("dir must not be a valid ULID".to_owned()));
        }
        self.exclusively(|_| {
            let fs = &*inner.options.fs;
            let made: Vec<&Path> = dir.ancestors().take_while(|d| !fs.exists(d)).collect();
            fs.create_dir_all(dir).map_err(|e| StorageError::io(format!("create {}", dir.display()), e))?;
            for block in inner.blocks.all().iter() {
                block.snapshot(fs, dir)?;
            }
            if with_head && inner.head.initialized() {
                inner.write_head(dir, inner.head.min_ms(), inner.head.max_ms().saturating_add(1))?;
            }
            if with_head {
                inner.snapshot_ooo(dir)?;
            }
            // A copy in a directory whose entry power loss takes is none.
            for parent in made.iter().filter_map(|d| d.parent()).filter(|d| !d.as_os_str().is_empty()) {
                fs.sync_dir(parent).map_err(|e| StorageError::io(format!("sync {}", parent.display()), e))?;
            }
            Ok(())
        })
    }

    /// Runs `f` while no upkeep does anything.
    pub(super) fn exclusively<T>(
        &self,
        f: impl FnOnce(&mut Upkeep) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut upkeep = self.inner.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        f(&mut upkeep)
    }
}
