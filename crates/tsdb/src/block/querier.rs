//! Asking a block for series, samples, chunks and labels.

use std::sync::Arc;

use chunk::{ChunkError, Encoding};
use model::{Columns, Labels, Matcher, TimestampMs};
use storage::{
    ChunkQuerier, ChunkSeriesSet, EncodedChunk, LabelHints, LabelQuerier, Querier, SelectHints, SeriesSet,
    StorageError,
};

use super::Block;
use crate::compact::encode_one;
use crate::index::{ChunkMeta, postings_for_matchers};
use crate::tombstones;

/// A view of a block over a span of time.
pub(super) struct BlockQuerier {
    pub(super) block: Block,
    pub(super) start_ms: TimestampMs,
    pub(super) end_ms: TimestampMs,
}

impl LabelQuerier for BlockQuerier {
    fn label_values(
        &self,
        name: &str,
        hints: LabelHints,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, StorageError> {
        self.block.index().label_values(name, hints.limit, matchers)
    }

    fn label_names(&self, hints: LabelHints, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        self.block.index().label_names(hints.limit, matchers)
    }
}

impl Querier for BlockQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Box<dyn SeriesSet>, StorageError> {
        Ok(Box::new(self.find(hints, matchers)?))
    }
}

impl ChunkQuerier for BlockQuerier {
    fn select_chunks(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn ChunkSeriesSet>, StorageError> {
        Ok(Box::new(self.find(hints, matchers)?))
    }
}

impl BlockQuerier {
    /// The series that satisfy the matchers and have a chunk in the span that is not deleted as a
    /// whole. Every entry is checked here, so that labels can be made later without fail.
    fn find(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Selection, StorageError> {
        let (start_ms, end_ms) = (self.start_ms.max(hints.start_ms), self.end_ms.min(hints.end_ms));
        let mut found = Selection {
            block: self.block.clone(),
            start_ms,
            end_ms,
            series: Vec::new(),
            chunks: Vec::new(),
            projected: None,
        };
        let limit = if hints.limit == 0 { usize::MAX } else { hints.limit };
        let index = self.block.index();
        let mut projector = index.projector(&hints.projection);
        let (mut projected, mut symbols) = (Vec::new(), Vec::new());
        for id in postings_for_matchers(index, matchers)? {
            if found.series.len() >= limit {
                break;
            }
            let first = found.chunks.len();
            let mut entry = index.series(id)?;
            let labels = match &mut projector {
                Some(p) => Some(entry.project(p, &mut symbols)?),
                None => entry.skip_labels().map(|()| None)?,
            };
            entry.chunks_in(start_ms, end_ms, &mut found.chunks)?;
            let deleted = self.block.deleted(id);
            if !deleted.is_empty() {
                let mut tail = found.chunks.split_off(first);
                tail.retain(|c| !tombstones::covers(deleted, c.min_ms.max(start_ms), c.max_ms.min(end_ms)));
                found.chunks.append(&mut tail);
            }
            if found.chunks.len() > first {
                found.series.push(Found { id, chunks_end: found.chunks.len() });
                projected.extend(labels);
            }
        }
        found.projected = projector.is_some().then_some(projected);
        Ok(found)
    }
}

struct Found {
    id: u32,
    /// End of its chunks in [`Selection::chunks`]; they begin where those of the series before end.
    chunks_end: usize,
}

/// The series that a select found.
struct Selection {
    block: Block,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    series: Vec<Found>,
    chunks: Vec<ChunkMeta>,
    /// The labels of each series where not all were wanted; otherwise they are made on demand.
    projected: Option<Vec<Labels>>,
}

impl Selection {
    fn chunks_of(&self, i: usize) -> &[ChunkMeta] {
        let start = if i == 0 { 0 } else { self.series[i - 1].chunks_end };
        &self.chunks[start..self.series[i].chunks_end]
    }

    /// A chunk some of whose samples are deleted, without them; `None` where none is left.
    fn without_deleted(
        &self,
        meta: &ChunkMeta,
        encoding: Encoding,
        deleted: &[super::Interval],
    ) -> Result<Option<EncodedChunk>, StorageError> {
        let mut columns = Columns::default();
        self.block.decode(meta, TimestampMs::MIN, TimestampMs::MAX, &mut columns)?;
        tombstones::remove(deleted, &mut columns, 0);
        let piece = encode_one(&columns, encoding).map_err(|e| self.block.chunk_error(meta, e))?;
        Ok(piece.map(|p| EncodedChunk {
            min_ms: p.min_ms,
            max_ms: p.max_ms,
            encoding: p.encoding,
            data: p.data.into(),
        }))
    }
}

impl SeriesSet for Selection {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        match &self.projected {
            Some(labels) => labels[i].clone(),
            None => self.block.index().labels_checked(self.series[i].id),
        }
    }

    fn read(&self, i: usize, columns: &mut Columns) -> Result<(), StorageError> {
        let base = columns.t.len();
        let read = self.read_chunks(i, columns, base);
        if read.is_err() {
            columns.t.truncate(base);
            columns.v.truncate(base);
            columns.st.truncate(base);
            columns.h.retain(|(at, _)| (*at as usize) < base);
        }
        read
    }
}

impl Selection {
    fn read_chunks(&self, i: usize, columns: &mut Columns, base: usize) -> Result<(), StorageError> {
        for c in self.chunks_of(i) {
            let from = columns.t.len();
            self.block.decode(c, self.start_ms, self.end_ms, columns)?;
            if from > base && columns.t.get(from).is_some_and(|t| *t <= columns.t[from - 1]) {
                return Err(self.block.chunk_error(c, ChunkError::OutOfOrder));
            }
        }
        let deleted = self.block.deleted(self.series[i].id);
        if !deleted.is_empty() {
            tombstones::remove(deleted, columns, base);
        }
        Ok(())
    }
}

impl ChunkSeriesSet for Selection {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        SeriesSet::labels(self, i)
    }

    fn chunks(&self, i: usize, out: &mut Vec<EncodedChunk>) -> Result<(), StorageError> {
        let deleted = self.block.deleted(self.series[i].id);
        for meta in self.chunks_of(i) {
            let (encoding, data) = self.block.chunk(meta)?;
            if tombstones::overlaps(deleted, meta.min_ms, meta.max_ms) {
                out.extend(self.without_deleted(meta, encoding, deleted)?);
            } else {
                let (min_ms, max_ms) = (meta.min_ms, meta.max_ms);
                out.push(EncodedChunk { min_ms, max_ms, encoding, data: Arc::from(data) });
            }
        }
        Ok(())
    }
}
