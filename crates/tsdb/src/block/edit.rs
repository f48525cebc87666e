//! What can be done to a sealed block: samples marked as deleted, remarks about compaction, a copy.
//!
//! Index and chunks never change. The two small files are replaced as a whole, new one synced,
//! then renamed over the old, so that a crash leaves one or the other. A change returns a new
//! handle; those that exist go on showing the block as it was.

use std::io::ErrorKind;
use std::path::Path;

use model::{Matcher, TimestampMs};
use storage::{Fs, Stop, StorageError};

use super::meta::META_FILE;
use super::segment::CHUNKS_DIR;
use super::{Block, BlockMeta, INDEX_FILE, Interval};
use crate::index::file_writer::FileWriter;
use crate::index::postings_for_matchers;
use crate::tombstones::TOMBSTONES_FILE;

/// What the name of a file ends with while it is being written.
const TMP_SUFFIX: &str = ".tmp";
/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

impl Block {
    /// Marks the samples with `min_ms ≤ t ≤ max_ms` of the series that satisfy all matchers as
    /// deleted, on the disk first. `None` where there are none, so that nothing was written.
    ///
    /// # Errors
    /// Where the index cannot be read or the system refuses; the block is then as it was.
    pub fn delete(
        &self,
        fs: &dyn Fs,
        min_ms: TimestampMs,
        max_ms: TimestampMs,
        matchers: &[Matcher],
    ) -> Result<Option<Self>, StorageError> {
        let mut tombstones = self.tombstones().clone();
        let mut chunks = Vec::new();
        for id in postings_for_matchers(self.index(), matchers, &Stop::default())? {
            chunks.clear();
            let mut entry = self.index().series(id)?;
            entry.skip_labels()?;
            entry.chunks_in(TimestampMs::MIN, TimestampMs::MAX, &mut chunks)?;
            let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { continue };
            if chunks.iter().any(|c| c.min_ms <= max_ms && min_ms <= c.max_ms) {
                // No further than the samples reach, as Prometheus does.
                let span = Interval { min_ms: min_ms.max(first.min_ms), max_ms: max_ms.min(last.max_ms) };
                tombstones.add(u64::from(id), span);
            }
        }
        if tombstones == *self.tombstones() {
            return Ok(None);
        }
        let mut meta = self.meta().clone();
        meta.stats.num_tombstones = tombstones.len() as u64;
        replace(fs, self.dir(), TOMBSTONES_FILE, &tombstones.to_bytes())?;
        replace(fs, self.dir(), META_FILE, &meta.to_json())?;
        Ok(Some(self.with(meta, tombstones)))
    }

    /// Writes into the block that its compaction failed: it holds up the levels above, so that it
    /// is not tried again and again.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn mark_failed(&self, fs: &dyn Fs) -> Result<Self, StorageError> {
        let mut meta = self.meta().clone();
        meta.compaction.failed = true;
        self.write_meta(fs, meta)
    }

    /// Writes into the block that no sample of it is left after compaction: it may go.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn mark_deletable(&self, fs: &dyn Fs) -> Result<Self, StorageError> {
        let mut meta = self.meta().clone();
        meta.compaction.deletable = true;
        self.write_meta(fs, meta)
    }

    fn write_meta(&self, fs: &dyn Fs, meta: BlockMeta) -> Result<Self, StorageError> {
        replace(fs, self.dir(), META_FILE, &meta.to_json())?;
        Ok(self.with(meta, self.tombstones().clone()))
    }

    /// Makes a copy of the block, under its name, in the directory `parent`: second names for the
    /// same files where the system can do that.
    ///
    /// # Errors
    /// Where the block is there already or the system refuses.
    pub fn snapshot(&self, fs: &dyn Fs, parent: &Path) -> Result<(), StorageError> {
        let dir = parent.join(self.meta().ulid.to_string());
        let chunks = dir.join(CHUNKS_DIR);
        let make = |path: &Path| fs.create_dir_all(path).map_err(|e| io("create", path, e));
        make(&chunks)?;
        let own_chunks = self.dir().join(CHUNKS_DIR);
        for name in [META_FILE, INDEX_FILE, TOMBSTONES_FILE] {
            link_or_copy(fs, &self.dir().join(name), &dir.join(name))?;
        }
        for entry in fs.read_dir(&own_chunks).map_err(|e| io("list", &own_chunks, e))? {
            link_or_copy(fs, &own_chunks.join(&entry.name), &chunks.join(&entry.name))?;
        }
        for path in [&chunks, &dir, parent] {
            fs.sync_dir(path).map_err(|e| io("sync", path, e))?;
        }
        Ok(())
    }
}

fn replace(fs: &dyn Fs, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
    let (path, tmp) = (dir.join(name), dir.join(format!("{name}{TMP_SUFFIX}")));
    let written = (|| {
        let mut file = FileWriter::create(fs, &tmp)?;
        file.put(bytes)?;
        file.finish()?;
        fs.rename(&tmp, &path).map_err(|e| io("rename", &tmp, e))
    })();
    if let Err(e) = written {
        // Where this fails too, the next write of the file replaces it.
        let _ = fs.remove_file(&tmp);
        return Err(e);
    }
    fs.sync_dir(dir).map_err(|e| io("sync", dir, e))
}

fn link_or_copy(fs: &dyn Fs, from: &Path, to: &Path) -> Result<(), StorageError> {
    match fs.hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::CrossesDevices) => {
            copy(fs, from, to)
        }
        // A block written elsewhere may have no tombstones file.
        Err(e) if e.kind() == ErrorKind::NotFound && from.ends_with(TOMBSTONES_FILE) => Ok(()),
        Err(e) => Err(io("link", from, e)),
    }
}

fn copy(fs: &dyn Fs, from: &Path, to: &Path) -> Result<(), StorageError> {
    let source = match fs.open_read(from) {
        Ok(source) => source,
        Err(e) if e.kind() == ErrorKind::NotFound && from.ends_with(TOMBSTONES_FILE) => return Ok(()),
        Err(e) => return Err(io("open", from, e)),
    };
    let mut file = FileWriter::create(fs, to)?;
    let mut buf = vec![0; COPY_BYTES];
    let mut at = 0;
    loop {
        let n = source.read_at(at, &mut buf).map_err(|e| io("read", from, e))?;
        if n == 0 {
            return file.finish().map(drop);
        }
        file.put(&buf[..n])?;
        at += n as u64;
    }
}

fn io(what: &str, path: &Path, e: std::io::Error) -> StorageError {
    StorageError::io(format!("{what} {}", path.display()), e)
}
