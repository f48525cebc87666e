//! Writing a block: from series with labels, or, where all symbols are known, with numbers of
//! symbols.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Labels;
use storage::{Fs, StorageError};

use super::meta::META_FILE;
use super::segment::{CHUNKS_DIR, SEGMENT_BYTES_MAX, SegmentState};
use super::{BlockMeta, ChunkData, INDEX_FILE, TMP_FOR_CREATION_SUFFIX};
use crate::index::file_writer::FileWriter;
use crate::index::{ChunkMeta, IndexSeries, IndexWriter, write_index};
use crate::tombstones::{TOMBSTONES_FILE, Tombstones};

/// The directory of a block under construction, renamed when all is on the disk. Dropped before,
/// it is removed.
struct BlockDir {
    fs: Arc<dyn Fs>,
    parent: PathBuf,
    tmp: PathBuf,
    chunks_dir: PathBuf,
    meta: BlockMeta,
    segments: SegmentState,
    renamed: bool,
}

impl BlockDir {
    fn create(
        fs: &Arc<dyn Fs>,
        parent: &Path,
        mut meta: BlockMeta,
        segment_bytes_max: u64,
    ) -> Result<Self, StorageError> {
        meta.stats = super::BlockStats::default();
        let tmp = parent.join(format!("{}{TMP_FOR_CREATION_SUFFIX}", meta.ulid));
        let dir = Self {
            fs: fs.clone(),
            parent: parent.to_owned(),
            segments: SegmentState::new(segment_bytes_max),
            renamed: false,
            chunks_dir: tmp.join(CHUNKS_DIR),
            meta,
            tmp,
        };
        if fs.exists(&dir.tmp) {
            fs.remove_dir_all(&dir.tmp).map_err(|e| io("remove", &dir.tmp, e))?;
        }
        fs.create_dir_all(&dir.chunks_dir).map_err(|e| io("create", &dir.chunks_dir, e))?;
        Ok(dir)
    }

    /// Writes the chunks of a series, counts them, and appends where they lie to `out`.
    fn put_chunks<'c>(
        &mut self,
        labels: &dyn std::fmt::Display,
        chunks: impl Iterator<Item = ChunkData<'c>>,
        out: &mut Vec<ChunkMeta>,
    ) -> Result<(), StorageError> {
        let mut segments = self.segments.writer(self.fs.as_ref(), &self.chunks_dir);
        let stats = &mut self.meta.stats;
        for c in chunks {
            let samples = chunk::num_samples(c.encoding, c.data)
                .map_err(|e| StorageError::Invalid(format!("{labels}: chunk at {}: {e}", c.min_ms)))?;
            let reference = segments.put(&c)?;
            out.push(ChunkMeta { min_ms: c.min_ms, max_ms: c.max_ms, reference });
            stats.num_chunks += 1;
            stats.num_samples += u64::from(samples);
            if c.encoding.is_histogram() {
                stats.num_histogram_samples += u64::from(samples);
            } else {
                stats.num_float_samples += u64::from(samples);
            }
        }
        stats.num_series += 1;
        Ok(())
    }

    /// Ends the chunks, lets `index` write the index, and gives the directory its name when all is
    /// on the disk. `None` where there is no sample.
    fn seal(
        mut self,
        index: impl FnOnce(&dyn Fs, &Path) -> Result<u64, StorageError>,
    ) -> Result<Option<BlockMeta>, StorageError> {
        if self.meta.stats.num_samples == 0 {
            return Ok(None);
        }
        let fs = self.fs.clone();
        let sync_dir = |dir: &Path| fs.sync_dir(dir).map_err(|e| io("sync", dir, e));
        self.segments.finish()?;
        sync_dir(&self.chunks_dir)?;
        index(fs.as_ref(), &self.tmp.join(INDEX_FILE))?;
        let tombstones = Tombstones::default().to_bytes();
        for (name, bytes) in [(META_FILE, &self.meta.to_json()), (TOMBSTONES_FILE, &tombstones)] {
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

impl Drop for BlockDir {
    fn drop(&mut self) {
        if !self.renamed {
            // Where this fails too, the suffix tells the next start what to remove.
            let _ = self.fs.remove_dir_all(&self.tmp);
        }
    }
}

/// A block under construction, in a directory of its own that is renamed when all is on the disk.
/// Chunks go to their file at once; labels (shared with the caller's) and 24 bytes per chunk stay
/// in memory, because symbols come first in the index. Dropped unfinished, it removes its directory.
pub struct BlockWriter {
    dir: BlockDir,
    series: Vec<IndexSeries>,
    chunks: Vec<ChunkMeta>,
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
        meta: BlockMeta,
        segment_bytes_max: u64,
    ) -> Result<Self, StorageError> {
        let dir = BlockDir::create(fs, parent, meta, segment_bytes_max)?;
        Ok(Self { dir, series: Vec::new(), chunks: Vec::new() })
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
        self.dir.put_chunks(labels, chunks.iter().copied(), &mut self.chunks)?;
        self.series.push(IndexSeries { labels: labels.clone(), num_chunks });
        Ok(())
    }

    /// Writes what is left, waits until all is on the disk and gives the directory its name.
    /// Without any sample there is no block, and nothing is left behind.
    ///
    /// # Errors
    /// Where the order of series or chunks was broken, or the system refuses.
    pub fn finish(self) -> Result<Option<BlockMeta>, StorageError> {
        let (series, chunks) = (self.series, self.chunks);
        self.dir.seal(|fs, path| write_index(fs, path, &series, &chunks))
    }
}

/// As [`BlockWriter`], for blocks whose symbols are known beforehand: series go to the index at
/// once, and what stays in memory is 4 bytes per label and 8 per series.
pub(crate) struct SymbolBlockWriter<'a> {
    // Before the directory, so that its file is closed when that is removed.
    index: IndexWriter<'a>,
    dir: BlockDir,
    chunks: Vec<ChunkMeta>,
}

impl<'a> SymbolBlockWriter<'a> {
    /// Starts the block that `meta` describes with `symbols`: ascending, distinct, the empty string
    /// among them. Segments end at `segment_bytes_max`, or at the usual size.
    pub(crate) fn create(
        fs: &Arc<dyn Fs>,
        parent: &Path,
        meta: BlockMeta,
        segment_bytes_max: Option<u64>,
        symbols: &'a [&'a str],
    ) -> Result<Self, StorageError> {
        let dir = BlockDir::create(fs, parent, meta, segment_bytes_max.unwrap_or(SEGMENT_BYTES_MAX))?;
        let index = IndexWriter::create(fs.as_ref(), &dir.tmp.join(INDEX_FILE), symbols)?;
        Ok(Self { index, dir, chunks: Vec::new() })
    }

    /// As [`BlockWriter::add_series`], with labels as numbers of symbols.
    pub(crate) fn add_series<'c>(
        &mut self,
        labels: &[(u32, u32)],
        chunks: impl Iterator<Item = ChunkData<'c>>,
    ) -> Result<(), StorageError> {
        self.chunks.clear();
        let series = self.dir.meta.stats.num_series;
        self.dir.put_chunks(&format_args!("series {series}"), chunks, &mut self.chunks)?;
        self.index.add_series(labels, &self.chunks)
    }

    /// As [`BlockWriter::finish`].
    pub(crate) fn finish(self) -> Result<Option<BlockMeta>, StorageError> {
        let index = self.index;
        self.dir.seal(|_, _| index.finish())
    }
}

fn io(what: &str, path: &Path, e: std::io::Error) -> StorageError {
    StorageError::io(format!("{what} {}", path.display()), e)
}
