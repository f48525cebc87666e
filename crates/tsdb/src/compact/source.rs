//! One block as a stream of series, in order of labels, each with the chunks that are left of it.

use std::borrow::Cow;

use model::{Columns, TimestampMs};
use storage::StorageError;

use super::encode::encode_one;
use super::pieces::Piece;
use crate::block::{Block, Interval};
use crate::index::{ChunkMeta, PostingsIndex};
use crate::tombstones::{covers, overlaps, remove};

/// Walks through a block. Holds 4 bytes per series and the entry of one.
pub(super) struct Source<'a> {
    block: &'a Block,
    /// Translates the block's symbols to those of the merged table.
    symbols: &'a [u32],
    /// Samples outside are left out: first and last time, both included.
    span: Interval,
    ids: std::vec::IntoIter<u32>,
    id: u32,
    /// Labels as numbers of merged symbols: these numbers are ordered as the strings are.
    labels: Vec<(u32, u32)>,
    chunks: Vec<ChunkMeta>,
}

impl<'a> Source<'a> {
    pub(super) fn new(block: &'a Block, symbols: &'a [u32], span: Interval) -> Result<Self, StorageError> {
        let ids = block.index().all()?.into_owned().into_iter();
        Ok(Self { block, symbols, span, ids, id: 0, labels: Vec::new(), chunks: Vec::new() })
    }

    /// Labels of the current series.
    pub(super) fn labels(&self) -> &[(u32, u32)] {
        &self.labels
    }

    /// Goes to the next series that has a chunk which is neither outside of the span nor deleted
    /// as a whole; `false` behind the last.
    pub(super) fn advance(&mut self) -> Result<bool, StorageError> {
        for id in self.ids.by_ref() {
            self.id = id;
            self.labels.clear();
            self.chunks.clear();
            let mut entry = self.block.index().series(id)?;
            entry.label_symbols(&mut self.labels)?;
            entry.chunks_in(self.span.min_ms, self.span.max_ms, &mut self.chunks)?;
            let deleted = self.block.deleted(id);
            if !deleted.is_empty() {
                self.chunks.retain(|c| !covers(deleted, c.min_ms, c.max_ms));
            }
            if !self.chunks.is_empty() {
                for (name, value) in &mut self.labels {
                    (*name, *value) = (self.symbols[*name as usize], self.symbols[*value as usize]);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Appends the chunks of the current series to `out`. One that holds deleted samples, or some
    /// outside of the span, is encoded again without them.
    pub(super) fn chunks(&self, out: &mut Vec<Piece<'a>>) -> Result<(), StorageError> {
        let deleted = self.block.deleted(self.id);
        for c in &self.chunks {
            let (encoding, data) = self.block.chunk(c)?;
            let within = self.span.min_ms <= c.min_ms && c.max_ms <= self.span.max_ms;
            if within && !overlaps(deleted, c.min_ms, c.max_ms) {
                let (min_ms, max_ms, data) = (c.min_ms, c.max_ms, Cow::Borrowed(data));
                out.push(Piece { min_ms, max_ms, encoding, data });
                continue;
            }
            let mut columns = Columns::default();
            self.block.decode(c, self.span.min_ms, self.span.max_ms, &mut columns)?;
            remove(deleted, &mut columns, 0);
            out.extend(encode_one(&columns, encoding).map_err(|e| self.block.chunk_error(c, e))?);
        }
        Ok(())
    }

    /// The span of a block's samples, of which the end lies outside.
    pub(super) fn span(min_ms: TimestampMs, max_ms: TimestampMs) -> Interval {
        Interval { min_ms, max_ms: max_ms.saturating_sub(1) }
    }
}
