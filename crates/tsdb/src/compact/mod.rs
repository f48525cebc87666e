//! Merging blocks into larger ones, and writing them again without what was deleted. Knows sealed
//! blocks only: when it is time, what becomes of the parents, and what queries see meanwhile is
//! decided above.
//!
//! The result is Prometheus' to the byte: the same plan, the same symbols, the same chunks, of
//! which those that overlap nothing are copied without being decoded. Memory follows the symbols
//! and the number of series (some tens of bytes each), not labels or samples.

mod encode;
mod pieces;
mod plan;
mod source;
mod symbols;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chunk::Encoding;
use model::Labels;
use storage::heap::Heap;
use storage::{Fs, StorageError};

use crate::block::{Block, BlockMeta, SymbolBlockWriter, Ulid};
use source::Source;
use symbols::MergedSymbols;

pub(crate) use encode::encode_one;
pub(crate) use pieces::{Piece, merge as merge_chunks};
pub use plan::{block_ranges_ms, max_block_duration_ms, plan};

/// Every so many series the progress is told.
const PROGRESS_SERIES: u64 = 16_384;

/// Merges blocks of one data directory.
#[derive(Clone)]
pub struct Compactor {
    /// Files.
    pub fs: Arc<dyn Fs>,
    /// Where new blocks go.
    pub dir: PathBuf,
    /// Once it is set, a merge ends before its next series with [`StorageError::Closed`] and
    /// leaves nothing behind.
    pub cancel: Arc<AtomicBool>,
    /// Called now and then with the number of series written so far.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    /// Size at which chunk segments end, `None` for the usual 512 MiB.
    pub segment_bytes_max: Option<u64>,
    /// XOR or XOR2: how floats of chunks that overlap are encoded anew.
    pub float_encoding: Encoding,
}

impl Compactor {
    /// Without progress, segments of the usual size.
    pub fn new(fs: Arc<dyn Fs>, dir: impl Into<PathBuf>) -> Self {
        let cancel = Arc::new(AtomicBool::new(false));
        Self {
            fs,
            dir: dir.into(),
            cancel,
            progress: None,
            segment_bytes_max: None,
            float_encoding: Encoding::Xor,
        }
    }

    /// Writes the union of `blocks` (one at least, in order of their start) as the block `ulid`,
    /// without deleted samples. It is complete on the disk when this returns; the parents, which
    /// it names, are untouched. `None` where no sample is left: there is no block then.
    ///
    /// # Errors
    /// Where a block cannot be read, chunks that overlap cannot be merged, the system refuses, or
    /// it was cancelled. Nothing is left behind.
    pub fn merge(&self, ulid: Ulid, blocks: &[Block]) -> Result<Option<BlockMeta>, StorageError> {
        let metas: Vec<_> = blocks.iter().map(Block::meta).collect();
        self.write(BlockMeta::merged(ulid, &metas), blocks)
    }

    /// Writes `block` again as `ulid` without its deleted samples, on the level of a new block
    /// (Prometheus `Block.CleanTombstones`).
    ///
    /// # Errors
    /// As [`Compactor::merge`].
    pub fn rewrite(&self, ulid: Ulid, block: &Block) -> Result<Option<BlockMeta>, StorageError> {
        self.write(block.meta().rewritten(ulid), std::slice::from_ref(block))
    }

    fn write(&self, meta: BlockMeta, blocks: &[Block]) -> Result<Option<BlockMeta>, StorageError> {
        let span = Source::span(meta.min_ms, meta.max_ms);
        let symbols = MergedSymbols::new(blocks);
        let mut writer =
            SymbolBlockWriter::create(&self.fs, &self.dir, meta, self.segment_bytes_max, &symbols.all)?;
        // Blocks by the labels of the series they are at.
        let mut heap = Heap::new(|a: &Source<'_>, b: &Source<'_>| a.labels() < b.labels());
        let mut current = Vec::new();
        for (block, numbers) in blocks.iter().zip(&symbols.numbers) {
            current.push(Source::new(block, numbers, span)?);
        }
        let (mut pieces, mut series) = (Vec::new(), 0u64);
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(StorageError::Closed);
            }
            for mut source in current.drain(..) {
                if source.advance()? {
                    heap.push(source);
                }
            }
            let Some(first) = heap.pop() else { break };
            current.push(first);
            while heap.top().is_some_and(|other| other.labels() == current[0].labels()) {
                current.extend(heap.pop());
            }
            pieces.clear();
            self.merge_series(&current, &symbols.all, &mut pieces)?;
            if !pieces.is_empty() {
                writer.add_series(current[0].labels(), pieces.iter().map(Piece::as_chunk))?;
            }
            series += 1;
            if let Some(progress) = self.progress.as_ref().filter(|_| series.is_multiple_of(PROGRESS_SERIES))
            {
                progress(series);
            }
        }
        writer.finish()
    }

    /// The chunks of the series that all of `sources` are at.
    fn merge_series<'a>(
        &self,
        sources: &[Source<'a>],
        symbols: &[&str],
        out: &mut Vec<Piece<'a>>,
    ) -> Result<(), StorageError> {
        if let [only] = sources {
            return only.chunks(out);
        }
        let mut runs = Vec::with_capacity(sources.len());
        for source in sources {
            let mut run = Vec::new();
            source.chunks(&mut run)?;
            runs.push(run);
        }
        let symbol = |n: u32| symbols[n as usize];
        let pairs = || sources[0].labels().iter().map(|(n, v)| (symbol(*n), symbol(*v)));
        let labels = || Labels::from_sorted(pairs());
        pieces::merge(&labels, runs, self.float_encoding, out).map_err(StorageError::Invalid)
    }
}
