//! Writing a block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Labels;
use storage::{Fs, StorageError};

use super::meta::META_FILE;
use super::segment::{CHUNKS_DIR, SEGMENT_BYTES_MAX, SegmentState};
use super::tombstones::{TOMBSTONES_FILE, empty_file};
use super::{BlockMeta, ChunkData, INDEX_FILE, TMP_FOR_CREATION_SUFFIX};
use crate::index::file_writer::FileWriter;
use crate::index::{ChunkMeta, IndexSeries, write_index};

/// A block under construction, in a directory of its own that is renamed when all is on the disk.
/// Chunks go to their file at once; labels (shared with the caller's) and 24 bytes per chunk stay
/// in memory, because symbols come first in the index. Dropped unfinished, it removes its directory.
pub struct BlockWriter {
    fs: Arc<dyn Fs>,
    parent: PathBuf,
    tmp: PathBuf,
    chunks_dir: PathBuf,
    meta: BlockMeta,
    segments: SegmentState,
    series: Vec<IndexSeries>,
    chunks: Vec<ChunkMeta>,
    renamed: bool,
}

impl BlockWriter {
    /// Starts the block that `meta` describes (its counts are ignored) in the data directory
    /// `parent`.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn create(fs: &Arc<dyn Fs>, parent: &Path, meta: BlockMeta) -> Result<Self, StorageError> {
        Self::with_segment_bytes(fs, parent, meta, SEGMENT_BYTES_MAX)
    }

    /// [`BlockWriter::create`] with another size at which chunk segments end, at most 4 GiB.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn with_segment_bytes(
        fs: &Arc<dyn Fs>,
        parent: &Path,
        mut meta: BlockMeta,
        segment_bytes_max: u64,
    ) -> Result<Self, StorageError> {
        meta.stats = super::BlockStats::default();
        let tmp = parent.join(format!("{}{TMP_FOR_CREATION_SUFFIX}", meta.ulid));
        let chunks_dir = tmp.join(CHUNKS_DIR);
        let writer = Self {
            fs: fs.clone(),
            parent: parent.to_owned(),
            segments: SegmentState::new(segment_bytes_max),
            series: Vec::new(),
            chunks: Vec::new(),
            renamed: false,
            meta,
            tmp,
            chunks_dir,
        };
        if fs.exists(&writer.tmp) {
            fs.remove_dir_all(&writer.tmp).map_err(|e| io("remove", &writer.tmp, e))?;
        }
        fs.create_dir_all(&writer.chunks_dir).map_err(|e| io("create", &writer.chunks_dir, e))?;
        Ok(writer)
    }

    /// Adds a series with its chunks, which must rise in time and not overlap. Series must rise in
    /// order of labels. One without chunks is left out.
    ///
    /// # Errors
    /// Where the order is broken or the system refuses; the block cannot be finished then.
    pub fn add_series(&mut self, labels: &Labels, chunks: &[ChunkData<'_>]) -> Result<(), StorageError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let num_chunks = u32::try_from(chunks.len())
            .map_err(|_| StorageError::Limit(format!("{labels}: more than 2^32 chunks")))?;
        let mut segments = self.segments.writer(self.fs.as_ref(), &self.chunks_dir);
        for c in chunks {
            let samples = chunk::num_samples(c.encoding, c.data)
                .map_err(|e| StorageError::Invalid(format!("{labels}: chunk at {}: {e}", c.min_ms)))?;
            let reference = segments.put(c)?;
            self.chunks.push(ChunkMeta { min_ms: c.min_ms, max_ms: c.max_ms, reference });
            let stats = &mut self.meta.stats;
            stats.num_samples += u64::from(samples);
            if c.encoding.is_histogram() {
                stats.num_histogram_samples += u64::from(samples);
            } else {
                stats.num_float_samples += u64::from(samples);
            }
        }
        self.meta.stats.num_chunks += u64::from(num_chunks);
        self.meta.stats.num_series += 1;
        self.series.push(IndexSeries { labels: labels.clone(), num_chunks });
        Ok(())
    }

    /// Writes what is left, waits until all is on the disk and gives the directory its name.
    /// Without any sample there is no block, and nothing is left behind.
    ///
    /// # Errors
    /// Where the order of series or chunks was broken, or the system refuses.
    pub fn finish(mut self) -> Result<Option<BlockMeta>, StorageError> {
        if self.meta.stats.num_samples == 0 {
            return Ok(None);
        }
        let fs = self.fs.clone();
        let sync_dir = |dir: &Path| fs.sync_dir(dir).map_err(|e| io("sync", dir, e));
        self.segments.finish()?;
        sync_dir(&self.chunks_dir)?;
        write_index(fs.as_ref(), &self.tmp.join(INDEX_FILE), &self.series, &self.chunks)?;
        for (name, bytes) in [(META_FILE, &self.meta.to_json()[..]), (TOMBSTONES_FILE, &empty_file())] {
            let mut file = FileWriter::create(fs.as_ref(), &self.tmp.join(name))?;
            file.put(bytes)?;
            file.finish()?;
        }
        sync_dir(&self.tmp)?;
        let dir = self.parent.join(self.meta.ulid.to_string());
        fs.rename(&self.tmp, &dir).map_err(|e| io("rename", &self.tmp, e))?;
        self.renamed = true;
        sync_dir(&self.parent)?;
        Ok(Some(std::mem::take(&mut self.meta)))
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        if !self.renamed {
            // Where this fails too, the suffix tells the next start what to remove.
            let _ = self.fs.remove_dir_all(&self.tmp);
        }
    }
}

fn io(what: &str, path: &Path, e: std::io::Error) -> StorageError {
    StorageError::io(format!("{what} {}", path.display()), e)
}
