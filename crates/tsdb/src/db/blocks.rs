//! The blocks on disk: finding, opening, handing them to queries, deleting what is obsolete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use model::TimestampMs;
use storage::{Fs, StorageError};

use super::options::LogLevel;
use crate::block::{Block, BlockMeta, TMP_FOR_CREATION_SUFFIX, TMP_FOR_DELETION_SUFFIX, Ulid};

/// What unfinished directories of older releases end with.
const TMP_LEGACY_SUFFIX: &str = ".tmp";
/// What the names of chunk snapshots begin with.
const CHUNK_SNAPSHOT_PREFIX: &str = "chunk_snapshot.";

/// A line of the log.
type Log<'a> = &'a dyn Fn(LogLevel, &str);

/// The loaded blocks, in order of time. Queries take the list as it is and keep it: what is
/// deleted afterwards stays readable for them.
#[derive(Default)]
pub(super) struct Blocks(RwLock<Arc<Vec<Block>>>);

impl Blocks {
    /// Opens all blocks in the data directory, and removes what a crash left unfinished.
    pub(super) fn load(fs: &dyn Fs, dir: &Path, log: Log<'_>) -> Result<Self, StorageError> {
        for entry in list(fs, dir)?.iter().filter(|name| is_unfinished(name)) {
            let path = dir.join(entry);
            fs.remove_dir_all(&path).map_err(|e| io("remove", &path, e))?;
        }
        let loaded = Self::default();
        loaded.reload(fs, dir, log, &|_| BTreeSet::new())?;
        Ok(loaded)
    }

    pub(super) fn all(&self) -> Arc<Vec<Block>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the list that of the data directory, for queries that begin from now on, and deletes
    /// the blocks that were compacted into others, are marked deletable, or that `beyond` chooses
    /// (Prometheus `DB.reloadBlocks`).
    ///
    /// # Errors
    /// Where a block cannot be opened that no other one replaces: the list stays as it was. Where
    /// an obsolete block cannot be deleted.
    pub(super) fn reload(
        &self,
        fs: &dyn Fs,
        dir: &Path,
        log: Log<'_>,
        beyond: &dyn Fn(&[Block]) -> BTreeSet<Ulid>,
    ) -> Result<(), StorageError> {
        let (mut blocks, mut corrupt) = self.open_all(fs, dir, log)?;
        let mut obsolete = beyond(&blocks);
        let marked = blocks.iter().map(Block::meta).filter(|m| m.compaction.deletable);
        obsolete.extend(marked.map(|m| m.ulid));
        // Deletion goes on where a crash ended it: the child is complete, so the parents may go.
        for parent in blocks.iter().flat_map(|b| &b.meta().compaction.parents) {
            obsolete.insert(parent.ulid);
            if corrupt.remove(&parent.ulid).is_some() {
                let text = format!("found corrupted block {}, but a compacted one replaces it", parent.ulid);
                log(LogLevel::Warn, &text);
            }
        }
        if !corrupt.is_empty() {
            let texts = corrupt.iter().map(|(ulid, e)| format!("corrupted block {ulid}: {e}"));
            return Err(StorageError::Corrupt(texts.collect::<Vec<_>>().join("\n")));
        }
        blocks.retain(|b| !obsolete.contains(&b.meta().ulid));
        self.set(blocks);
        delete(fs, dir, &obsolete, log)
    }

    /// The blocks of the directory, and those that cannot be opened.
    fn open_all(&self, fs: &dyn Fs, dir: &Path, log: Log<'_>) -> Result<Opened, StorageError> {
        let loaded = self.all();
        let (mut blocks, mut corrupt) = (Vec::new(), BTreeMap::new());
        for ulid in list(fs, dir)?.iter().filter_map(|name| Ulid::from_str(name).ok()) {
            if let Some(block) = loaded.iter().find(|b| b.meta().ulid == ulid) {
                blocks.push(block.clone());
                continue;
            }
            let path = dir.join(ulid.to_string());
            if let Err(e) = BlockMeta::read(fs, &path) {
                let text = format!("Failed to read meta.json for a block during reloadBlocks. Skipping: {e}");
                log(LogLevel::Error, &text);
                continue;
            }
            match Block::open(fs, &path) {
                Ok(block) => blocks.push(block),
                Err(e) => drop(corrupt.insert(ulid, e)),
            }
        }
        Ok((blocks, corrupt))
    }

    fn set(&self, mut blocks: Vec<Block>) {
        blocks.sort_by_key(|b| (b.meta().min_ms, b.meta().max_ms, b.meta().ulid));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(blocks);
    }

    /// Queries that begin from now on see the block, instead of an older handle on it if there is
    /// one.
    pub(super) fn add(&self, block: Block) {
        let mut all = self.all().as_ref().clone();
        all.retain(|b| b.meta().ulid != block.meta().ulid);
        all.push(block);
        self.set(all);
    }

    /// The end of the last block that was cut from samples in order: the head begins there.
    pub(super) fn end_ms(&self) -> Option<TimestampMs> {
        self.all().iter().map(Block::meta).filter(|m| m.is_in_order()).map(|m| m.max_ms).max()
    }

    /// The start of the first block.
    pub(super) fn start_ms(&self) -> Option<TimestampMs> {
        self.all().iter().map(|b| b.meta().min_ms).min()
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.all().iter().map(Block::size_bytes).sum()
    }
}

/// Blocks, and why others cannot be opened.
type Opened = (Vec<Block>, BTreeMap<Ulid, StorageError>);

/// The names of the directories in `dir`.
pub(super) fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<String>, StorageError> {
    let entries = fs.read_dir(dir).map_err(|e| io("list", dir, e))?;
    Ok(entries.into_iter().filter(|e| e.is_dir).map(|e| e.name).collect())
}

/// Whether a crash left this directory behind in the middle of something.
fn is_unfinished(name: &str) -> bool {
    let suffixes = [TMP_FOR_CREATION_SUFFIX, TMP_FOR_DELETION_SUFFIX, TMP_LEGACY_SUFFIX];
    let Some(stem) = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)) else { return false };
    Ulid::from_str(stem).is_ok() || stem.starts_with(CHUNK_SNAPSHOT_PREFIX)
}

/// Deletes those of the blocks that are in `dir`, each at one stroke for whoever opens it next.
pub(super) fn delete(
    fs: &dyn Fs,
    dir: &Path,
    blocks: &BTreeSet<Ulid>,
    log: Log<'_>,
) -> Result<(), StorageError> {
    for ulid in blocks {
        let path = dir.join(ulid.to_string());
        if !fs.exists(&path) {
            continue;
        }
        let tmp = dir.join(format!("{ulid}{TMP_FOR_DELETION_SUFFIX}"));
        if fs.exists(&tmp) {
            fs.remove_dir_all(&tmp).map_err(|e| io("remove", &tmp, e))?;
        }
        fs.rename(&path, &tmp).map_err(|e| io("rename", &path, e))?;
        fs.sync_dir(dir).map_err(|e| io("sync", dir, e))?;
        fs.remove_dir_all(&tmp).map_err(|e| io("remove", &tmp, e))?;
        log(LogLevel::Info, &format!("Deleting obsolete block {ulid}"));
    }
    Ok(())
}

pub(super) fn io(what: &str, path: &Path, e: std::io::Error) -> StorageError {
    StorageError::io(format!("{what} {}", path.display()), e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_directories() {
        let ulid = "01M81ZHRY277S4V0P2N6YWKFGF";
        for (name, want) in [
            (format!("{ulid}.tmp-for-creation"), true),
            (format!("{ulid}.tmp-for-deletion"), true),
            (format!("{ulid}.tmp"), true),
            ("chunk_snapshot.000001.0000000000.tmp".to_owned(), true),
            (ulid.to_owned(), false),
            ("backup.tmp".to_owned(), false),
            ("wal".to_owned(), false),
        ] {
            assert_eq!(is_unfinished(&name), want, "{name}");
        }
    }
}
