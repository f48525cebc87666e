//! An open block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chunk::{ChunkError, Encoding};
use model::{Columns, TimestampMs};
use storage::{ChunkQuerier, Fs, Querier, Queryable, StorageError};

use super::querier::BlockQuerier;
use super::segment::{CHUNKS_DIR, Segments};
use super::{BlockMeta, INDEX_FILE, Interval, Tombstones};
use crate::index::{ChunkMeta, IndexReader};

/// An open block: its index and chunks mapped, its tables checked. A clone is another handle on
/// the same; the files stay mapped until the last one goes. What is deleted and what the block
/// says about itself are as they were when the handle was made: a change makes another handle.
#[derive(Clone, Debug)]
pub struct Block(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Arc<Files>,
    meta: BlockMeta,
    tombstones: Tombstones,
}

/// What never changes.
#[derive(Debug)]
struct Files {
    dir: PathBuf,
    index: IndexReader,
    segments: Segments,
}

impl Block {
    /// Opens the block in `dir`. Reads the tables of the index through; series and chunks are
    /// checked as they are read.
    ///
    /// # Errors
    /// Where a file is missing, cannot be read or is not of its format.
    pub fn open(fs: &dyn Fs, dir: &Path) -> Result<Self, StorageError> {
        let meta = BlockMeta::read(fs, dir)?;
        let index = IndexReader::open(fs, &dir.join(INDEX_FILE))?;
        let segments = Segments::open(fs, &dir.join(CHUNKS_DIR))?;
        let tombstones = Tombstones::read(fs, dir)?;
        let files = Arc::new(Files { dir: dir.to_owned(), index, segments });
        Ok(Self(Arc::new(Inner { files, meta, tombstones })))
    }

    /// Another handle on the same files that says other things about them.
    pub(super) fn with(&self, meta: BlockMeta, tombstones: Tombstones) -> Self {
        Self(Arc::new(Inner { files: self.0.files.clone(), meta, tombstones }))
    }

    /// What the block says about itself.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.0.meta
    }

    /// The block's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.files.dir
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &IndexReader {
        &self.0.files.index
    }

    /// What is deleted.
    #[must_use]
    pub fn tombstones(&self) -> &Tombstones {
        &self.0.tombstones
    }

    /// Bytes of index, chunks, `meta.json` and tombstones.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let Files { index, segments, .. } = &*self.0.files;
        let others = self.meta().to_json().len() + self.tombstones().to_bytes().len();
        index.size_bytes() + segments.size_bytes() + others as u64
    }

    /// Whether the block may have samples in `start_ms ..= end_ms`: its own span is half open.
    #[must_use]
    pub fn overlaps(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> bool {
        self.meta().min_ms <= end_ms && start_ms < self.meta().max_ms
    }

    /// A view of the chunks that reach into `start_ms ..= end_ms`.
    #[must_use]
    pub fn chunk_querier(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> Box<dyn ChunkQuerier> {
        Box::new(BlockQuerier { block: self.clone(), start_ms, end_ms })
    }

    /// The encoding and bytes of a chunk, its checksum verified.
    ///
    /// # Errors
    /// Where the bytes are corrupt; the text names file and offset.
    pub fn chunk(&self, chunk: &ChunkMeta) -> Result<(Encoding, &[u8]), StorageError> {
        self.0.files.segments.chunk(chunk.reference)
    }

    /// The deleted intervals of a series.
    pub(crate) fn deleted(&self, series: u32) -> &[Interval] {
        self.0.tombstones.get(u64::from(series))
    }

    /// Appends the samples of a chunk with `start_ms ≤ t ≤ end_ms` to `columns`.
    pub(crate) fn decode(
        &self,
        chunk: &ChunkMeta,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        columns: &mut Columns,
    ) -> Result<(), StorageError> {
        let (encoding, data) = self.chunk(chunk)?;
        chunk::decode(encoding, data, start_ms, end_ms, columns).map_err(|e| self.chunk_error(chunk, e))
    }

    pub(crate) fn chunk_error(&self, chunk: &ChunkMeta, e: ChunkError) -> StorageError {
        let text = format!("{}: {e}", self.0.files.segments.place(chunk.reference));
        match e {
            ChunkError::Unsupported(_) => StorageError::Invalid(text),
            _ => StorageError::Corrupt(text),
        }
    }
}

impl Queryable for Block {
    fn querier(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(BlockQuerier { block: self.clone(), start_ms, end_ms }))
    }
}
