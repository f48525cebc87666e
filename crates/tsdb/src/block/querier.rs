//! Asking a block for series, samples, chunks and labels.

use std::sync::{Arc, OnceLock};

use chunk::{ChunkError, Encoding};
use model::{Columns, Labels, Matcher, TimestampMs};
use storage::{
    ChunkQuerier, ChunkSeriesSet, EncodedChunk, Inline, LabelHints, LabelQuerier, Projection, Querier,
    SelectHints, SeriesSet, Spawn, Stop, StorageError,
};

use super::Block;
use crate::compact::encode_one;
use crate::index::{ChunkMeta, postings_for_matchers};
use crate::tombstones;

/// So many parts at most are looked through by themselves: each makes the label sets that it meets anew.
const PARTS_MAX: usize = 8;
/// A part has at least so many series, half a millisecond's work.
const PART_SERIES_MIN: usize = 4096;

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
        self.select_shared(hints, matchers, &Inline)
    }

    fn select_shared(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
        spawn: &dyn Spawn,
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        Ok(Box::new(self.find(hints, matchers, spawn)?))
    }
}

impl ChunkQuerier for BlockQuerier {
    fn select_chunks(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn ChunkSeriesSet>, StorageError> {
        Ok(Box::new(self.find(hints, matchers, &Inline)?))
    }
}

impl BlockQuerier {
    /// The series that satisfy the matchers and have a chunk in the span that is not deleted as a
    /// whole. Every entry is checked here, so that labels can be made later without fail.
    fn find(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
        spawn: &dyn Spawn,
    ) -> Result<Selection, StorageError> {
        let mut found = Selection {
            block: self.block.clone(),
            start_ms: self.start_ms.max(hints.start_ms),
            end_ms: self.end_ms.min(hints.end_ms),
            series: Vec::new(),
            projected: (hints.projection != Projection::All).then(Vec::new),
            stop: hints.stop.clone(),
        };
        let ids = postings_for_matchers(self.block.index(), matchers, &hints.stop)?;
        let part_len = (ids.len() / PARTS_MAX).max(PART_SERIES_MIN);
        if hints.limit > 0 || ids.len() <= part_len {
            (found.series, found.projected) = found.among(&ids, hints)?;
            return Ok(found);
        }
        let parts: Vec<_> = ids.chunks(part_len).map(|ids| (ids, OnceLock::new())).collect();
        spawn.for_each(parts.len(), &|p| {
            let (ids, result) = &parts[p];
            result.get_or_init(|| found.among(ids, hints));
        });
        for (_, result) in parts {
            let (series, projected) = result.into_inner().expect("each part has been looked at")?;
            found.series.extend(series);
            found.projected.as_mut().zip(projected).into_iter().for_each(|(all, some)| all.extend(some));
        }
        Ok(found)
    }
}

/// Series with the labels of each, where not all of those are wanted.
type Among = (Vec<u32>, Option<Vec<Labels>>);

/// The series that a select found. Their chunks are looked up in the index again when they are read:
/// of tens of thousands of series the places would take more memory than all else.
struct Selection {
    block: Block,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    series: Vec<u32>,
    /// The labels of each series where not all were wanted; otherwise they are made on demand.
    projected: Option<Vec<Labels>>,
    stop: Stop,
}

impl Selection {
    /// Those of the series that belong into the answer, at most as many as the hints say.
    fn among(&self, ids: &[u32], hints: &SelectHints) -> Result<Among, StorageError> {
        let limit = if hints.limit == 0 { usize::MAX } else { hints.limit };
        let index = self.block.index();
        let mut projector = index.projector(&hints.projection);
        let (mut series, mut projected) = (Vec::new(), Vec::new());
        let (mut symbols, mut chunks) = (Vec::new(), Vec::new());
        for (n, id) in ids.iter().copied().enumerate() {
            self.stop.check_at(n)?;
            if series.len() >= limit {
                break;
            }
            let mut entry = index.series(id)?;
            let labels = match &mut projector {
                Some(p) => Some(entry.project(p, &mut symbols)?),
                None => entry.skip_labels().map(|()| None)?,
            };
            let is_in = if self.block.deleted(id).is_empty() {
                entry.has_chunk_in(self.start_ms, self.end_ms)?
            } else {
                chunks.clear();
                entry.chunks_in(self.start_ms, self.end_ms, &mut chunks)?;
                self.leave_out_deleted(id, &mut chunks);
                !chunks.is_empty()
            };
            if is_in {
                series.push(id);
                projected.extend(labels);
            }
        }
        Ok((series, projector.is_some().then_some(projected)))
    }

    fn chunks_of(&self, i: usize) -> Result<Vec<ChunkMeta>, StorageError> {
        let id = self.series[i];
        let mut chunks = self.block.index().chunks_checked(id, self.start_ms, self.end_ms)?;
        self.leave_out_deleted(id, &mut chunks);
        Ok(chunks)
    }

    /// Leaves out the chunks of which nothing in the span is left.
    fn leave_out_deleted(&self, id: u32, chunks: &mut Vec<ChunkMeta>) {
        let deleted = self.block.deleted(id);
        if !deleted.is_empty() {
            let span = |c: &ChunkMeta| (c.min_ms.max(self.start_ms), c.max_ms.min(self.end_ms));
            chunks.retain(|c| !tombstones::covers(deleted, span(c).0, span(c).1));
        }
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
            None => self.block.index().labels_checked(self.series[i]),
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
        for (n, c) in self.chunks_of(i)?.iter().enumerate() {
            self.stop.check_chunk(n)?;
            let from = columns.t.len();
            self.block.decode(c, self.start_ms, self.end_ms, columns)?;
            if from > base && columns.t.get(from).is_some_and(|t| *t <= columns.t[from - 1]) {
                return Err(self.block.chunk_error(c, ChunkError::OutOfOrder));
            }
        }
        let deleted = self.block.deleted(self.series[i]);
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
        let deleted = self.block.deleted(self.series[i]);
        for meta in &self.chunks_of(i)? {
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
