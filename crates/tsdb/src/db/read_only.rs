//! Looking at a data directory without touching it, whoever else has it open: no lock is taken,
//! and what opening repairs, truncates or creates stays in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use storage::{Fs, OverlayFs, StorageError};

use super::blocks::{io, list};
use super::{Db, DbOptions};
use crate::block::{Block, BlockMeta, Ulid};

/// Blocks may be deleted and the log truncated while they are being opened: so often it is tried.
const ATTEMPTS: usize = 5;

impl Db {
    /// Opens the database in `options.dir` for queries only, as it is at this moment: blocks are
    /// mapped, head and log are read into memory. Another process may have it open. Nothing is
    /// written; what is appended all the same never leaves memory.
    ///
    /// # Errors
    /// Where the directory does not exist, or its contents cannot be read.
    pub fn open_read_only(mut options: DbOptions) -> Result<Self, StorageError> {
        let below = options.fs.clone();
        // Only an error of the system's tells.
        below.read_dir(&options.dir).map_err(|e| io("open", &options.dir, e))?;
        options.no_lockfile = true;
        options.snapshot_on_close = false;
        retry(|| {
            let options =
                DbOptions { fs: Arc::new(OverlayFs::new(below.clone(), sealed)), ..options.clone() };
            Self::open(options)
        })
    }
}

/// The blocks in a data directory, those included that others replace, in order of time.
///
/// # Errors
/// Where one cannot be opened that no other one replaces.
pub fn read_blocks(fs: &dyn Fs, dir: &Path) -> Result<Vec<Block>, StorageError> {
    retry(|| {
        let (mut blocks, mut corrupt) = (Vec::new(), BTreeMap::new());
        for ulid in list(fs, dir)?.iter().filter_map(|name| Ulid::from_str(name).ok()) {
            let path = dir.join(ulid.to_string());
            // As when the database is opened: such a directory is no block.
            if BlockMeta::read(fs, &path).is_err() {
                continue;
            }
            match Block::open(fs, &path) {
                Ok(block) => blocks.push(block),
                Err(e) => drop(corrupt.insert(ulid, e)),
            }
        }
        for parent in blocks.iter().flat_map(|b: &Block| &b.meta().compaction.parents) {
            corrupt.remove(&parent.ulid);
        }
        if !corrupt.is_empty() {
            if corrupt.values().all(vanished) {
                return corrupt.into_values().next().map_or(Ok(Vec::new()), Err);
            }
            let texts = corrupt.iter().map(|(ulid, e)| format!("corrupted block {ulid}: {e}"));
            return Err(StorageError::Corrupt(texts.collect::<Vec<_>>().join("\n")));
        }
        blocks.sort_by_key(|b| (b.meta().min_ms, b.meta().max_ms, b.meta().ulid));
        Ok(blocks)
    })
}

/// The block that was made last.
///
/// # Errors
/// Where the directory cannot be read or has no block.
pub fn last_block(fs: &dyn Fs, dir: &Path) -> Result<Ulid, StorageError> {
    let blocks = list(fs, dir)?.into_iter().filter_map(|name| Ulid::from_str(&name).ok());
    blocks
        .max_by_key(|ulid| ulid.time_ms())
        .ok_or_else(|| StorageError::Invalid("no blocks found".to_owned()))
}

fn vanished(e: &StorageError) -> bool {
    matches!(e, StorageError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// Tries again where a file was listed but is gone.
fn retry<T>(open: impl Fn() -> Result<T, StorageError>) -> Result<T, StorageError> {
    let mut result = open();
    for _ in 1..ATTEMPTS {
        if !result.as_ref().err().is_some_and(vanished) {
            break;
        }
        result = open();
    }
    result
}

/// Whether nobody truncates a file: segments of the logs are, when they are repaired.
fn sealed(path: &Path) -> bool {
    let digits = |name: &str| name.len() == 8 && name.bytes().all(|b| b.is_ascii_digit());
    !path.file_name().and_then(|name| name.to_str()).is_some_and(digits)
}

#[cfg(test)]
mod tests {
    use model::{Labels, SeriesRef};
    use storage::{Inline, ManualClock, MemFs, Queryable, SelectHints};

    use super::*;

    fn options(fs: &MemFs) -> DbOptions {
        DbOptions::new("data", Arc::new(fs.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline))
    }

    fn files(fs: &MemFs, dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut out = Vec::new();
        for e in fs.read_dir(dir).unwrap() {
            let path = dir.join(&e.name);
            if e.is_dir {
                out.push((path.display().to_string(), Vec::new()));
                out.extend(files(fs, &path));
            } else {
                out.push((path.display().to_string(), fs.read(&path).unwrap()));
            }
        }
        out
    }

    fn samples(db: &Db) -> usize {
        let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, ..SelectHints::default() };
        let set = db.querier(0, i64::MAX).unwrap().select(&hints, &[]).unwrap();
        let mut columns = model::Columns::default();
        (0..set.len()).for_each(|i| set.read(i, &mut columns).unwrap());
        columns.len()
    }

    #[test]
    fn sees_an_open_database_and_touches_nothing() {
        let fs = MemFs::new();
        assert!(Db::open_read_only(options(&fs)).is_err(), "there is no directory");
        assert!(!fs.exists(Path::new("data")));
        let db = Db::open(options(&fs)).unwrap();
        let labels = Labels::from_pairs([("__name__", "up")]);
        for i in 0..800 {
            let mut a = db.appender();
            a.append(SeriesRef::NONE, &labels, i * 15_000, 0, i as f64).unwrap();
            a.commit().unwrap();
        }
        db.compact().unwrap();
        assert_eq!(db.blocks().len(), 1);
        let before = files(&fs, Path::new("data"));
        let looked = Db::open_read_only(options(&fs)).unwrap();
        assert_eq!(samples(&looked), 800);
        looked.compact().unwrap();
        looked.close().unwrap();
        assert!(files(&fs, Path::new("data")) == before, "the directory has changed");
        let blocks = read_blocks(&fs, Path::new("data")).unwrap();
        assert_eq!(last_block(&fs, Path::new("data")).unwrap(), blocks[0].meta().ulid);
        db.close().unwrap();
    }

    #[test]
    fn a_torn_end_is_repaired_in_memory_only() {
        let fs = MemFs::new();
        let db = Db::open(options(&fs)).unwrap();
        for i in 0..10 {
            let mut a = db.appender();
            a.append(SeriesRef::NONE, &Labels::from_pairs([("__name__", "up")]), i, 0, 1.0).unwrap();
            a.commit().unwrap();
        }
        let segment = Path::new("data/wal/00000000");
        let len = fs.open_read(segment).unwrap().len().unwrap();
        fs.set_len(segment, len - 3).unwrap();
        let before = files(&fs, Path::new("data"));
        let looked = Db::open_read_only(options(&fs)).unwrap();
        assert!(looked.replay_report().wal_repaired.is_some());
        assert_eq!(samples(&looked), 9);
        assert!(files(&fs, Path::new("data")) == before, "the directory has changed");
    }
}
