//! Checks every checksum, reference and order in a data directory, and says what is wrong where.
//! Only reads; knows formats, and nothing of an open database.
//!
//! What no checksum covers and nothing else contradicts goes unseen: in `meta.json` the level, sources,
//! parents and hints, and a span that is wider than its samples; in the files `lock` and
//! `queries.active` everything.

mod block;
mod head_chunks;
mod index;
mod log;
mod snapshot;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use model::TimestampMs;
use storage::{Fs, StorageError};

use crate::block::{BlockMeta, Ulid};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or directory.
    pub path: PathBuf,
    /// Where in the file, bytes.
    pub offset: Option<u64>,
    /// What sort of thing: `meta`, `index`, `chunk`, `tombstones`, `head chunk`, `log`, `snapshot`,
    /// `stray`.
    pub kind: &'static str,
    /// What is wrong.
    pub what: String,
    /// What becomes of it, or what to do.
    pub advice: &'static str,
}

/// What the check tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something is wrong.
    Found(Finding),
    /// A file or directory is looked at next.
    Checking(PathBuf),
}

/// Takes events; returning `false` ends the check.
pub type Sink<'a> = &'a mut dyn FnMut(Event) -> bool;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Blocks.
    pub blocks: u64,
    /// Series of blocks.
    pub series: u64,
    /// Chunks of blocks and head.
    pub chunks: u64,
    /// Samples in these chunks.
    pub samples: u64,
    /// Records of the logs.
    pub records: u64,
    /// What is wrong.
    pub findings: u64,
}

struct Check<'a> {
    fs: &'a dyn Fs,
    sink: Sink<'a>,
    summary: Summary,
}

/// The sink wants no more.
struct Stopped;

type Checked<T = ()> = Result<T, Stopped>;

impl Check<'_> {
    fn found(
        &mut self,
        path: &Path,
        offset: Option<usize>,
        kind: &'static str,
        what: impl Into<String>,
        advice: &'static str,
    ) -> Checked {
        self.summary.findings += 1;
        let offset = offset.map(|o| o as u64);
        let finding = Finding { path: path.to_owned(), offset, kind, what: what.into(), advice };
        if (self.sink)(Event::Found(finding)) { Ok(()) } else { Err(Stopped) }
    }

    fn checking(&mut self, path: &Path) -> Checked {
        if (self.sink)(Event::Checking(path.to_owned())) { Ok(()) } else { Err(Stopped) }
    }

    /// What a directory holds; one that cannot be read is a finding.
    fn list(&mut self, dir: &Path) -> Checked<Vec<storage::DirEntry>> {
        match self.fs.read_dir(dir) {
            Ok(entries) => Ok(entries),
            Err(e) => {
                self.found(dir, None, "io", e.to_string(), "look at the disk and at permissions")?;
                Ok(Vec::new())
            }
        }
    }

    /// A file's bytes; one that cannot be read is a finding.
    fn read(&mut self, path: &Path, sealed: bool) -> Checked<Option<storage::Map>> {
        let read = if sealed { self.fs.map(path) } else { self.fs.read(path).map(storage::Map::new) };
        match read {
            Ok(map) => Ok(Some(map)),
            Err(e) => {
                self.found(path, None, "io", e.to_string(), "look at the disk and at permissions")?;
                Ok(None)
            }
        }
    }

    fn directory(&mut self, dir: &Path) -> Checked {
        let entries = self.list(dir)?;
        let mut blocks_end_ms = TimestampMs::MIN;
        for e in &entries {
            let path = dir.join(&e.name);
            let (name, is_dir) = (e.name.as_str(), e.is_dir);
            if is_dir && Ulid::from_str(name).is_ok() {
                self.checking(&path)?;
                self.block(&path)?;
                let meta = BlockMeta::read(self.fs, &path).ok().filter(BlockMeta::is_in_order);
                blocks_end_ms = meta.map_or(blocks_end_ms, |m| m.max_ms.max(blocks_end_ms));
            } else if is_dir && name == "chunks_head" {
                self.head_chunks(&path)?;
            } else if is_dir && matches!(name, "wal" | "wbl")
                || is_dir && name.starts_with("chunk_snapshot.") && !name.ends_with(".tmp")
            {
                // After all others: the out-of-order log names the series of the log.
            } else if name.contains(".tmp") || name.starts_with("tmp_dbro_sandbox") {
                let advice =
                    "left over from something unfinished; the server removes it when it starts, or delete it";
                self.found(&path, None, "stray", "unfinished directory", advice)?;
            } else if is_dir && name == "remote_write" {
                // The places of remote write's queues: nothing of them is part of the database.
            } else if is_dir || !matches!(name, "lock" | "queries.active") {
                self.found(&path, None, "stray", "does not belong here", "move it elsewhere")?;
            }
        }
        let mut known = log::Known::new(blocks_end_ms);
        for name in ["wal", "wbl"] {
            if entries.iter().any(|e| e.is_dir && e.name == name) {
                self.log(&dir.join(name), name == "wbl", &mut known)?;
            }
        }
        for e in entries
            .iter()
            .filter(|e| e.is_dir && e.name.starts_with("chunk_snapshot.") && !e.name.ends_with(".tmp"))
        {
            self.snapshot(&dir.join(&e.name))?;
        }
        Ok(())
    }
}

/// Checks the data directory `dir`, and hands `sink` what is wrong as it is found. Reads all of it:
/// time in proportion to its size, memory to the label pairs of a block and the series of the log.
///
/// # Errors
/// Where the directory itself cannot be read. Whatever else cannot be read is a finding.
pub fn verify(fs: &dyn Fs, dir: &Path, sink: Sink<'_>) -> Result<Summary, StorageError> {
    fs.read_dir(dir).map_err(|e| StorageError::io(format!("open {}", dir.display()), e))?;
    let mut check = Check { fs, sink, summary: Summary::default() };
    // Stopped early or not: what was counted counts.
    let _ = check.directory(dir);
    Ok(check.summary)
}
