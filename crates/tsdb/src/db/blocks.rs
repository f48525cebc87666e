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
        let gone = in_order_of_deletion(blocks.iter().map(Block::meta), &obsolete);
        blocks.retain(|b| !obsolete.contains(&b.meta().ulid));
        self.set(blocks);
        delete(fs, dir, &gone, log)
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

/// The order in which a crash at any moment leaves no gap in time, and brings no block back that
/// another one replaces: the oldest first, and parents before their children. `known` are the blocks
/// that can be opened.
fn in_order_of_deletion<'a>(
    known: impl Iterator<Item = &'a BlockMeta>,
    obsolete: &BTreeSet<Ulid>,
) -> Vec<Ulid> {
    let known: BTreeMap<Ulid, &BlockMeta> = known.map(|m| (m.ulid, m)).collect();
    let mut oldest_first: Vec<Ulid> = obsolete.iter().copied().collect();
    // One that cannot be opened is somebody's parent, and comes before all others.
    oldest_first.sort_by_key(|ulid| known.get(ulid).map(|m| (m.max_ms, m.min_ms)));
    let mut order = Vec::with_capacity(oldest_first.len());
    let mut placed = BTreeSet::new();
    for ulid in oldest_first {
        // The block, and behind it those that go first.
        let mut line = vec![ulid];
        let mut at = 0;
        while at < line.len() {
            let parents = known.get(&line[at]).map_or(&[][..], |m| &m.compaction.parents);
            for parent in parents.iter().map(|p| p.ulid).filter(|p| obsolete.contains(p)) {
                if !line.contains(&parent) {
                    line.push(parent);
                }
            }
            at += 1;
        }
        order.extend(line.into_iter().rev().filter(|ulid| placed.insert(*ulid)));
    }
    order
}

/// Deletes those of the blocks that are in `dir`, in this order, each at one stroke for whoever opens
/// it next.
pub(super) fn delete(fs: &dyn Fs, dir: &Path, blocks: &[Ulid], log: Log<'_>) -> Result<(), StorageError> {
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
    use crate::block::BlockDesc;

    #[test]
    fn the_oldest_and_parents_go_first() {
        let ulid = |n: u128| Ulid::new(0, n);
        let block = |n: u128, min_ms: i64, parents: &[u128]| {
            let mut m = BlockMeta::from_head(ulid(n), min_ms, min_ms + 10);
            let parent = |p: &u128| BlockDesc { ulid: ulid(*p), min_ms: 0, max_ms: 0 };
            m.compaction.parents = parents.iter().map(parent).collect();
            m
        };
        // 3 was made of 7 and 8, which was made of 9 and of 2, which cannot be opened. 4 and 5 claim
        // to be each other's parents.
        let all = [
            block(1, 50, &[]),
            block(3, 0, &[7, 8]),
            block(6, 20, &[]),
            block(7, 0, &[]),
            block(8, 10, &[9, 2]),
            block(9, 10, &[]),
            block(4, 70, &[5]),
            block(5, 70, &[4]),
        ];
        let order = |obsolete: &[u128]| {
            let obsolete = obsolete.iter().map(|n| ulid(*n)).collect();
            let order = in_order_of_deletion(all.iter(), &obsolete);
            order.iter().map(|u| (1..10).find(|n| ulid(*n) == *u).unwrap()).collect::<Vec<u128>>()
        };
        assert_eq!(order(&[1, 3, 6]), [3, 6, 1]);
        assert_eq!(order(&[3, 6, 7, 8, 9, 2]), [2, 9, 8, 7, 3, 6]);
        let mut round = order(&[4, 5, 1]);
        assert_eq!(round.remove(0), 1);
        round.sort_unstable();
        assert_eq!(round, [4, 5]);
    }

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
